"""The JUnit report says what a build server reads."""

from xml.etree import ElementTree as ET

from conformance.tests.made_runs import result
from conformance.tests.report.reports import SPENT, hostile_report, paid_report, report
from consilience_conformance.report.as_junit import report_to_junit
from consilience_conformance.verdicts import Verdict


def _cases(root: ET.Element) -> dict[str, ET.Element]:
    return {case.attrib["name"]: case for case in root.iter("testcase")}


def test_each_check_is_a_case_with_what_became_of_it() -> None:
    results = [result(verdict, check=verdict.name.lower()) for verdict in Verdict]
    root = ET.fromstring(report_to_junit(report(*results)))  # noqa: S314 - our own
    kinds = {name: [child.tag for child in case] for name, case in _cases(root).items()}
    assert kinds == {
        "pass": [],
        "fail": ["failure"],
        "warn": [],
        "untestable": ["failure"],
        "not_applicable": ["skipped"],
        "not_tested": ["skipped"],
        "known_failing": ["skipped"],
        "stale": ["failure"],
        "suite_error": ["error"],
    }
    assert {key: root.attrib[key] for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "9",
        "failures": "3",
        "errors": "1",
        "skipped": "3",
    }


def test_a_failure_says_what_was_wrong_by_which_rule_and_how_to_run_it_again() -> None:
    root = ET.fromstring(report_to_junit(report(result(Verdict.FAIL))))  # noqa: S314 - our own
    failure = _cases(root)["ask"].find("failure")
    assert failure is not None
    assert failure.attrib["message"] == "ASK-IDEM-002 defect was accepted"
    text = failure.text or ""
    assert "A node MUST refuse an ask whose request id is bound" in text
    assert "expected: refused REQUEST_ID_REUSED" in text
    assert "again: consilience-conformance run 127.0.0.1:7341 --seed 7 --only ask" in text


def test_a_warning_is_told_without_failing_the_build() -> None:
    findings = result(Verdict.FAIL).findings
    root = ET.fromstring(report_to_junit(report(result(Verdict.WARN, findings=findings))))  # noqa: S314 - our own
    assert "defect was accepted" in (_cases(root)["ask"].findtext("system-out") or "")


def test_cases_are_grouped_by_what_they_test() -> None:
    first, second = result(check="a", requirements=("SIG-ENV-001",)), result(check="b", requirements=("ASK-IDEM-002",))
    root = ET.fromstring(report_to_junit(report(first, second)))  # noqa: S314 - our own
    assert [suite.attrib["name"] for suite in root.iter("testsuite")] == ["SIG", "ASK"]


def test_what_a_hostile_node_writes_leaves_the_document_whole() -> None:
    root = ET.fromstring(report_to_junit(hostile_report()))  # noqa: S314 - our own
    assert "<script>alert(1)</script>" in "".join(root.itertext())
    assert len(_cases(root)) == 3


def test_a_run_that_reached_no_node_is_a_case_that_failed() -> None:
    root = ET.fromstring(report_to_junit(report(trouble="nothing answers")))  # noqa: S314 - our own
    assert root.attrib["failures"] == "1"
    assert _cases(root)["first-contact"][0].attrib["message"] == "untestable: nothing answers"


def test_what_was_spent_is_a_property_where_something_could_be() -> None:
    root = ET.fromstring(report_to_junit(paid_report()))  # noqa: S314 - our own
    assert [one.attrib["value"] for one in root.iter("property") if one.attrib["name"] == "spent"] == [SPENT]
    assert "spent" not in report_to_junit(report(result()))
