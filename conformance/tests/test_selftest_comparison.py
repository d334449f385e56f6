"""The judge is found out where it lets a mutant live, kills it for another reason, or faults what is not at fault."""

from __future__ import annotations

from dataclasses import replace

from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.selftest.comparison import (
    Judged,
    degenerate_complaints,
    healthy_complaints,
    mutant_complaints,
    never_passed,
)
from consilience_conformance.selftest.declarations import Declaration
from consilience_conformance.verdicts import CheckResult, Exit, Finding, Verdict

DECLARED = Declaration(name="forgetful", check="second", requirement="ASK-IDEM-002", message="defect was accepted")


def result(
    check: str, verdict: Verdict = Verdict.PASS, *, message: str = "", because: str = "", blocked_by: str = ""
) -> CheckResult:
    findings = (Finding(requirement="ASK-IDEM-002", message=message),) if message else ()
    return CheckResult(
        check=check,
        title="",
        requirements=("ASK-IDEM-002",),
        verdict=verdict,
        findings=findings,
        because=because,
        blocked_by=blocked_by,
    )


HEALTHY = Judged(exit=Exit.PASS, results=(result("first"), result("second"), result("third")))
DEAD = result("second", Verdict.FAIL, message="defect was accepted by the node")


def run(*results: CheckResult, code: int = Exit.FAILED) -> Judged:
    return Judged(exit=code, results=results)


def complaints(judged: Judged, *, declared: Declaration = DECLARED, healthy: Judged = HEALTHY) -> list[str]:
    return list(mutant_complaints(declared, judged=judged, healthy=healthy))


def test_a_mutant_that_dies_as_declared_is_no_complaint() -> None:
    assert complaints(run(result("first"), DEAD, result("third"))) == []


def test_what_is_blocked_by_the_death_needs_no_declaration() -> None:
    blocked = result("third", Verdict.UNTESTABLE, blocked_by="second")
    assert complaints(run(result("first"), DEAD, blocked)) == []


def test_a_mutant_that_lives_is_told() -> None:
    (told,) = complaints(run(result("first"), result("second"), result("third"), code=Exit.PASS))
    assert told == "it survives: second says pass"


def test_a_mutant_that_was_not_looked_at_lives() -> None:
    (told,) = complaints(run(result("first"), result("third"), code=Exit.PASS))
    assert told == "it survives: second did not run"


def test_what_cannot_be_tested_is_no_death() -> None:
    (told,) = complaints(run(result("first"), result("second", Verdict.UNTESTABLE, because="no gate"), result("third")))
    assert told == "it survives: second says untestable: no gate"


def test_another_message_is_another_reason() -> None:
    other = result("second", Verdict.FAIL, message="control-before was not accepted")
    (told,) = complaints(run(result("first"), other, result("third")))
    assert told.startswith("it dies for another reason: second says fail: ASK-IDEM-002 'control-before was not")
    assert told.endswith("not ASK-IDEM-002 'defect was accepted'")


def test_another_requirement_is_another_reason() -> None:
    (told,) = complaints(
        run(result("first"), DEAD, result("third")), declared=replace(DECLARED, requirement="ASK-IDEM-005")
    )
    assert told.startswith("it dies for another reason")


def test_a_check_that_fails_without_being_declared_is_told() -> None:
    third = result("third", Verdict.FAIL, message="something else")
    assert complaints(run(result("first"), DEAD, third)) == [
        "third is not declared, and says fail: ASK-IDEM-002 'something else'"
    ]
    assert complaints(run(result("first"), DEAD, third), declared=replace(DECLARED, also=("third",))) == []


def test_a_check_that_was_to_fail_with_it_and_does_not_is_told() -> None:
    declared = replace(DECLARED, also=("first", "fourth"))
    assert complaints(run(result("first"), DEAD, result("third")), declared=declared) == [
        "first is declared to fail with it, and says pass",
        "fourth is declared to fail with it, and did not run",
    ]


def test_of_a_mutant_that_lives_nothing_else_is_told() -> None:
    declared = replace(DECLARED, also=("first",))
    (told,) = complaints(run(result("first"), result("second"), result("third"), code=Exit.PASS), declared=declared)
    assert told.startswith("it survives")


def test_a_warning_that_a_healthy_node_does_not_get_is_told() -> None:
    (told,) = complaints(run(result("first", Verdict.WARN, message="slow"), DEAD, result("third")))
    assert told.startswith("first is not declared")


def test_a_check_that_is_not_made_any_more_is_told() -> None:
    left_out = result("third", Verdict.NOT_APPLICABLE, because="the card does not offer it")
    (told,) = complaints(run(result("first"), DEAD, left_out))
    assert told == "third is not declared, and says not applicable: the card does not offer it"


