"""The list of known failures hides nothing."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from conformance.tests.made_runs import FINDING, result, run
from consilience_conformance.known_failing import (
    KnownFailingError,
    KnownFailure,
    read_known_failing,
    with_known_failures,
)
from consilience_conformance.verdicts import CheckResult, Exit, RunResult, Verdict

TODAY = date(2026, 6, 1)
ENTRY = KnownFailure(check="ask", messages=("defect was a",), issue="https://example.org/12", expires=date(2026, 6, 1))


def _seen(*results: CheckResult, entry: KnownFailure = ENTRY, today: date = TODAY) -> RunResult:
    return with_known_failures(run(*results), known=[entry], checks={"ask", "other"}, today=today)


def test_a_failure_that_is_known_fails_no_run() -> None:
    seen = _seen(result(Verdict.FAIL), result(check="other"))
    assert seen.results[0].verdict is Verdict.KNOWN_FAILING
    assert seen.results[0].findings == (FINDING,)
    assert "https://example.org/12" in seen.results[0].because
    assert seen.exit is Exit.PASS


def test_a_run_of_known_failures_alone_is_no_success() -> None:
    assert _seen(result(Verdict.FAIL)).exit is Exit.TOO_LITTLE


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.WARN])
def test_an_entry_whose_check_does_not_fail_any_more_is_stale(verdict: Verdict) -> None:
    seen = _seen(result(verdict))
    assert seen.results[0].verdict is Verdict.STALE
    assert "take its entry out" in seen.results[0].because
    assert seen.exit is Exit.STALE


def test_an_entry_whose_check_fails_otherwise_is_stale_even_where_one_finding_is_known() -> None:
    other = type(FINDING)(requirement="STRM-LOG-001", message="the log has a hole")
    seen = _seen(result(Verdict.FAIL, findings=(FINDING, other)))
    assert seen.results[0].verdict is Verdict.STALE
    assert "the log has a hole" in seen.results[0].because


def test_an_entry_holds_on_its_last_day_and_is_stale_on_the_next() -> None:
    assert _seen(result(Verdict.FAIL)).results[0].verdict is Verdict.KNOWN_FAILING
    seen = _seen(result(Verdict.FAIL), today=date(2026, 6, 2))
    assert seen.results[0].verdict is Verdict.STALE
    assert "2026-06-01" in seen.results[0].because


def test_an_entry_of_no_check_is_stale_and_says_which_one_is_alike() -> None:
    entry = KnownFailure(check="othr", messages=("x",), issue="i", expires=TODAY)
    seen = _seen(result(check="other"), entry=entry)
    assert seen.results[-1].check == "othr"
    assert "did you mean other?" in seen.results[-1].because
    assert seen.exit is Exit.STALE


def test_an_entry_whose_check_was_left_out_is_left_alone_until_it_expires() -> None:
    assert _seen(result(check="other")).exit is Exit.PASS
    assert _seen(result(check="other"), today=date(2026, 6, 2)).exit is Exit.STALE


@pytest.mark.parametrize(
    "verdict", [Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE, Verdict.UNTESTABLE, Verdict.SUITE_ERROR]
)
def test_an_entry_whose_check_was_not_judged_changes_nothing(verdict: Verdict) -> None:
    assert _seen(result(verdict)).results == (result(verdict),)


def test_what_rests_on_a_known_failure_stays_untestable_and_fails_the_run() -> None:
    child = result(Verdict.UNTESTABLE, check="child", because="blocked by ask", blocked_by="ask")
    seen = _seen(result(Verdict.FAIL), child, result(check="other"))
    assert seen.results[0].verdict is Verdict.KNOWN_FAILING
    assert seen.results[1] == child
    assert seen.exit is Exit.FAILED


def test_what_rests_on_another_failure_still_fails_the_run() -> None:
    child = result(Verdict.UNTESTABLE, check="child", because="blocked by other", blocked_by="other")
    assert _seen(result(Verdict.FAIL), child, result(check="other")).exit is Exit.FAILED


def _read(folder: Path, text: str) -> tuple[KnownFailure, ...]:
    file = folder / "known.toml"
    file.write_text(text)
    return read_known_failing(file)


def test_a_list_is_one_check_a_line(tmp_path: Path) -> None:
    entries = _read(
        tmp_path,
        'ask = { message = "defect was a", issue = "https://example.org/12", expires = 2026-06-01 }\n'
        'other = { message = ["one way to fail", "another way!"], issue = "x", expires = 2026-06-02 }\n',
    )
    assert entries[0] == ENTRY
    assert entries[1].messages == ("one way to fail", "another way!")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ask = 1", "has to have message, issue and expires"),
        ('ask = { message = "m", issue = "i" }', "has to have message, issue and expires"),
        ('ask = { message = "m", issue = "i", expires = 2026-06-01, why = 1 }', "nothing else"),
        ('ask = { message = "", issue = "i", expires = 2026-06-01 }', "has no message"),
        ('ask = { message = [], issue = "i", expires = 2026-06-01 }', "has no message"),
        ('ask = { message = "defect was", issue = "i", expires = 2026-06-01 }', "would fit too many findings"),
        ('ask = { message = "defect was a", issue = "", expires = 2026-06-01 }', "names no issue"),
        ('ask = { message = "defect was a", issue = "i", expires = "soon" }', "no date"),
        ('ask = { message = "defect was a", issue = "i", expires = 2026-06-01T00:00:00Z }', "no date"),
        ("ask", "is no TOML"),
    ],
)
def test_an_incomplete_entry_is_refused_with_an_example(*, text: str, fault: str, tmp_path: Path) -> None:
    with pytest.raises(KnownFailingError, match=fault) as raised:
        _read(tmp_path, text)
    assert "expires = 2026-12-31" in str(raised.value)


def test_a_list_that_is_not_there_is_said_to_be_that(tmp_path: Path) -> None:
    with pytest.raises(KnownFailingError, match="cannot be read"):
        read_known_failing(tmp_path / "none")
