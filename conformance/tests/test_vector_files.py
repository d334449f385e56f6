"""The files of vectors are whole: they fit their schema, are the ones the generator makes, and name what exists."""

import copy
from functools import cache
from typing import Any

import jsonschema
import protovalidate
import pytest
from google.rpc import code_pb2

from consilience.v1 import ask_pb2, error_reason_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import vectors
from consilience_conformance.image import message_class
from consilience_conformance.vectors.generator.files import all_files
from consilience_conformance.vectors.generator.layout import VectorFile
from scripts.spec_requirements import spec_requirements


@cache
def _generated() -> dict[str, VectorFile]:
    return {file.name: file for file in all_files()}


def _tests(name: str) -> list[dict[str, Any]]:
    return [test for group in vectors.load(name)["testGroups"] for test in group["tests"]]


def _validator() -> jsonschema.Draft202012Validator:
    schema = vectors.load("schema")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())


def test_the_names_are_those_of_the_generator() -> None:
    assert tuple(_generated()) == vectors.NAMES


@pytest.mark.parametrize("name", vectors.NAMES)
def test_a_file_is_what_the_generator_makes(name: str) -> None:
    kept = (vectors.FOLDER / f"{name}.json").read_text(encoding="utf-8")
    assert kept == _generated()[name].to_text(), "run `python -m consilience_conformance.vectors.generator`"


@pytest.mark.parametrize("name", vectors.NAMES)
def test_a_file_fits_the_schema(name: str) -> None:
    _validator().validate(vectors.load(name))


@pytest.mark.parametrize("name", vectors.NAMES)
@pytest.mark.parametrize("damage", ["unknown field", "no verdict", "a reason for accepting", "no comment"])
def test_a_damaged_file_does_not_fit_the_schema(name: str, damage: str) -> None:
    content = copy.deepcopy(vectors.load(name))
    tests = [test for group in content["testGroups"] for test in group["tests"]]
    valid = next(test for test in tests if test["result"] == "valid")
    match damage:
        case "unknown field":
            valid["surprise"] = 1
        case "no verdict":
            del valid["result"]
        case "a reason for accepting":
            valid["reason"] = "SIGNATURE_INVALID"
        case _:
            valid["comment"] = ""
    assert not _validator().is_valid(content)


@pytest.mark.parametrize("name", vectors.NAMES)
def test_tests_are_numbered_through(name: str) -> None:
    numbers = [test["tcId"] for test in _tests(name)]
    assert numbers == list(range(1, vectors.load(name)["numberOfTests"] + 1))


@pytest.mark.parametrize("name", vectors.NAMES)
def test_every_file_refuses_and_accepts(name: str) -> None:
    assert {test["result"] for test in _tests(name)} == {"valid", "invalid"}


@pytest.mark.parametrize("name", vectors.NAMES)
def test_comments_tell_the_tests_of_a_group_apart(name: str) -> None:
    for group in vectors.load(name)["testGroups"]:
        comments = [test["comment"] for test in group["tests"]]
        assert len(set(comments)) == len(comments), group["comment"]


@pytest.mark.parametrize("name", vectors.NAMES)
def test_requirements_and_reasons_exist(name: str) -> None:
    defined = {requirement.id for requirement in spec_requirements()}
    reasons = {reason.removeprefix("ERROR_REASON_") for reason in error_reason_pb2.ErrorReason.keys()}  # noqa: SIM118
    assert {test["requirement"] for test in _tests(name) if "requirement" in test} <= defined
    assert {test["reason"] for test in _tests(name) if "reason" in test} <= reasons


def _violations(full_name: str, encoded: bytes) -> list[str]:
    violations = protovalidate.collect_violations(message_class(full_name).FromString(encoded))
    return [str(violation.proto.rule_id) for violation in violations]


def test_headers_that_are_in_order_keep_the_constraints_of_the_proto() -> None:
    for test in _tests("headers"):
        violations = _violations("consilience.v1.CallHeader", bytes.fromhex(test["encodedHeader"]))
        assert bool(violations) is (test.get("reason") == "FIELD_INVALID"), test["comment"]


def test_the_exchange_keeps_the_constraints_of_the_proto() -> None:
    (group,) = vectors.load("exchanges")["testGroups"]
    events = [bytes.fromhex(event) for event in group["tests"][0]["events"]]
    answer = ask_pb2.AnswerEvent.FromString(events[-1]).final.answer
    signed = [SignedEnvelope.FromString(bytes.fromhex(group[name])) for name in ("card", "ask")]
    for envelope in (*signed, answer):
        assert _violations(envelope.payload_type, envelope.payload) == []
    for event in events:
        assert _violations("consilience.v1.AnswerEvent", event) == []


def test_the_catalogue_names_grpc_codes() -> None:
    codes = {test["code"]: test["codeNumber"] for test in _tests("errors") if "codeNumber" in test}
    assert codes == {name: code_pb2.Code.Value(name) for name in codes}
    assert len([test for test in _tests("errors") if "number" in test]) == len(error_reason_pb2.ErrorReason.items()) - 1
