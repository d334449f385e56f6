"""Likely causes: a fault of which a check is known to fail in this very way is the first place to look.

The suite is judged by mutants of a node; `selftest/mutants.toml` says what each of them dies of. A finding that looks
like such a death has that mutant's fault for a likely cause.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from consilience_conformance.verdicts import CheckResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Killing:
    """What a mutant dies of.

    Attributes:
        mutant: Its name, which says its fault: `request-id-reused-ok`.
        check: The check that kills it.
        requirement: The requirement that the finding names.
        message: How the finding begins.
    """

    mutant: str
    check: str
    requirement: str
    message: str

    @property
    def words(self) -> str:
        """The name as words."""
        return self.mutant.replace("-", " ")


@cache
def killings() -> tuple[Killing, ...]:
    """Returns what each mutant dies of, in the order of the file."""
    text = (files("consilience_conformance") / "selftest" / "mutants.toml").read_text(encoding="utf-8")
    return tuple(
        Killing(mutant=name, check=entry["check"], requirement=entry["requirement"], message=entry["message"])
        for name, entry in tomllib.loads(text).items()
    )


def likely_causes(result: CheckResult) -> tuple[Killing, ...]:
    """Returns the mutants that die of this check by findings like those that it has."""
    return tuple(
        killing
        for killing in killings()
        if killing.check == result.check
        and any(
            finding.requirement == killing.requirement and finding.message.startswith(killing.message)
            for finding in result.findings
        )
    )
