"""The kill table says what is proved and what is not, the same in every run, and the committed one is no older."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

from consilience_conformance.cases import all_checks
from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.requirements import Requirement, requirements
from consilience_conformance.selftest import killtable
from consilience_conformance.selftest.declarations import Declaration, declarations
from consilience_conformance.selftest.killtable import Table, kill_table, table_complaints
from consilience_node.mutants import mutants

AGAIN = "run `consilience-conformance selftest --write`"


def rule(name: str, *, level: str = "MUST", role: str = "node") -> Requirement:
    return Requirement(id=name, level=level, role=role, profile="core", page="", anchor="", sentence="A | B.")


@dataclass(frozen=True)
class Named:
    name: str
    requirements: tuple[str, ...]
    profile: str = "core"


REUSED = Named("reused", ("ASK-IDEM-002",))
DECLARED = Declaration(name="forgetful", check="reused", requirement="ASK-IDEM-002", message="defect | was accepted")


def table(
    *,
    declared: tuple[Declaration, ...] = (DECLARED,),
    exclusions: dict[str, str] | None = None,
    checks: tuple[Named, ...] = (REUSED,),
    **rules: str,
) -> Table:
    known = {name.replace("_", "-"): level for name, level in rules.items()} or {"ASK-IDEM-002": "MUST"}
    return kill_table(
        requirements={name: rule(name, level=level) for name, level in known.items()},
        checks=checks,
        exclusions=exclusions or {},
        open_parts={"ASK-IDEM-002": "Songs without words."},
        declared=declared,
        faults={"forgetful": "Forgets."},
        degenerate=DEGENERATE.values(),
    )


def test_the_committed_table_is_the_one_of_the_declarations() -> None:
    now = kill_table(
        requirements=requirements(),
        checks=all_checks(),
        exclusions=EXCLUSIONS["node"],
        open_parts=OPEN_PARTS["node"],
        declared=declarations().values(),
        faults={name: mutant.fault for name, mutant in mutants().items()},
        degenerate=DEGENERATE.values(),
    )
    assert killtable.shipped_table() == now, AGAIN


def test_the_committed_page_is_the_one_of_the_committed_table() -> None:
    assert killtable.MARKDOWN_FILE.read_text() == killtable.as_markdown(killtable.shipped_table()), AGAIN


def test_every_must_of_the_committed_table_has_a_killer_or_a_reason() -> None:
    complaints = [*table_complaints(killtable.shipped_table())]
    assert complaints == [], "\n".join(complaints)


def test_a_must_without_a_killer_is_told() -> None:
    assert list(table_complaints(table())) == []
    assert list(table_complaints(table(declared=()))) == [
        "no mutant dies by ASK-IDEM-002, a MUST; its checks: reused",
        "nothing dies by the check reused, which tests a MUST: give it a mutant",
    ]
    assert list(table_complaints(table(ASK_X_001="MUST NOT"))) == [
        "no mutant dies by ASK-X-001, a MUST NOT; its checks: none"
    ]


def test_a_check_of_a_must_that_nothing_dies_by_is_told() -> None:
    second = Named("second", ("ASK-IDEM-002",))
    untold = "nothing dies by the check second, which tests a MUST: give it a mutant"
    assert list(table_complaints(table(checks=(REUSED, second)))) == [untold]
    with_it = replace(DECLARED, also=("second",))
    assert list(table_complaints(table(checks=(REUSED, second), declared=(with_it,)))) == []
    degenerate = next(one.check for one in DEGENERATE.values() if one.check)
    assert list(table_complaints(table(checks=(REUSED, Named(degenerate, ("ASK-IDEM-002",)))))) == []
    advice = Named("advice", ("ASK-X-001",))
    assert list(table_complaints(table(checks=(REUSED, advice), ASK_IDEM_002="MUST", ASK_X_001="SHOULD"))) == []


def test_what_is_excluded_or_no_must_needs_no_killer() -> None:
    assert list(table_complaints(table(ASK_X_001="MUST", exclusions={"ASK-X-001": "nobody sees it"}))) == []
    assert list(table_complaints(table(ASK_X_001="SHOULD"))) == []


def test_a_rule_for_clients_is_none_of_this_table() -> None:
    for_clients = kill_table(
        requirements={"A": rule("A", role="client"), "B": rule("B", role="both")},
        checks=[],
        exclusions={},
        open_parts={},
        declared=[],
        faults={},
        degenerate=[],
    )
    assert [row["id"] for row in for_clients["requirements"]] == ["B"]


def test_the_page_shows_what_is_proved_and_what_is_not() -> None:
    page = killtable.as_markdown(table(ASK_IDEM_002="MUST", ASK_X_001="MUST"))
    assert "1 of 2 MUSTs for nodes are proved by 1 mutants; 0 cannot be tested from outside." in page
    assert "| ASK-IDEM-002 | MUST | reused<br>not shown: Songs without words. | forgetful |" in page
    assert "| ASK-X-001 | MUST | none | none |" in page
    assert "| forgetful | Forgets. | reused | ASK-IDEM-002 | defect \\| was accepted |" in page
    assert "| closed-port | Does not run. | 4 | there is nothing to judge |" in page


def test_both_files_are_written_and_read_back(tmp_path: Path) -> None:
    content = table()
    killtable.write_table(content, json_file=tmp_path / "t.json", markdown_file=tmp_path / "T.md")
    assert json.loads((tmp_path / "t.json").read_text()) == content
    assert (tmp_path / "T.md").read_text() == killtable.as_markdown(content)
