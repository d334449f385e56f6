"""Tests of the type RecordCheck: a record, the clock of who reads it, and its place or why it has none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from google.protobuf.message import Message

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.registry_pb2 import Record
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages, reviews
from consilience_conformance.vectors.generator.actors import NODE, Actor, rfc3339
from consilience_conformance.vectors.generator.layout import Case, Json, Refused

NOW = reviews.REVIEW_TIME + timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
DAY = timedelta(days=1)

FIELD = Refused(reason="FIELD_INVALID", requirement="ERR-FLD-001")
SIGNER = Refused(reason="SIGNER_WRONG", requirement="SIG-ENV-005")
SIGNATURE = Refused(reason="SIGNATURE_INVALID", requirement="SIG-ENV-001")
TYPE = Refused(reason="PAYLOAD_TYPE_WRONG", requirement="SIG-ENV-004")
FUTURE = Refused(reason="RECORD_NOT_YET_VALID", requirement="REC-ADM-001")
ENDED = Refused(reason="RECORD_EXPIRED", requirement="REC-ADM-001")
TICKET = Refused(reason="TICKET_INVALID", requirement="REV-OPEN-001")
KEY_OF_REVIEW = Refused(reason="SIGNING_KEY_UNKNOWN", requirement="REV-OPEN-001")
KEY_OF_REBUTTAL = Refused(reason="SIGNING_KEY_UNKNOWN", requirement="REC-ADM-001")
SUCCESSION = Refused(reason="SUCCESSION_INVALID", requirement="REC-ADM-001")

M = TypeVar("M", bound=Message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a record belongs, by the table of section 4.4.

    Attributes:
        author: Whose it is, 32 bytes.
        subject: Whom it is about, 32 bytes.
        slot: 32 bytes.
        issued: In whole seconds, so that there is one way to write it.
        end: The same; None: it has none.
        quota: How many slots the author has for it.
    """

    author: bytes
    subject: bytes
    slot: bytes
    issued: datetime
    end: datetime | None
    quota: int

    def to_json(self) -> Json:
        """Returns the values of a test."""
        return {
            "author": self.author.hex(),
            "subject": self.subject.hex(),
            "slot": self.slot.hex(),
            "issueTime": rfc3339(self.issued),
            "end": "" if self.end is None else rfc3339(self.end),
            "quota": self.quota,
        }


def kept(comment: str, flag: str, record: Record, place: Place, *, now: datetime = NOW) -> Case:
    """Returns a test of a record that passes."""
    return Case(comment=comment, flags=[flag], inputs={**_inputs(record, now=now), **place.to_json()})


def refused(comment: str, flag: str, record: Record, why: Refused, *, now: datetime = NOW) -> Case:
    """Returns a test of a record that fails."""
    return Case(comment=comment, flags=[flag], inputs=_inputs(record, now=now), refused=why)


def _inputs(record: Record, *, now: datetime) -> Json:
    return {"record": record.SerializeToString(deterministic=True).hex(), "now": rfc3339(now)}


def changed(message: M, change: Callable[[M], object]) -> M:
    """Returns a message after a change."""
    change(message)
    return message


def setting(**fields: object) -> Callable[[Message], None]:
    """Returns the change that sets fields; a message takes the place of the one that is there."""

    def change(message: Message) -> None:
        for name, value in fields.items():
            if isinstance(value, Message):
                getattr(message, name).CopyFrom(value)
            else:
                setattr(message, name, value)

    return change


def sealed_card(change: Callable[[node_pb2.NodeCard], object], *, by: Actor = NODE) -> SignedEnvelope:
    """Returns a card of the node, after a change."""
    return envelopes.seal(changed(messages.card(), change), seed=by.seed)
