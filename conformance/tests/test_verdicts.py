"""A run that did not judge what was asked for by name is no success."""

from __future__ import annotations

import dataclasses

import pytest

from conformance.tests.made_runs import result, run
from consilience_conformance.verdicts import MOST_CHARACTERS, Demand, Exit, Finding, Verdict

UNDONE = [Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE]


@pytest.mark.parametrize("verdict", UNDONE)
def test_a_named_check_that_was_not_judged_is_too_little_though_what_it_rests_on_passed(verdict: Verdict) -> None:
    seen = run(result(), result(verdict, check="wanted"), demands=(Demand(name="wanted", checks=("wanted",)),))
    assert seen.exit is Exit.TOO_LITTLE
    assert seen.unmet == ("wanted",)


@pytest.mark.parametrize("verdict", UNDONE)
def test_a_check_that_nobody_named_may_go_untested(verdict: Verdict) -> None:
    seen = run(result(), result(verdict, check="other"), demands=(Demand(name="ask", checks=("ask",)),))
    assert seen.exit is Exit.PASS


def test_a_requirement_of_which_a_check_is_out_of_scope_is_judged_too_little() -> None:
    demand = Demand(name="ASK-STOP-001", checks=("ask", "scripted"))
    assert run(result(), result(Verdict.NOT_TESTED, check="scripted"), demands=(demand,)).exit is Exit.TOO_LITTLE


def test_a_requirement_of_which_a_check_does_not_apply_is_judged_by_the_others() -> None:
    demand = Demand(name="ASK-CARD-003", checks=("ask", "of-durable-nodes"))
    assert run(result(), result(Verdict.NOT_APPLICABLE, check="of-durable-nodes"), demands=(demand,)).exit is Exit.PASS


@pytest.mark.parametrize(("verdict", "code"), [(Verdict.PASS, Exit.PASS), (Verdict.NOT_TESTED, Exit.TOO_LITTLE)])
def test_a_named_profile_needs_one_check_that_was_judged(*, verdict: Verdict, code: Exit) -> None:
    demand = Demand(name="durable", checks=("kept", "restarted"), whole=False)
    results = (result(), result(verdict, check="kept"), result(Verdict.NOT_TESTED, check="restarted"))
    assert run(*results, demands=(demand,)).exit is code


def test_a_failure_comes_before_what_was_not_judged() -> None:
    demand = Demand(name="wanted", checks=("wanted",))
    assert run(result(Verdict.FAIL), demands=(demand,)).exit is Exit.FAILED


def test_a_finding_keeps_of_long_texts_the_beginning_and_how_long_they_were() -> None:
    finding = Finding(requirement="STRM-LOG-001", message="m" * 5000, expected="e" * MOST_CHARACTERS, got="g" * 5000)
    assert len(finding.message) == len(finding.got) == MOST_CHARACTERS
    assert finding.got.endswith("g… (5000 characters)")
    assert finding.expected == "e" * MOST_CHARACTERS
    assert dataclasses.replace(finding) == finding
