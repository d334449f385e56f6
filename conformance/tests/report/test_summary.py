"""What every report says of a run."""

from conformance.tests.made_runs import result, run
from conformance.tests.report.reports import report
from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.report.summary import (
    NO_CHECK,
    NOT_SEEN,
    count_line,
    failures,
    must_share,
    share_line,
    standings,
    suite_fault,
    unjudged_musts,
    untested,
)
from consilience_conformance.requirements import requirements
from consilience_conformance.verdicts import Demand, Exit, Verdict

_NODE_MUSTS = {one.id for one in requirements().values() if one.is_must and one.binds("node")}


def test_counts_name_every_verdict_that_there_was() -> None:
    results = [result(verdict, check=str(index)) for index, verdict in enumerate(Verdict)]
    assert count_line(run(*results)) == (
        "1 of 9 checks passed, 1 failed, 1 warned, 1 untestable, 1 not applicable, 1 not tested, 1 known failing, "
        "1 stale, 1 suite error"
    )


def test_counts_are_in_the_plural_where_there_are_more() -> None:
    faults = [result(Verdict.SUITE_ERROR, check=name) for name in ("a", "b")]
    assert count_line(run(*faults)) == "0 of 2 checks passed, 2 suite errors"


def test_failures_are_what_fails_a_run() -> None:
    results = [result(verdict, check=verdict.value) for verdict in Verdict]
    assert {one.verdict for one in failures(run(*results))} == {Verdict.FAIL, Verdict.STALE, Verdict.SUITE_ERROR}


def test_what_was_not_tested_is_told_once_for_each_reason_and_what_counts_as_a_failure_first() -> None:
    groups = untested(
        run(
            result(Verdict.NOT_TESTED, check="a", because="needs a grant"),
            result(Verdict.NOT_TESTED, check="b", because="needs a grant"),
            result(Verdict.UNTESTABLE, check="c", because="blocked by y", blocked_by="ask"),
            result(Verdict.UNTESTABLE, check="d", because="blocked by z", blocked_by="ask"),
        )
    )
    assert [(group.verdict, group.because, len(group.results)) for group in groups] == [
        (Verdict.UNTESTABLE, "blocked by ask", 2),
        (Verdict.NOT_TESTED, "needs a grant", 2),
    ]


def test_a_finding_against_one_requirement_leaves_the_others_of_its_check_alone() -> None:
    rows = {row.requirement.id: row.verdict for row in standings(run(result(Verdict.FAIL)))}
    assert rows["ASK-IDEM-002"] is Verdict.FAIL
    assert rows["STRM-LOG-001"] is Verdict.PASS


def test_what_checks_leave_open_of_a_requirement_stands_with_it_where_one_was_made() -> None:
    name, part = next(iter(OPEN_PARTS["node"].items()))
    made = {row.requirement.id: row.open_part for row in standings(run(result(requirements=(name,))))}
    assert made[name] == part
    assert {row.open_part for row in standings(run(result(requirements=("STRM-LOG-001",))))} == {""}


def test_requirements_of_profiles_that_were_not_judged_are_not_applicable() -> None:
    rows = standings(run(result()))
    assert {row.verdict for row in rows if row.requirement.profile == "durable"} == {Verdict.NOT_APPLICABLE}


def test_the_share_counts_musts_that_have_a_verdict() -> None:
    judged, known = must_share(standings(run(result())))
    assert judged == 2
    assert known == len({name for name in _NODE_MUSTS if requirements()[name].profile == "core"})


def test_the_share_names_a_profile_only_where_something_of_it_was_judged() -> None:
    scripted = result(Verdict.NOT_TESTED, check="scripted", requirements=("SEC-SCRIPT-001",))
    line = share_line(run(result(), scripted, profiles=("core", "conformance")))
    known = len({name for name in _NODE_MUSTS if requirements()[name].profile == "core"})
    assert line == f"2 of {known} MUSTs of core judged, none of conformance"


def test_the_share_says_what_was_asked_for_and_not_judged() -> None:
    left = result(Verdict.NOT_TESTED, check="scripted")
    told = run(result(), left, demands=(Demand(name="SEC-SCRIPT-001", checks=("scripted",)),))
    assert share_line(told).endswith(" judged; not judged though asked for: SEC-SCRIPT-001")


def test_musts_without_a_check_are_told_apart_from_those_that_nothing_shows() -> None:
    groups = unjudged_musts(report(result()))
    assert {row.requirement.id for row in groups[NOT_SEEN]} <= set(EXCLUSIONS["node"])
    assert "SIG-ENV-003" in {row.requirement.id for row in groups[NO_CHECK]}
    assert "ASK-IDEM-002" not in {row.requirement.id for rows in groups.values() for row in rows}


def test_a_run_of_selected_checks_is_not_blamed_for_what_it_left_out() -> None:
    assert not unjudged_musts(report(result(), only=("ask",)))


def test_a_run_that_reached_no_node_says_so_of_every_must() -> None:
    told = report(trouble="nothing answers")
    assert told.exit is Exit.UNREACHABLE
    assert told.ending == "NOT JUDGED"
    assert told.sum == "nothing answers"
    assert "SIG-ENV-003" in {row.requirement.id for row in unjudged_musts(told)["nothing answers"]}


def test_the_line_that_runs_it_again_quotes_what_a_shell_would_read_otherwise() -> None:
    told = report(result())
    assert told.again(result(check="a-check")) == ("consilience-conformance run 127.0.0.1:7341 --seed 7 --only a-check")
    assert report(only=("a b",)).again().endswith("--only 'a b'")


def test_a_result_without_a_check_of_its_own_runs_all_again() -> None:
    assert "--only" not in report().again(result(check="gone", requirements=()))


def test_a_fault_of_the_suite_is_told_without_its_stack() -> None:
    assert suite_fault(result(Verdict.SUITE_ERROR, because="Traceback\n  File\nKeyError: 'x'\n")) == "KeyError: 'x'"
