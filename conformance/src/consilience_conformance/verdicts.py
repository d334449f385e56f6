"""Verdicts: what a judge finds, what follows for a check, a requirement and a run, and how a run exits."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from consilience_conformance.requirements import Role
from consilience_conformance.spending import Spending
from consilience_conformance.transcripts import Transcript


class Verdict(enum.StrEnum):
    """What is said of a check or of a requirement."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    """A MUST is broken."""
    WARN = "warn"
    """A SHOULD is not kept."""
    UNTESTABLE = "untestable"
    """Something that the check rests on failed or is missing; of a MUST it counts as a failure."""
    NOT_APPLICABLE = "not applicable"
    """The card does not declare the profile or the feature, and where a call tells, the node does not serve it."""
    NOT_TESTED = "not tested"
    """Out of the scope that was chosen: without a grant, a command to restart the node, and the like."""
    KNOWN_FAILING = "known failing"
    """Fails as the list of known failures says."""
    STALE = "stale"
    """The list of known failures says that it fails, and it does not, or otherwise, or the entry has expired."""
    SUITE_ERROR = "suite error"
    """The suite itself failed."""


class Exit(enum.IntEnum):
    """The exit codes of the command."""

    PASS = 0
    FAILED = 1
    STALE = 2
    TOO_LITTLE = 3
    UNREACHABLE = 4
    SUITE_FAULT = 5


MOST_CHARACTERS = 2000
"""Of each text of a finding; the whole of what came is in the transcript."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as the specification says.

    Attributes:
        requirement: Its id.
        message: What is wrong, in one line that begins the same in every run.
        expected, got: What should have come and what came, as text; empty where the message says it.
        exchange: Name of the exchange in which it was seen; empty: of none alone.

    A node decides how long some of these texts are; each is cut once, here, to `MOST_CHARACTERS`.
    """

    requirement: str
    message: str
    expected: str = ""
    got: str = ""
    exchange: str = ""

    def __post_init__(self) -> None:
        """Cuts the texts."""
        for name in ("message", "expected", "got"):
            object.__setattr__(self, name, _cut(getattr(self, name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check went.

    Attributes:
        check: Its name.
        title: What it says, as a sentence.
        requirements: The ids that it tests.
        verdict: What is said of it.
        findings: What was wrong; empty unless FAIL, WARN or KNOWN_FAILING.
        because: Why it was not judged, or why it is stale; for `blocked by`, see there.
        blocked_by: Name of the check that failed before, or empty.
        mode: `live` or `scripted`.
        seconds: How long it took.
        transcript: What it saw, or None where it was not driven.
    """

    check: str
    title: str
    requirements: tuple[str, ...]
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    because: str = ""
    blocked_by: str = ""
    mode: str = "live"
    seconds: float = 0.0
    transcript: Transcript | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """Something that was asked for by name, so that a run without it has done too little.

    Attributes:
        name: The check, requirement or profile that was named.
        checks: Names of the checks that are meant by it, without those that they rest on.
        whole: Whether each of them has to be in the scope of the run; of a profile it is enough that one was judged.
    """

    name: str
    checks: tuple[str, ...]
    whole: bool = True

    def is_met(self, verdicts: Mapping[str, Verdict]) -> bool:
        """Tells whether it was done, given the verdict of each check: one was judged, and what is wanted was tested.

        What does not apply to the node at hand is nothing that another scope would judge, so it may stand beside what
        was judged.
        """
        seen = [verdicts.get(check, Verdict.NOT_TESTED) for check in self.checks]
        undone = {Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE}
        return not undone.issuperset(seen) and not (self.whole and Verdict.NOT_TESTED in seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run went.

    Attributes:
        address: What was judged, as it was named.
        node_id, node_name: Text form of the node id, and the name in the card.
        skill: The skill that was asked in live mode, or empty.
        profiles: Those that were judged, by the names of the specification: `core`.
        mode: `live`, `scripted` or `both`.
        seed: Makes the same run again.
        began: When, aware UTC.
        seconds: How long it took.
        suite_version: Of this package.
        requirements_digest: SHA-256 over the set of requirements, in hexadecimal.
        results: One for each check, in the order of the specification.
        demands: What was asked for by name, none: nothing in particular.
        spending: What was spent of what could be; None: nothing could.
        role: Who was judged. Of a client, `address` is its command and `node_name` what it calls itself.
    """

    address: str
    node_id: str
    node_name: str
    skill: str
    profiles: tuple[str, ...]
    mode: str
    seed: int
    began: datetime
    seconds: float
    suite_version: str
    requirements_digest: str
    results: tuple[CheckResult, ...] = field(default_factory=tuple)
    demands: tuple[Demand, ...] = ()
    spending: Spending | None = None
    role: Role = "node"

    def of_requirements(self) -> Mapping[str, Verdict]:
        """Returns the verdict of each requirement that a check names: the worst of its checks."""
        worst: dict[str, Verdict] = {}
        for result in self.results:
            for requirement in result.requirements:
                verdict = _share(result, requirement)
                if _WEIGHT[verdict] >= _WEIGHT[worst.get(requirement, Verdict.NOT_TESTED)]:
                    worst[requirement] = verdict
        return worst

    @property
    def unmet(self) -> tuple[str, ...]:
        """The names that were asked for and not judged, as they were given."""
        verdicts = {result.check: result.verdict for result in self.results}
        return tuple(demand.name for demand in self.demands if not demand.is_met(verdicts))

    @property
    def exit(self) -> Exit:
        """How the command ends; what went wrong with the suite comes before what went wrong with the node."""
        code = exit_of(result.verdict for result in self.results)
        return Exit.TOO_LITTLE if code is Exit.PASS and self.unmet else code


def exit_of(verdicts: Iterable[Verdict]) -> Exit:
    """Returns the exit code of a run with these verdicts; one in which nothing was judged has done too little."""
    seen = set(verdicts)
    if Verdict.SUITE_ERROR in seen:
        return Exit.SUITE_FAULT
    if seen & {Verdict.FAIL, Verdict.UNTESTABLE}:
        return Exit.FAILED
    if Verdict.STALE in seen:
        return Exit.STALE
    if not seen & {Verdict.PASS, Verdict.WARN}:
        return Exit.TOO_LITTLE
    return Exit.PASS


def _cut(text: str) -> str:
    """Returns a text that is short enough; one that was cut before stays as it is."""
    if len(text) <= MOST_CHARACTERS:
        return text
    told = f"… ({len(text)} characters)"
    return text[: MOST_CHARACTERS - len(told)] + told


def _share(result: CheckResult, requirement: str) -> Verdict:
    """Returns what a check says of one of its requirements: a finding against one leaves the others alone."""
    if result.verdict not in {Verdict.FAIL, Verdict.WARN, Verdict.KNOWN_FAILING}:
        return result.verdict
    against = {finding.requirement for finding in result.findings}
    return result.verdict if requirement in against else Verdict.PASS


_WEIGHT = {
    verdict: weight
    for weight, verdict in enumerate(
        (
            Verdict.NOT_TESTED,
            Verdict.NOT_APPLICABLE,
            Verdict.PASS,
            Verdict.WARN,
            Verdict.KNOWN_FAILING,
            Verdict.STALE,
            Verdict.UNTESTABLE,
            Verdict.FAIL,
            Verdict.SUITE_ERROR,
        )
    )
}
