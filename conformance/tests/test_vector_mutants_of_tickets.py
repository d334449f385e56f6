"""The vectors of tickets can fail too: a careless reader fails those made for its fault, and no others."""

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import protovalidate
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1.ask_pb2 import Accepted, AnswerEvent, Ask
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.node_pb2 import NodeCard
from consilience.v1.review_pb2 import ReviewTicket
from consilience_conformance import vectors
from consilience_conformance.envelopes import defect_of
from consilience_conformance.image import message_class
from consilience_conformance.wire_values import time_of

Test = dict[str, Any]


@cache
def _tests(name: str, group_type: str) -> tuple[Test, ...]:
    groups = vectors.load(name)["testGroups"]
    return tuple({**group, **test} for group in groups if group["type"] == group_type for test in group["tests"])


def _flags(tests: Sequence[Test]) -> set[str]:
    return {flag for test in tests for flag in test["flags"]}


def _time(value: Timestamp) -> datetime:
    time = time_of(value)
    assert time is not None
    return time


def _envelope(encoded: str) -> SignedEnvelope:
    return SignedEnvelope.FromString(bytes.fromhex(encoded))


@pytest.mark.parametrize(
    "commitment",
    [
        lambda reviewer, salt: salt + reviewer,
        lambda reviewer, salt: (reviewer + salt).hex().encode(),
        lambda reviewer, salt: reviewer + salt.lstrip(b"\0"),
        lambda reviewer, _: reviewer,
        lambda _, salt: salt,
    ],
)
def test_another_commitment_fails(commitment: Callable[[bytes, bytes], bytes]) -> None:
    def committed(test: Test, over: Callable[[bytes, bytes], bytes]) -> bool:
        hashed = hashlib.sha256(over(bytes.fromhex(test["reviewer"]), bytes.fromhex(test["salt"]))).hexdigest()
        return bool(hashed == test["reviewerCommitment"])

    tests = _tests("tickets", "ReviewerCommitment")
    assert all(committed(test, lambda reviewer, salt: reviewer + salt) for test in tests)
    assert not all(committed(test, commitment) for test in tests)


@pytest.mark.parametrize(
    "digits",
    [
        lambda charge: len(f"{charge:.15g}".replace(".", "").split("e")[0]),
        lambda charge: len(f"{float(charge):.0f}"),
        lambda charge: (charge.bit_length() * 30103) // 100000,
        lambda charge: len(str(charge - 1)),
        lambda charge: len(str(charge + 1)),
        lambda charge: len(hex(charge)) - 2,
    ],
)
def test_other_digits_fail(digits: Callable[[int], int]) -> None:
    tests = _tests("tickets", "ChargeDigits")
    assert all(len(test["charge"]) == test["chargeDigits"] for test in tests)
    assert any(digits(int(test["charge"])) != test["chargeDigits"] for test in tests)


def _violations(envelope: SignedEnvelope) -> list[Any]:
    """Tells what breaks the rules, which the classes of the image know."""
    found = protovalidate.collect_violations(message_class("consilience.v1.ReviewTicket").FromString(envelope.payload))
    return list(found)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TicketReader:
    """How a client checks a ticket, each step open to a fault."""

    insists: bool = True
    verifies: bool = True
    rules: bool = True
    compared: tuple[str, ...] = ("node_id", "skill_id", "reviewer_commitment")
    looks_up_key: bool = True
    expiry: Callable[[datetime, datetime], bool] = lambda at, expiry: at <= expiry
    day: Callable[[datetime], datetime] = lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0)

    def accepts(self, test: Test) -> bool:
        """Returns what it makes of a vector."""
        card, ask = NodeCard.FromString(_envelope(test["card"]).payload), _envelope(test["ask"])
        accepted = AnswerEvent.FromString(bytes.fromhex(test["accepted"])).accepted
        if not accepted.HasField("ticket"):
            return not self.insists
        ticket = ReviewTicket.FromString(accepted.ticket.payload)
        if self.verifies and defect_of(
            accepted.ticket, payload_type="consilience.v1.ReviewTicket", signer=ticket.signing_key
        ):
            return False
        if self.rules and _violations(accepted.ticket):
            return False
        return self._fits(ticket, card=card, ask=Ask.FromString(ask.payload), accepted=accepted)

    def _fits(self, ticket: ReviewTicket, *, card: NodeCard, ask: Ask, accepted: Accepted) -> bool:
        named = {
            "node_id": card.node_id,
            "skill_id": ask.skill_id,
            "reviewer_commitment": ask.reviewer_commitment,
        }
        at = _time(accepted.accept_time)
        expiries = {key.public_key: _time(key.expire_time) for key in card.signing_keys}
        if ticket.signing_key not in expiries and self.looks_up_key:
            return False
        return (
            all(getattr(ticket, name) == named[name] for name in self.compared)
            and self.expiry(at, expiries.get(ticket.signing_key, at))
            and _time(ticket.issue_day) == self.day(at)
        )


def _misjudged_tickets(reader: TicketReader) -> list[Test]:
    return [test for test in _tests("tickets", "TicketCheck") if reader.accepts(test) != (test["result"] == "valid")]


def test_a_careful_reader_of_tickets_passes() -> None:
    assert _misjudged_tickets(TicketReader()) == []


@pytest.mark.parametrize(
    ("fault", "flags"),
    [
        ({"insists": False}, {"Absent"}),
        ({"verifies": False}, {"Envelope"}),
        ({"rules": False, "day": lambda at: at}, {"Plain", "KeyTime", "Day", "Fields"}),
        ({"compared": ("skill_id", "reviewer_commitment")}, {"Binding"}),
        ({"compared": ("node_id", "reviewer_commitment")}, {"Binding"}),
        ({"compared": ("node_id", "skill_id")}, {"Binding"}),
        ({"looks_up_key": False}, {"Key"}),
        ({"expiry": lambda _at, _expiry: True}, {"KeyTime"}),
        ({"expiry": lambda at, expiry: at < expiry}, {"KeyTime", "Key"}),
        ({"day": lambda at: (at + timedelta(hours=11)).replace(hour=0, minute=0, second=0, microsecond=0)}, {"Day"}),
        ({"day": lambda at: (at - timedelta(hours=10)).replace(hour=0, minute=0, second=0, microsecond=0)}, {"Day"}),
    ],
)
def test_a_careless_reader_of_tickets_fails(fault: dict[str, Any], flags: set[str]) -> None:
    found = _flags(_misjudged_tickets(dataclasses.replace(TicketReader(), **fault)))
    assert found
    assert found <= flags
