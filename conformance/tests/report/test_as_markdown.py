"""The Markdown report is the summary of a job."""

from conformance.tests.made_runs import NODE_ID, result
from conformance.tests.report.reports import SPENT, hostile_report, paid_report, report
from consilience_conformance.report.as_markdown import report_to_markdown
from consilience_conformance.verdicts import Finding, Verdict


def test_the_first_line_says_how_it_ended() -> None:
    assert report_to_markdown(report(result())).startswith("## ✅ PASSED: desk\n")
    assert report_to_markdown(report(result(Verdict.FAIL))).startswith("## ❌ FAILED: desk\n")
    assert report_to_markdown(report()).startswith("## ❌ TOO LITTLE")
    assert report_to_markdown(report(trouble="nothing answers")).startswith("## ❌ NOT JUDGED")


def test_a_failure_has_its_rule_and_the_line_that_runs_it_again() -> None:
    text = report_to_markdown(report(result(Verdict.FAIL)))
    assert "### FAIL `ask`" in text
    assert "**ASK-IDEM-002** A node MUST refuse an ask" in text
    assert "expected `refused REQUEST_ID_REUSED`" in text
    assert "--only ask" in text
    assert f"`{NODE_ID}`" in text


def test_what_was_not_tested_has_a_heading_of_the_same_rank_as_a_failure() -> None:
    text = report_to_markdown(report(result(Verdict.NOT_TESTED)))
    assert "### Not tested" in text
    assert "| not tested | 1 check | needs something: `ask` |" in text
    assert "MUSTs |" in text


def test_many_findings_against_one_rule_are_counted() -> None:
    findings = tuple(Finding(requirement="ASK-IDEM-002", message=f"finding {index}") for index in range(9))
    text = report_to_markdown(report(result(Verdict.FAIL, findings=findings)))
    assert "- finding 1\n- and 7 more\n" in text


def test_what_a_node_writes_is_text() -> None:
    text = report_to_markdown(hostile_report())
    assert "<script>" not in text.replace("\\<script\\>", "").replace("`` <script>", "").replace("``<script>", "")
    assert "\x1b" not in text
    table = [line for line in text.splitlines() if line.startswith("|")]
    assert all(line.replace("\\|", "").count("|") == 4 for line in table)


def test_what_was_spent_is_told_where_something_could_be() -> None:
    assert f"Spent: {SPENT}" in report_to_markdown(paid_report()).replace("\\", "").splitlines()
    assert "Spent" not in report_to_markdown(report(result()))
