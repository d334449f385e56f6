"""What an executor is asked, and apart from it what is to come out (docs/guides/run-the-vectors.md).

>>> question = questions(["node_ids"])[0]
>>> question.type, sorted(question.input)
('NodeIdText', ['text'])
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from consilience_conformance import vectors


class VectorFileError(Exception):
    """A file of vectors is damaged: the suite itself is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Which fields of a type go in and which are to come out.

    Attributes:
        inputs: Given to the executor, where the test or its group has them.
        values: Never given, and compared where the test is valid. A field in both is one that the executor has to write
            anew from what it read.
    """

    inputs: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One test: what the executor is given, and what it has to make of it.

    Attributes:
        file: Name of the file, without suffix.
        number: The test's `tcId`.
        type: Of its group.
        comment: What is special about it.
        notes: What each of its flags stands for, led by the type of bug.
        input: The fields that the executor is given.
        values: What it has to come to; empty for an invalid test.
        valid: Whether it has to accept.
        reason: The reason it has to refuse for, or nothing where any will do.
        requirement: The requirement that is broken, or nothing.
    """

    file: str
    number: int
    type: str
    comment: str
    notes: Mapping[str, str]
    input: Mapping[str, Any]
    values: Mapping[str, Any]
    valid: bool
    reason: str = ""
    requirement: str = ""


@cache
def fields_by_type() -> Mapping[str, Fields]:
    """Returns the fields of every type of vector, as the schema marks them."""
    kinds = (definition for definition in vectors.load("schema")["$defs"].values() if "x-inputs" in definition)
    return {
        kind["properties"]["type"]["const"]: Fields(inputs=tuple(kind["x-inputs"]), values=tuple(kind["x-values"]))
        for kind in kinds
    }


def questions(files: Sequence[str] = vectors.NAMES, *, types: Collection[str] = ()) -> list[Question]:
    """Returns the questions of some files, in order.

    Args:
        files: Names without suffix.
        types: The types wanted, or none for all.

    Raises:
        FileNotFoundError: There is no file of that name.
        VectorFileError: A file does not hold as many tests as it says, or a type without fields in the schema.
    """
    found = [question for name in files for question in _of_file(name)]
    return [question for question in found if not types or question.type in types]


def _of_file(name: str) -> list[Question]:
    content = vectors.load(name)
    found = [question for group in content["testGroups"] for question in _of_group(name, content["notes"], group)]
    if len(found) != content["numberOfTests"]:
        raise VectorFileError(f"{name}.json says {content['numberOfTests']} tests and holds {len(found)}")
    return found


def _of_group(file: str, notes: Mapping[str, Any], group: Mapping[str, Any]) -> Iterator[Question]:
    fields = fields_by_type().get(group["type"])
    if fields is None:
        raise VectorFileError(f"{file}.json holds the type {group['type']}, whose fields schema.json does not mark")
    for test in group["tests"]:
        merged = {**group, **test}
        valid = test["result"] == "valid"
        yield Question(
            file=file,
            number=test["tcId"],
            type=group["type"],
            comment=test["comment"],
            notes={flag: f"{notes[flag]['bugType']}: {notes[flag]['description']}" for flag in test["flags"]},
            input={name: merged[name] for name in fields.inputs if name in merged},
            values={name: merged[name] for name in fields.values} if valid else {},
            valid=valid,
            reason=test.get("reason", ""),
            requirement=test.get("requirement", ""),
        )
