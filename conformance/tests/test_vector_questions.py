"""What goes to an executor and what is kept from it: the schema marks every field, and the guide says the same."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from consilience_conformance import vectors
from consilience_conformance.vectors.questions import VectorFileError, fields_by_type, questions
from scripts.machine_cache import ROOT

_FOR_PEOPLE = {
    "CallHeaderCheck": {"header"},
    "EnvelopeSign": {"pae", "digest"},
    "EnvelopeVerify": {"pae"},
    "TranscriptFraming": {"utf8"},
}
_OF_EVERY_TEST = {"tcId", "comment", "flags", "result", "reason", "requirement", "type", "tests"}


def _merged(name: str) -> list[tuple[str, dict[str, Any]]]:
    groups = vectors.load(name)["testGroups"]
    return [(group["type"], {**group, **test}) for group in groups for test in group["tests"]]


def test_every_field_is_given_or_compared_or_for_people() -> None:
    used: dict[str, set[str]] = {}
    for name in vectors.NAMES:
        for kind, test in _merged(name):
            used.setdefault(kind, set()).update(test.keys() - _OF_EVERY_TEST)
    marked = {kind: {*fields.inputs, *fields.values} for kind, fields in fields_by_type().items()}
    assert used == {kind: names | _FOR_PEOPLE.get(kind, set()) for kind, names in marked.items()}


def test_nothing_that_is_to_come_out_goes_in_but_a_text_to_be_written_anew() -> None:
    both = {kind: set(fields.inputs) & set(fields.values) for kind, fields in fields_by_type().items()}
    assert {kind: names for kind, names in both.items() if names} == {"NodeIdText": {"text"}}


def test_no_question_tells_its_verdict() -> None:
    for question in questions():
        assert not question.input.keys() & _OF_EVERY_TEST
        hidden = {json.dumps(value) for name, value in question.values.items() if name not in question.input}
        assert not hidden & {json.dumps(value) for value in question.input.values()}, question


def test_every_test_becomes_one_question() -> None:
    assert len(questions()) == sum(vectors.load(name)["numberOfTests"] for name in vectors.NAMES)
    assert {question.type for question in questions()} == fields_by_type().keys()


def test_a_test_overlays_its_group() -> None:
    found = {question.input["oldCard"] for question in questions(["cards"], types=["KeySuccession"])}
    assert len(found) > 1
    assert all(question.input["node"] for question in questions(["headers"]))


def test_a_valid_test_has_values_and_an_invalid_one_none() -> None:
    for question in questions():
        assert question.valid is (question.reason == question.requirement == "")
        assert question.values.keys() == set(fields_by_type()[question.type].values if question.valid else ())


@pytest.mark.parametrize("damage", ["a test is missing", "a type is new"])
def test_a_damaged_file_is_a_fault_of_the_suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str) -> None:
    content = vectors.load("node_ids")
    schema = json.dumps(vectors.load("schema"))
    if damage == "a test is missing":
        del content["testGroups"][0]["tests"][0]
    else:
        content["testGroups"][0]["type"] = "NewType"
    (tmp_path / "node_ids.json").write_text(json.dumps(content))
    (tmp_path / "schema.json").write_text(schema)
    monkeypatch.setattr(vectors, "FOLDER", tmp_path)
    with pytest.raises(VectorFileError, match=r"node_ids\.json"):
        questions(["node_ids"])


def test_the_guide_names_the_fields_that_the_schema_marks() -> None:
    page = (ROOT / "docs" / "guides" / "run-the-vectors.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", page, flags=re.MULTILINE)
    written = {kind: tuple(tuple(re.findall(r"`(\w+)`", cell)) for cell in cells) for kind, *cells in rows}
    assert written == {kind: (fields.inputs, fields.values) for kind, fields in fields_by_type().items()}
