"""How a run on a mutant went, against what was declared of it: pure functions that return complaints."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from consilience_conformance.peers.degenerate import Degenerate
from consilience_conformance.selftest.declarations import Declaration
from consilience_conformance.verdicts import CheckResult, Exit, Verdict, exit_of

_KILLED = frozenset({Verdict.FAIL, Verdict.WARN})
_FINDINGS_SHOWN = 3
_HEALTHY = frozenset({Verdict.PASS, Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How the judge ended.

    Attributes:
        exit: Its exit code.
        said: The end of what it wrote to standard error.
        results: Of the checks, in order; none where there was nothing to judge.
        impure: Where judges said something else of the same transcripts when they were asked again.
    """

    exit: int
    said: str = ""
    results: tuple[CheckResult, ...] = ()
    impure: tuple[str, ...] = ()

    @property
    def verdicts(self) -> Mapping[str, Verdict]:
        """What was said of each check, by its name."""
        return {result.check: result.verdict for result in self.results}


def healthy_complaints(judged: Judged) -> Iterator[str]:
    """Yields what a run found wrong with a node that has no fault."""
    yield from _faults_of_the_judge(judged, wanted=Exit.PASS)
    for result in judged.results:
        if result.verdict not in _HEALTHY:
            yield f"{result.check} {_saying(result)}"


def never_passed(runs: Iterable[Judged]) -> list[str]:
    """Returns the checks that passed in none of the runs on healthy nodes: nobody knows whether they can."""
    passed: dict[str, bool] = {}
    for run in runs:
        for name, verdict in run.verdicts.items():
            passed[name] = passed.get(name, False) or verdict is Verdict.PASS
    return [name for name, once in passed.items() if not once]


def mutant_complaints(declared: Declaration, *, judged: Judged, healthy: Judged) -> Iterator[str]:
    """Yields how a run on a mutant differs from what was declared.

    Args:
        declared: What it dies of.
        judged: How the run on it went.
        healthy: The run on the node without the fault, in the same variant.
    """
    if not judged.results:
        yield f"nothing was judged, exit {judged.exit}: {judged.said}"
        return
    yield from _faults_of_the_judge(judged, wanted=exit_of(result.verdict for result in judged.results))
    survival = [*_survival(declared, judged.results)]
    yield from survival
    before = healthy.verdicts
    if not survival:
        yield from _spared(declared, judged=judged, before=before)
    for result in judged.results:
        if result.check == declared.check or result.blocked_by or not _is_worse(result, before=before):
            continue
        if result.check not in declared.also or result.verdict is Verdict.SUITE_ERROR:
            yield f"{result.check} is not declared, and {_saying(result)}"


def degenerate_complaints(one: Degenerate, *, judged: Judged) -> Iterator[str]:
    """Yields how a run on a degenerate node differs from what is said of it; it is wrong altogether, more may fail."""
    yield from _faults_of_the_judge(judged, wanted=one.exit)
    if not one.check:
        yield from (f"{result.check} was judged" for result in judged.results[:1])
        return
    declared = Declaration(name=one.name, check=one.check, requirement=one.requirement, message=one.message)
    yield from _survival(declared, judged.results)
    for result in judged.results:
        if result.verdict is Verdict.SUITE_ERROR:
            yield f"{result.check} {_saying(result)}"


def _survival(declared: Declaration, results: Sequence[CheckResult]) -> Iterator[str]:
    """Yields how a node did not die as it was to."""
    killer = next((result for result in results if result.check == declared.check), None)
    if killer is None:
        yield f"it survives: {declared.check} did not run"
    elif killer.verdict not in _KILLED:
        yield f"it survives: {declared.check} {_saying(killer)}"
    elif not any(
        finding.requirement == declared.requirement and finding.message.startswith(declared.message)
        for finding in killer.findings
    ):
        wanted = f"{declared.requirement} {declared.message!r}"
        yield f"it dies for another reason: {declared.check} {_saying(killer)}, not {wanted}"


def _spared(declared: Declaration, *, judged: Judged, before: Mapping[str, Verdict]) -> Iterator[str]:
    """Yields the checks that were to fail with it and did not: what is declared is shown as proved."""
    by_name = {result.check: result for result in judged.results}
    for name in declared.also:
        if name not in by_name:
            yield f"{name} is declared to fail with it, and did not run"
        elif not _is_worse(by_name[name], before=before):
            yield f"{name} is declared to fail with it, and {_saying(by_name[name])}"


def _is_worse(result: CheckResult, *, before: Mapping[str, Verdict]) -> bool:
    """Tells whether a check says something else than of the healthy node; one that is not made any more is worse."""
    if result.verdict in _HEALTHY:
        return before.get(result.check) is Verdict.PASS and result.verdict is not Verdict.PASS
    return result.verdict is not before.get(result.check)


def _faults_of_the_judge(judged: Judged, *, wanted: int) -> Iterator[str]:
    yield from (f"the judge is not of one mind: {one}" for one in judged.impure)
    if judged.exit != wanted:
        said = f": {judged.said}" if judged.said else ""
        yield f"the judge exits with {judged.exit}, not {int(wanted)}{said}"


def _saying(result: CheckResult) -> str:
    """Returns what a check says, in one line: `fails: ASK-IDEM-002 'defect was accepted'`."""
    found = [f"{finding.requirement} {finding.message!r}" for finding in result.findings[:_FINDINGS_SHOWN]]
    found += [f"{len(result.findings) - len(found)} more"] if len(result.findings) > len(found) else []
    because = result.because.strip().rpartition("\n")[2]
    return ": ".join(filter(None, (f"says {result.verdict.value}", ", ".join(found) or because)))