def test_what_a_healthy_node_is_not_tested_in_either_is_no_complaint() -> None:
    left_out = result("third", Verdict.NOT_TESTED)
    healthy = replace(HEALTHY, results=(*HEALTHY.results[:2], left_out))
    assert complaints(run(result("first"), DEAD, left_out), healthy=healthy) == []


def test_a_fault_of_the_suite_is_never_declared() -> None:
    broken = result("third", Verdict.SUITE_ERROR, because="Traceback\nKeyError: 'x'")
    (told,) = complaints(
        run(result("first"), DEAD, broken, code=Exit.SUITE_FAULT), declared=replace(DECLARED, also=("third",))
    )
    assert told == "third is not declared, and says suite error: KeyError: 'x'"


def test_a_mutant_of_a_should_dies_by_a_warning() -> None:
    warned = result("second", Verdict.WARN, message="defect was accepted")
    assert complaints(run(result("first"), warned, result("third"), code=Exit.PASS)) == []


def test_an_exit_code_that_does_not_fit_the_verdicts_is_told() -> None:
    (told,) = complaints(run(result("first"), DEAD, result("third"), code=Exit.PASS))
    assert told == "the judge exits with 0, not 1"


def test_a_run_that_judged_nothing_is_told_with_its_last_words() -> None:
    (told,) = complaints(Judged(exit=Exit.UNREACHABLE, said="nothing answers"))
    assert told == "nothing was judged, exit 4: nothing answers"


def test_a_judge_that_changes_its_mind_is_told() -> None:
    judged = replace(run(result("first"), DEAD, result("third")), impure=("second: 0 findings, where the run has 1",))
    assert complaints(judged) == ["the judge is not of one mind: second: 0 findings, where the run has 1"]


def test_a_healthy_node_passes_everything() -> None:
    assert list(healthy_complaints(HEALTHY)) == []
    wrong = replace(HEALTHY, exit=Exit.FAILED, results=(result("first"), DEAD, result("third", Verdict.NOT_TESTED)))
    assert list(healthy_complaints(wrong)) == [
        "the judge exits with 1, not 0",
        "second says fail: ASK-IDEM-002 'defect was accepted by the node'",
    ]


def test_a_check_that_no_healthy_node_passes_is_found() -> None:
    without = replace(HEALTHY, results=(*HEALTHY.results, result("durable", Verdict.NOT_APPLICABLE)))
    assert never_passed([without]) == ["durable"]
    assert never_passed([without, replace(HEALTHY, results=(result("durable"),))]) == []


def test_a_degenerate_node_dies_as_it_says() -> None:
    one = DEGENERATE["accept-all"]
    finding = Finding(requirement=one.requirement, message=one.message)
    dead = CheckResult(
        check=one.check, title="", requirements=(one.requirement,), verdict=Verdict.FAIL, findings=(finding,)
    )
    blocked = result("ask", Verdict.UNTESTABLE, blocked_by=one.check)
    assert list(degenerate_complaints(one, judged=run(dead, blocked))) == []
    assert list(degenerate_complaints(one, judged=run(replace(dead, verdict=Verdict.PASS), code=Exit.PASS))) == [
        "the judge exits with 0, not 1",
        f"it survives: {one.check} says pass: {one.requirement} {one.message!r}",
    ]
    broken = result("third", Verdict.SUITE_ERROR, because="KeyError: 'x'")
    assert list(degenerate_complaints(one, judged=run(dead, DEAD, broken))) == ["third says suite error: KeyError: 'x'"]


def test_where_there_is_nothing_to_judge_nothing_is_judged() -> None:
    one = DEGENERATE["closed-port"]
    assert list(degenerate_complaints(one, judged=Judged(exit=Exit.UNREACHABLE))) == []
    assert list(degenerate_complaints(one, judged=HEALTHY)) == ["the judge exits with 0, not 4", "first was judged"]
    assert list(degenerate_complaints(one, judged=Judged(exit=-1, said="the judge did not end within 9 s"))) == [
        "the judge exits with -1, not 4: the judge did not end within 9 s"
    ]


def test_what_a_healthy_node_could_not_be_tested_in_may_pass() -> None:
    healthy = replace(HEALTHY, results=HEALTHY.results[:2])
    assert complaints(run(result("first"), DEAD, result("third")), healthy=healthy) == []


def test_of_many_findings_the_first_are_told() -> None:
    many = replace(
        result("third", Verdict.FAIL, message="wrong"), findings=(Finding(requirement="A", message="b"),) * 5
    )
    (told,) = complaints(run(result("first"), DEAD, many))
    assert told == "third is not declared, and says fail: A 'b', A 'b', A 'b', 2 more"
