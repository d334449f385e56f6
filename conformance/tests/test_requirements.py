"""The judge knows every requirement of the pages, finds it by its id, and tells a wrong id from a right one."""

import copy
import hashlib
import json
from dataclasses import asdict, replace
from importlib.resources import files
from typing import Any

import jsonschema
import pytest

from consilience_conformance.requirements import (
    Requirement,
    UnknownRequirementError,
    digest_of,
    requirement,
    requirements,
    set_digest,
)
from scripts.spec_requirements import spec_requirements

_ONE = Requirement(
    id="ASK-ANS-001",
    level="MUST NOT",
    role="both",
    profile="core",
    page="2-asks.md",
    anchor="25-the-answer",
    sentence="A node MUST NOT sing.",
)
_OTHER = replace(_ONE, id="ASK-ANS-002", level="SHOULD", role="client", sentence="A client SHOULD dance.")


def _file(name: str) -> Any:
    return json.loads((files("consilience_conformance") / name).read_text(encoding="utf-8"))


def _fits(content: Any) -> bool:
    schema = _file("requirements.schema.json")
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema).is_valid(content)


def test_the_judge_knows_what_stands_on_the_pages() -> None:
    assert tuple(requirements().values()) == spec_requirements()
    assert all(name == one.id for name, one in requirements().items())


def test_the_file_fits_its_schema() -> None:
    assert _fits(_file("requirements.json"))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "ASK-ANS-1"),
        ("level", "SHALL"),
        ("role", "server"),
        ("profile", "gold"),
        ("page", "../secrets.txt"),
        ("anchor", "#25"),
        ("sentence", "A node sings."),
        ("sha256", "00"),
        ("surprise", "1"),
    ],
)
def test_a_damaged_file_does_not_fit_the_schema(field: str, value: str) -> None:
    content = copy.deepcopy(_file("requirements.json"))
    content["requirements"][0][field] = value
    assert not _fits(content)


def test_the_digests_in_the_file_are_those_of_its_sentences() -> None:
    content = _file("requirements.json")
    assert content["setDigest"] == set_digest()
    for entry in content["requirements"]:
        assert entry["sha256"] == hashlib.sha256(entry["sentence"].encode()).hexdigest()


def test_the_digest_of_a_set_is_that_of_its_lines_in_the_order_of_ids() -> None:
    lines = f"ASK-ANS-001\tMUST NOT\tboth\tcore\t{_ONE.digest}\nASK-ANS-002\tSHOULD\tclient\tcore\t{_OTHER.digest}\n"
    assert digest_of([_OTHER, _ONE]) == digest_of([_ONE, _OTHER]) == hashlib.sha256(lines.encode()).hexdigest()


@pytest.mark.parametrize("field", ["id", "level", "role", "profile", "sentence"])
def test_the_digest_of_a_set_changes_with_what_a_rule_says(field: str) -> None:
    assert digest_of([Requirement(**{**asdict(_ONE), field: "another"})]) != digest_of([_ONE])


def test_the_digest_of_a_set_does_not_change_with_the_place_of_a_rule() -> None:
    assert digest_of([replace(_ONE, page="1-nodes.md", anchor="11-ids-and-keys")]) == digest_of([_ONE])


def test_musts_and_those_whom_they_bind_are_told_apart() -> None:
    assert _ONE.is_must
    assert not _OTHER.is_must
    assert _ONE.binds("node")
    assert _ONE.binds("client")
    assert _OTHER.binds("client")
    assert not _OTHER.binds("node")


def test_a_requirement_is_found_by_its_id() -> None:
    assert requirement("SIG-ENV-003").sentence == "A reader MUST refuse an envelope without a signature."


@pytest.mark.parametrize("name", ["SIG-ENV-03", "sig-env-003", "SIG-ENV-0003"])
def test_an_id_that_is_nearly_right_is_answered_with_the_right_one(name: str) -> None:
    with pytest.raises(UnknownRequirementError, match=r"did you mean .*SIG-ENV-003"):
        requirement(name)


def test_an_id_like_no_other_is_answered_with_the_list() -> None:
    with pytest.raises(UnknownRequirementError, match=r"no requirement is named cooking.*list"):
        requirement("cooking")
