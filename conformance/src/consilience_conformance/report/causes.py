"""Likely causes: a fault of which a check is known to fail in this very way is the first place to look.

The suite is judged by mutants of a node, and its kill table says what each of them dies of. A finding that looks like
such a death has that mutant's fault for a likely cause; so has a check that is known to fail along with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from consilience_conformance.selftest.declarations import Declaration, declarations
from consilience_conformance.selftest.killtable import shipped_table
from consilience_conformance.verdicts import CheckResult, RunResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """A fault that a node may have.

    Attributes:
        name: Of the mutant that has it.
        fault: What that mutant does wrong, as a sentence.
        check: The check that it dies of.
    """

    name: str
    fault: str
    check: str


def likely_causes(result: CheckResult, *, run: RunResult) -> tuple[Cause, ...]:
    """Returns the faults that would make a check fail as it did.

    Args:
        result: Of the check.
        run: In which it failed; a mutant is suspected of what fails along with it only where it would have died too.
    """
    own = tuple(_cause(one) for one in declarations().values() if _is_death(one, result))
    return own or tuple(_cause(one) for one in _suspected(run) if result.check in one.also and any(result.findings))


def _suspected(run: RunResult) -> Iterator[Declaration]:
    by_name = {result.check: result for result in run.results}
    for one in declarations().values():
        if one.check in by_name and _is_death(one, by_name[one.check]):
            yield one


def _is_death(one: Declaration, result: CheckResult) -> bool:
    return one.check == result.check and any(
        finding.requirement == one.requirement and finding.message.startswith(one.message)
        for finding in result.findings
    )


def _cause(one: Declaration) -> Cause:
    fault = _faults().get(one.name) or f"{one.name.replace('-', ' ')}."
    return Cause(name=one.name, fault=fault, check=one.check)


@cache
def _faults() -> Mapping[str, str]:
    return {row["name"]: row["fault"] for row in shipped_table().get("mutants", ())}
