"""The layout of a vector file: groups of tests with notes on their flags, as in Project Wycheproof."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = Mapping[str, Any]


class BugType(enum.StrEnum):
    """What it means for an implementation to fail a test."""

    BASIC = "BASIC"
    """It does not speak the protocol."""
    AUTH_BYPASS = "AUTH_BYPASS"
    """It takes for signed what nobody, or somebody else, signed."""
    SIGNATURE_MALLEABILITY = "SIGNATURE_MALLEABILITY"
    """It takes a second signature that others can make from a first."""
    DISAGREEMENT = "DISAGREEMENT"
    """It sees as valid what others see as invalid, or the reverse."""
    MISSING_CHECK = "MISSING_CHECK"
    """It leaves out a check that the specification asks for."""
    WRONG_ORDER = "WRONG_ORDER"
    """It makes the checks, and not in the order of the specification."""
    BOUNDARY = "BOUNDARY"
    """It is off at a limit."""
    DATA_LOSS = "DATA_LOSS"
    """It loses, repeats or changes part of an answer."""
    WRONG_AMOUNT = "WRONG_AMOUNT"
    """It comes to another amount of money than others, or takes one that does not add up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a flag stands for."""

    bug_type: BugType
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Why an implementation has to refuse.

    Attributes:
        reason: The reason of the catalogue, where the node sends one.
        requirement: The requirement that is broken.
    """

    reason: str = ""
    requirement: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test.

    Attributes:
        comment: What is special about it.
        inputs: What the implementation is given, and what it has to return where that is more than a verdict.
        flags: Keys of the file's notes.
        refused: Why it is invalid, or None where it is valid.
    """

    comment: str
    inputs: Json
    flags: Sequence[str]
    refused: Refused | None = None

    def to_json(self, number: int) -> Json:
        """Returns the test under its number."""
        content = {"tcId": number, "comment": self.comment, "flags": list(self.flags), **self.inputs}
        if self.refused is None:
            return {**content, "result": "valid"}
        why = {"reason": self.refused.reason, "requirement": self.refused.requirement}
        return {**content, "result": "invalid", **{name: value for name, value in why.items() if value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Tests of one type, and what they share."""

    type: str
    comment: str
    cases: Sequence[Case]
    shared: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorFile:
    """One file of vectors.

    Attributes:
        name: Of the file, without suffix.
        subject: What it tests, in a sentence.
        spec: The chapter that it follows.
        notes: What its flags stand for.
        groups: Its tests.
    """

    name: str
    subject: str
    spec: str
    notes: Mapping[str, Note]
    groups: Sequence[Group]

    def to_text(self) -> str:
        """Returns the file's content, with tests numbered through from 1.

        Raises:
            ValueError: A flag has no note, or a note no flag.
        """
        cases = [case for group in self.groups for case in group.cases]
        if unexplained := {flag for case in cases for flag in case.flags} ^ self.notes.keys():
            raise ValueError(f"{self.name}: flags and notes differ in {sorted(unexplained)}")
        numbers = iter(range(1, len(cases) + 1))
        content = {
            "subject": self.subject,
            "protocol": "consilience.v1",
            "spec": self.spec,
            "schema": "schema.json",
            "numberOfTests": len(cases),
            "notes": {
                flag: {"bugType": note.bug_type, "description": note.description} for flag, note in self.notes.items()
            },
            "testGroups": [
                {
                    "type": group.type,
                    "comment": group.comment,
                    **group.shared,
                    "tests": [case.to_json(next(numbers)) for case in group.cases],
                }
                for group in self.groups
            ],
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
