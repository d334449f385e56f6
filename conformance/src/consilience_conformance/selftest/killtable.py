"""The kill table: which mutants prove, for each MUST and each check, that the judge notices when it is broken.

It follows from the declarations and the faults alone, holds no time and no place, and is written only by a self-test
in which every mutant died as declared. `killtable.json` is shipped with the suite, `KILLTABLE.md` is for people.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from consilience_conformance.coverage import NamesRequirements
from consilience_conformance.peers.degenerate import Degenerate
from consilience_conformance.requirements import Requirement
from consilience_conformance.selftest.declarations import Declaration

Table = dict[str, Any]
"""The content of `killtable.json`."""

_PACKAGE = Path(__file__).parents[1]
JSON_FILE = _PACKAGE / "selftest" / "killtable.json"
MARKDOWN_FILE = _PACKAGE.parents[1] / "KILLTABLE.md"
"""Only where the suite runs from its sources."""

_HEAD = """# The kill table

Every MUST for a node that the specification makes is tested by a check, and every check of a MUST is proved able to
fail: the reference node is started with one small fault, and the judge has to find that fault, for that reason, and
nothing else. `consilience-conformance selftest` runs all of them and fails when one survives; this page is what it
writes with `--write`.
"""

_HOW_MUTANTS_DIE = (
    "A mutant dies by its check, with a finding that names the requirement and begins with the message. The checks "
    "after it fail with it, every time; no other one does."
)


def kill_table(
    *,
    requirements: Mapping[str, Requirement],
    checks: Iterable[NamesRequirements],
    exclusions: Mapping[str, str],
    open_parts: Mapping[str, str],
    declared: Iterable[Declaration],
    faults: Mapping[str, str],
    degenerate: Iterable[Degenerate],
) -> Table:
    """Returns the table.

    Args:
        requirements: All of them, by id.
        checks: Those of nodes.
        exclusions: The MUSTs of nodes that nothing can test, with the reasons.
        open_parts: The MUSTs of nodes of which the checks leave something open, with what it is.
        declared: What each mutant dies of.
        faults: What each mutant does wrong, by its name.
        degenerate: The degenerate nodes.
    """
    checks, declared = tuple(checks), tuple(declared)
    return {
        "requirements": [
            {
                "id": one.id,
                "level": one.level,
                "profile": one.profile,
                "checks": [check.name for check in checks if one.id in check.requirements],
                "killers": [mutant.name for mutant in declared if mutant.requirement == one.id],
                "excluded": exclusions.get(one.id, ""),
                "open": open_parts.get(one.id, ""),
            }
            for one in requirements.values()
            if one.binds("node")
        ],
        "mutants": [
            {
                "name": one.name,
                "fault": faults.get(one.name, ""),
                "node": one.node.value,
                "check": one.check,
                "requirement": one.requirement,
                "message": one.message,
                "also": list(one.also),
            }
            for one in declared
        ],
        "degenerate": [
            {
                "name": one.name,
                "fault": one.fault,
                "exit": int(one.exit),
                "check": one.check,
                "requirement": one.requirement,
                "message": one.message,
            }
            for one in degenerate
        ],
    }


def table_complaints(table: Table) -> Iterator[str]:
    """Yields the MUSTs that no mutant proves, those excluded with a reason apart, and the checks that nothing kills.

    A check of a MUST is killed by a mutant of its own, or fails with one every time, or by a degenerate node.
    """
    for row in table["requirements"]:
        if row["level"] in {"MUST", "MUST NOT"} and not row["killers"] and not row["excluded"]:
            checks = ", ".join(row["checks"]) or "none"
            yield f"no mutant dies by {row['id']}, a {row['level']}; its checks: {checks}"
    killed = {name for mutant in table["mutants"] for name in (mutant["check"], *mutant["also"])}
    killed |= {one["check"] for one in table["degenerate"]}
    tests_a_must = (row["checks"] for row in table["requirements"] if row["level"] in {"MUST", "MUST NOT"})
    for name in sorted({name for checks in tests_a_must for name in checks} - killed):
        yield f"nothing dies by the check {name}, which tests a MUST: give it a mutant"


def shipped_table() -> Table:
    """Returns the table that this suite carries; an empty one where there is none."""
    file = files("consilience_conformance") / "selftest" / "killtable.json"
    table: Table = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return table


def write_table(table: Table, *, json_file: Path = JSON_FILE, markdown_file: Path = MARKDOWN_FILE) -> None:
    """Writes both files.

    Raises:
        OSError: They cannot be written.
    """
    json_file.write_text(as_json(table), encoding="utf-8")
    markdown_file.write_text(as_markdown(table), encoding="utf-8")


def as_json(table: Table) -> str:
    """Returns the text of `killtable.json`."""
    return json.dumps(table, indent=1, ensure_ascii=False) + "\n"


def as_markdown(table: Table) -> str:
    """Returns the text of `KILLTABLE.md`."""
    musts = [row for row in table["requirements"] if row["level"] in {"MUST", "MUST NOT"}]
    proved = sum(bool(row["killers"]) for row in musts)
    excluded = sum(bool(row["excluded"]) for row in musts)
    sums = (
        f"{proved} of {len(musts)} MUSTs for nodes are proved by {len(table['mutants'])} mutants; {excluded} cannot be "
        "tested from outside."
    )
    return "\n".join(
        [
            _HEAD,
            sums,
            "",
            "## Requirements",
            "",
            *_rows(("requirement", "level", "checks", "killed by"), map(_requirement_cells, table["requirements"])),
            "",
            "## Mutants",
            "",
            _HOW_MUTANTS_DIE,
            "",
            *_rows(("mutant", "fault", "killed by", "requirement", "message"), map(_mutant_cells, table["mutants"])),
            "",
            "## Degenerate nodes",
            "",
            "They are wrong altogether. The judge neither passes them nor waits for them.",
            "",
            *_rows(("node", "what it does", "exit", "killed by"), map(_degenerate_cells, table["degenerate"])),
            "",
        ]
    )


def _requirement_cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield row["id"]
    yield row["level"]
    shown = [*row["checks"], *([f"not shown: {row['open']}"] if row["open"] else [])]
    yield "<br>".join(shown) or (f"excluded: {row['excluded']}" if row["excluded"] else "none")
    yield "<br>".join(row["killers"]) or "none"


def _mutant_cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield row["name"]
    yield row["fault"]
    yield "<br>".join([row["check"], *(f"and {name}" for name in row["also"])])
    yield row["requirement"]
    yield row["message"]


def _degenerate_cells(row: Mapping[str, Any]) -> Iterator[str]:
    yield row["name"]
    yield row["fault"]
    yield str(row["exit"])
    yield f"{row['check']}: {row['message']}" if row["check"] else "there is nothing to judge"


def _rows(head: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    head = tuple(head)
    yield f"| {' | '.join(head)} |"
    yield "|---" * len(head) + "|"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
