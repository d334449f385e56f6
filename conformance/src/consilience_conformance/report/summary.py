"""The summary: what every report says of a run, computed once, so that no two of them disagree."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass, replace

from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.requirements import Requirement, requirements
from consilience_conformance.verdicts import CheckResult, Exit, Finding, RunResult, Verdict

FAILED = frozenset({Verdict.FAIL, Verdict.STALE, Verdict.SUITE_ERROR})
"""What stands among the failures; a warning and a known failure are shown after them."""

JUDGED = frozenset({Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.KNOWN_FAILING, Verdict.STALE})

NO_CHECK = "no check of this run tests it"
NOT_SEEN = "nothing that is seen from outside shows whether it is kept"

SHOWN_AT_ONCE = 2
"""How many findings of a check against one requirement are shown before it is said how many more there are."""

ENDINGS: Mapping[Exit, str] = {
    Exit.PASS: "PASSED",
    Exit.FAILED: "FAILED",
    Exit.STALE: "STALE: the list of known failures has to be mended",
    Exit.TOO_LITTLE: "TOO LITTLE: not all that was asked for was judged, which is no success",
    Exit.UNREACHABLE: "NOT JUDGED",
    Exit.SUITE_FAULT: "SUITE FAULT: the suite failed, not who was judged",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A run, and how to run it again.

    Attributes:
        run: What was found.
        command: The words of the command, without those that select checks.
        only: The checks and requirements that were selected; none: all.
        trouble: Why nothing was judged: the node was not reached, or not prepared; empty where something was.
    """

    run: RunResult
    command: tuple[str, ...]
    only: tuple[str, ...] = ()
    trouble: str = ""

    @property
    def exit(self) -> Exit:
        """How the command ends."""
        return Exit.UNREACHABLE if self.trouble else self.run.exit

    @property
    def ending(self) -> str:
        """The same in words."""
        return ENDINGS[self.exit]

    @property
    def sum(self) -> str:
        """What came of it, in one line."""
        return self.trouble or f"{count_line(self.run)}; {share_line(self.run)}"

    @property
    def spent(self) -> str:
        """What was spent, in one line; empty where nothing could be."""
        spending = self.run.spending
        return "; ".join(line for line in (spending.line, spending.left_out_line) if line) if spending else ""

    def again(self, result: CheckResult | None = None) -> str:
        """Returns the line that runs it again, or one check of it."""
        only = self.only if result is None or not result.requirements else (result.check,)
        return shlex.join([*self.command, *(word for name in only for word in ("--only", name))])


