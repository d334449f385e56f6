"""The JUnit report, as GitHub, GitLab and their like read it: one test case for each check."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

from consilience_conformance.report.summary import Report, suite_fault
from consilience_conformance.requirements import requirements
from consilience_conformance.verdicts import CheckResult, Verdict

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What no XML document may hold, not even escaped."""

_SKIPPED = frozenset({Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED, Verdict.KNOWN_FAILING})


def report_to_junit(report: Report) -> str:
    """Returns a report as XML."""
    run = report.run
    if report.trouble:
        run = replace(run, results=(_trouble(report),))
    suites = ET.Element(
        "testsuites", {"name": "consilience-conformance", **_sums(run.results), "time": f"{run.seconds:.3f}"}
    )
    for area, results in _by_area(run.results).items():
        seconds = sum(result.seconds for result in results)
        suite = ET.SubElement(suites, "testsuite", {"name": area, **_sums(results), "time": f"{seconds:.3f}"})
        suite.set("timestamp", run.began.isoformat(timespec="seconds"))
        _set_properties(suite, report=report)
        for result in results:
            _add_case(suite, result, area=area, report=report)
    ET.indent(suites)
    return ET.tostring(suites, encoding="unicode", xml_declaration=True) + "\n"


def _trouble(report: Report) -> CheckResult:
    """Returns the one case of a report in which nothing was judged: without any, a build would look well."""
    return CheckResult(
        check="first-contact",
        title="The node is reached, and prepared for what was asked.",
        requirements=(),
        verdict=Verdict.UNTESTABLE,
        because=report.trouble,
    )


def _by_area(results: Sequence[CheckResult]) -> dict[str, list[CheckResult]]:
    """Returns the results by the first word of what they test: ASK, STRM."""
    areas: dict[str, list[CheckResult]] = {}
    for result in results:
        area = result.requirements[0].partition("-")[0] if result.requirements else "RUN"
        areas.setdefault(area, []).append(result)
    return areas


def _sums(results: Sequence[CheckResult]) -> dict[str, str]:
    kinds = [_kind(result) for result in results]
    return {
        "tests": str(len(kinds)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "skipped": str(kinds.count("skipped")),
    }


def _kind(result: CheckResult) -> str:
    if result.verdict in _SKIPPED:
        return "skipped"
    if result.verdict is Verdict.SUITE_ERROR:
        return "error"
    return "" if result.verdict in {Verdict.PASS, Verdict.WARN} else "failure"


def _set_properties(suite: ET.Element, *, report: Report) -> None:
    run = report.run
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("node", run.node_id),
        ("address", run.address),
        ("profiles", ",".join(run.profiles)),
        ("mode", run.mode),
        ("seed", str(run.seed)),
        ("requirements-digest", run.requirements_digest),
        *([("spent", report.spent)] if report.spent else []),
    ):
        ET.SubElement(properties, "property", name=name, value=_legal(value))


def _add_case(suite: ET.Element, result: CheckResult, *, area: str, report: Report) -> None:
    case = ET.SubElement(
        suite, "testcase", name=result.check, classname=f"conformance.{area}", time=f"{result.seconds:.3f}"
    )
    text = _legal("\n".join(_lines(result, report=report)))
    kind = _kind(result)
    if kind:
        element = ET.SubElement(case, kind, message=_legal(_message(result)))
        if kind != "skipped":
            element.set("type", result.verdict.value)
            element.text = text
    elif result.findings:
        ET.SubElement(case, "system-out").text = text


def _message(result: CheckResult) -> str:
    if result.verdict is Verdict.SUITE_ERROR:
        return suite_fault(result)
    if result.because:
        return f"{result.verdict}: {result.because}"
    return "; ".join(f"{finding.requirement} {finding.message}" for finding in result.findings)


def _lines(result: CheckResult, *, report: Report) -> Iterator[str]:
    yield result.title
    for finding in result.findings:
        rule = requirements().get(finding.requirement)
        yield ""
        yield f"{finding.requirement}: {rule.sentence}" if rule else finding.requirement
        yield finding.message + (f" ({finding.exchange})" if finding.exchange else "")
        if finding.expected:
            yield f"expected: {finding.expected}"
        if finding.got:
            yield f"got:      {finding.got}"
    yield ""
    yield f"again: {report.again(result)}"


def _legal(text: str) -> str:
    return _ILLEGAL.sub("�", text)
