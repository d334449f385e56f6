"""Likely causes are drawn from what the judge's own mutants die of."""

from dataclasses import replace

from conformance.tests.made_runs import result, run
from consilience_conformance.report.causes import likely_causes
from consilience_conformance.selftest.declarations import Declaration, declarations
from consilience_conformance.verdicts import CheckResult, Finding, Verdict

MUTANT = declarations()["request-id-reused-ok"]


def _dead(mutant: Declaration, **changes: str) -> CheckResult:
    fields = {"requirement": mutant.requirement, "message": f"{mutant.message} by all", **changes}
    return result(Verdict.FAIL, check=mutant.check, findings=(Finding(**fields),))


def test_a_check_that_fails_as_with_a_mutant_has_its_fault_for_a_cause() -> None:
    failed = _dead(MUTANT)
    causes = likely_causes(failed, run=run(failed))
    assert MUTANT.name in [cause.name for cause in causes]
    assert all(cause.fault.endswith(".") for cause in causes)


def test_another_message_requirement_or_check_has_another_cause() -> None:
    for failed in (
        _dead(MUTANT, message="otherwise"),
        _dead(MUTANT, requirement="STRM-LOG-001"),
        replace(_dead(MUTANT), check="ask"),
    ):
        assert MUTANT.name not in [cause.name for cause in likely_causes(failed, run=run(failed))]


def test_a_check_that_fails_along_with_a_mutant_has_its_fault_for_a_cause_where_the_mutant_would_have_died() -> None:
    mutant = next(one for one in declarations().values() if one.also)
    along = result(
        Verdict.FAIL, check=mutant.also[0], findings=(Finding(requirement="ASK-IDEM-002", message="of no mutant"),)
    )
    together = likely_causes(along, run=run(along, _dead(mutant)))
    assert mutant.name in [cause.name for cause in together]
    assert not likely_causes(along, run=run(along))


def test_what_passed_has_no_cause() -> None:
    passed = result(check=MUTANT.check)
    assert not likely_causes(passed, run=run(passed, _dead(MUTANT)))