@dataclass(frozen=True, slots=True, kw_only=True)
class Untested:
    """Checks that were not judged, for one reason.

    Attributes:
        verdict: UNTESTABLE, NOT_APPLICABLE or NOT_TESTED.
        because: Why.
        results: Of the checks.
    """

    verdict: Verdict
    because: str
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a node stands with one requirement.

    Attributes:
        requirement: Which.
        verdict: The worst that a check says; NOT_TESTED where none says anything.
        because: Why it was not judged; empty where it was.
        checks: Names of the checks of this run that test it.
        open_part: What of it they do not show; empty: nothing is known to be left.
    """

    requirement: Requirement
    verdict: Verdict
    because: str
    checks: tuple[str, ...]
    open_part: str = ""


def failures(run: RunResult) -> tuple[CheckResult, ...]:
    """Returns what failed, in the order of the specification."""
    return tuple(result for result in run.results if result.verdict in FAILED)


def warnings(run: RunResult) -> tuple[CheckResult, ...]:
    """Returns the checks of a SHOULD that is not kept, and the known failures."""
    return tuple(result for result in run.results if result.verdict in {Verdict.WARN, Verdict.KNOWN_FAILING})


def by_requirement(result: CheckResult) -> Mapping[str, Sequence[Finding]]:
    """Returns the findings of a check by the requirements that they name, in their order."""
    groups: dict[str, list[Finding]] = {}
    for finding in result.findings:
        groups.setdefault(finding.requirement, []).append(finding)
    return groups


def untested(run: RunResult) -> tuple[Untested, ...]:
    """Returns what was not judged, by reason; what counts as a failure comes first."""
    groups: dict[tuple[Verdict, str], list[CheckResult]] = {}
    for verdict in (Verdict.UNTESTABLE, Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE):
        for result in run.results:
            if result.verdict is verdict:
                because = f"blocked by {result.blocked_by}" if result.blocked_by else result.because
                groups.setdefault((verdict, because), []).append(result)
    return tuple(
        Untested(verdict=verdict, because=because, results=tuple(results))
        for (verdict, because), results in groups.items()
    )


def standings(run: RunResult) -> tuple[Standing, ...]:
    """Returns how who was judged stands with each requirement of its role, in the order of the specification."""
    verdicts = run.of_requirements()
    return tuple(_standing(one, run=run, verdicts=verdicts) for one in requirements().values() if one.binds(run.role))


def _standing(one: Requirement, *, run: RunResult, verdicts: Mapping[str, Verdict]) -> Standing:
    testing = [result for result in run.results if one.id in result.requirements]
    verdict = verdicts.get(one.id, Verdict.NOT_TESTED)
    because = ""
    if not testing:
        excluded = EXCLUSIONS[run.role].get(one.id)
        because = excluded or NO_CHECK
        if one.profile not in run.profiles:
            verdict, because = Verdict.NOT_APPLICABLE, f"the run does not judge the profile {one.profile}"
    elif verdict not in JUDGED:
        because = next((result.because for result in testing if result.verdict is verdict), "")
    return Standing(
        requirement=one,
        verdict=verdict,
        because=because,
        checks=tuple(result.check for result in testing),
        open_part=OPEN_PARTS[run.role].get(one.id, "") if testing else "",
    )


def must_share(rows: Sequence[Standing]) -> tuple[int, int]:
    """Returns how many MUSTs were judged, and how many there are in the profiles that were chosen."""
    musts = [row for row in rows if row.requirement.is_must and row.verdict is not Verdict.NOT_APPLICABLE]
    return sum(row.verdict in JUDGED for row in musts), len(musts)


def unjudged_musts(report: Report) -> Mapping[str, Sequence[Standing]]:
    """Returns the MUSTs that no check of a whole run says anything of, by reason; none where checks were selected.

    Those that nothing from outside can show have one reason together, and each its own in `because`.
    """
    groups: dict[str, list[Standing]] = {}
    for row in standings(report.run):
        if not (report.only or row.checks) and row.requirement.is_must and row.verdict is Verdict.NOT_TESTED:
            if row.because != NO_CHECK:
                groups.setdefault(NOT_SEEN, []).append(row)
            else:
                because = report.trouble or NO_CHECK
                groups.setdefault(because, []).append(replace(row, because=because))
    return groups


def count_line(run: RunResult) -> str:
    """Returns how many checks ended how: `71 of 84 checks passed, 1 failed, 12 not tested`."""
    counts = Counter(result.verdict for result in run.results)
    passed = counts.pop(Verdict.PASS, 0)
    return ", ".join([f"{passed} of {number_of(run.results, 'check')} passed", *_others(counts)])


def share_line(run: RunResult) -> str:
    """Returns how much of the specification was judged: `52 of 60 MUSTs of core judged, none of conformance`.

    It counts the profiles of which something was judged, and ends with what was asked for and not judged.
    """
    rows = standings(run)
    judged = {row.requirement.profile for row in rows if row.verdict in JUDGED and row.requirement.is_must}
    shown = [name for name in run.profiles if name in judged] or list(run.profiles)
    left = [name for name in run.profiles if name not in shown]
    count, known = must_share([row for row in rows if row.requirement.profile in shown])
    share = f"{count} of {number_of(range(known), 'MUST')} of {', '.join(shown)} judged"
    share += f", none of {', '.join(left)}" if left else ""
    return share + (f"; not judged though asked for: {', '.join(run.unmet)}" if run.unmet else "")


def suite_fault(result: CheckResult) -> str:
    """Returns the last line of what went wrong in the suite."""
    lines = [line.strip() for line in result.because.splitlines() if line.strip()]
    return lines[-1] if lines else "unknown"


_WORDS = {
    Verdict.FAIL: "failed",
    Verdict.WARN: "warned",
    Verdict.UNTESTABLE: "untestable",
    Verdict.NOT_APPLICABLE: "not applicable",
    Verdict.NOT_TESTED: "not tested",
    Verdict.KNOWN_FAILING: "known failing",
    Verdict.STALE: "stale",
    Verdict.SUITE_ERROR: "suite error",
}


def _others(counts: Mapping[Verdict, int]) -> Iterator[str]:
    for verdict, words in _WORDS.items():
        if counts.get(verdict):
            plural = "s" if verdict is Verdict.SUITE_ERROR and counts[verdict] > 1 else ""
            yield f"{counts[verdict]} {words}{plural}"


def number_of(things: Sized, noun: str) -> str:
    """Returns how many there are: `1 check`, `2 checks`."""
    return f"{len(things)} {noun}" if len(things) == 1 else f"{len(things)} {noun}s"
