"""The JSON report fits its schema, and nothing is lost in it."""

import json
from typing import Any

import jsonschema
import pytest

from conformance.tests.made_runs import result
from conformance.tests.report.reports import hostile_report, paid_report, report
from consilience_conformance.report.as_json import report_from_json, report_to_json, schema
from consilience_conformance.report.summary import Report
from consilience_conformance.verdicts import Verdict


def _written(value: Report) -> Any:
    return json.loads(json.dumps(report_to_json(value)))


def _check(value: Any) -> None:
    jsonschema.Draft202012Validator(schema(), format_checker=jsonschema.FormatChecker()).validate(value)


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_report_with_any_verdict_fits_the_schema(verdict: Verdict) -> None:
    _check(_written(report(result(verdict))))


def test_a_report_of_a_hostile_node_and_one_of_none_fit_the_schema() -> None:
    _check(_written(hostile_report()))
    _check(_written(report(trouble="nothing answers")))


@pytest.mark.parametrize("missing", ["results", "node", "exit", "requirements"])
def test_a_report_that_lacks_something_does_not_fit_the_schema(missing: str) -> None:
    value = _written(report(result()))
    del value[missing]
    with pytest.raises(jsonschema.ValidationError, match=missing):
        _check(value)


def test_a_report_with_more_than_the_schema_says_does_not_fit_it() -> None:
    value = _written(report(result()))
    value["results"][0]["secret"] = 1
    with pytest.raises(jsonschema.ValidationError, match="secret"):
        _check(value)


def test_what_was_written_is_read_again() -> None:
    before = report(*(result(verdict, check=verdict.name.lower()) for verdict in Verdict), only=("ask",))
    assert report_from_json(_written(before)) == before


def test_the_sum_stands_beside_the_results() -> None:
    value = _written(report(result(), result(Verdict.FAIL, check="b")))
    assert value["exit"] == 1
    assert value["ending"] == "FAILED"
    assert value["counts"] == {"pass": 1, "fail": 1}
    assert value["musts"]["judged"] == 2
    standing = next(row for row in value["requirements"] if row["id"] == "ASK-IDEM-002")
    assert standing["verdict"] == "fail"
    assert standing["checks"] == ["ask", "b"]


def test_what_was_spent_is_told_to_the_unit_and_read_again() -> None:
    value = _written(paid_report())
    _check(value)
    assert value["spending"]["authorized"] == {"value": 500, "asset": "USD/6", "text": "0.0005 USD"}
    assert value["spending"]["setAside"]["value"] == 900
    assert value["spending"]["allowed"]["value"] == 1000
    assert value["spending"]["more"]["value"] == 220
    assert [one["check"] for one in value["spending"]["leftOut"]] == ["ask"]
    assert report_from_json(value) == paid_report()
    assert _written(report(result()))["spending"] is None
