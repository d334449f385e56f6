"""The vectors of slots can fail too: whoever decides by another order fails those made for its fault, and no others."""

import dataclasses
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.node_pb2 import KeyAcceptance, KeySuccession, NodeCard
from consilience.v1.registry_pb2 import Record
from consilience.v1.review_pb2 import Advisory, Rebuttal, Retraction, Review, ReviewTicket
from consilience_conformance import vectors
from consilience_conformance.envelopes import envelope_digest
from consilience_conformance.wire_values import time_of

Test = dict[str, Any]

LIFETIME = timedelta(days=730)
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
KINDS = {kind.DESCRIPTOR.full_name: kind for kind in (NodeCard, KeySuccession, Review, Retraction, Rebuttal, Advisory)}


def _tests() -> list[Test]:
    (group,) = vectors.load("slots")["testGroups"]
    return [*group["tests"]]


def _time(value: Timestamp) -> datetime:
    time = time_of(value)
    assert time is not None
    return time


@dataclasses.dataclass(frozen=True, kw_only=True)
class Said:
    """A record, as far as slots go."""

    kind: type
    issued: datetime
    end: datetime
    envelope: SignedEnvelope


def _said(encoded: str, *, end_of_review: str) -> Said:
    envelope = Record.FromString(bytes.fromhex(encoded)).object
    value = KINDS[envelope.payload_type].FromString(envelope.payload)
    match value:
        case NodeCard():
            issued, end = EPOCH + timedelta(microseconds=value.sequence), _time(value.expire_time)
        case KeySuccession():
            issued = end = _time(KeyAcceptance.FromString(value.acceptance.payload).issue_time)
        case Review():
            issued = _time(value.issue_time)
            day = _time(ReviewTicket.FromString(value.ticket.payload).issue_day)
            end = (day if end_of_review == "issue_day" else issued) + LIFETIME
        case Rebuttal():
            issued = _time(value.issue_time)
            end = issued + LIFETIME
        case _:
            issued, end = _time(value.issue_time), _time(value.expire_time)
    return Said(kind=type(value), issued=issued, end=end, envelope=envelope)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Registry:
    """How a registry decides, each rule open to a fault."""

    rank_of_cards: Callable[[Said], datetime] = lambda said: said.issued
    successions_stay: bool = True
    takes_back: Callable[[datetime, datetime], bool] = lambda end, target: end >= target
    end_of_review: str = "issue_day"
    rank_of_retractions: Callable[[Said], datetime] = lambda said: said.end
    first_review: bool = True
    last_rebuttal: bool = True
    digest: Callable[[SignedEnvelope], bytes] = envelope_digest
    smaller: bool = True
    refuses: bool = True

    def verdict(self, test: Test) -> str:
        """Returns what becomes of the newcomer of a vector."""
        held, newcomer = (_said(test[name], end_of_review=self.end_of_review) for name in ("held", "newcomer"))
        if self._wins(newcomer, held):
            return "STORED"
        if not self.refuses:
            return "SUPERSEDED"
        if newcomer.kind is KeySuccession:
            return "SUCCESSION_INVALID"
        if newcomer.kind in {Review, Advisory} and held.kind is Retraction:
            return "RECORD_RETRACTED"
        return "TICKET_USED" if newcomer.kind is Review else "SUPERSEDED"

    def _wins(self, newcomer: Said, held: Said) -> bool:
        match newcomer.kind.__name__, held.kind.__name__:
            case "KeySuccession", _:
                return not self.successions_stay
            case "Retraction", "Retraction":
                return self._later(newcomer, held, rank=self.rank_of_retractions, last=True)
            case "Retraction", _:
                return self.takes_back(newcomer.end, held.end)
            case _, "Retraction":
                return not self.takes_back(held.end, newcomer.end)
            case "NodeCard", _:
                return self._later(newcomer, held, rank=self.rank_of_cards, last=True)
            case kind, _:
                last = self.last_rebuttal if kind == "Rebuttal" else not self.first_review
                return self._later(newcomer, held, rank=lambda said: said.issued, last=last)

    def _later(self, newcomer: Said, held: Said, *, rank: Callable[[Said], datetime], last: bool) -> bool:
        if rank(newcomer) != rank(held):
            return (rank(newcomer) > rank(held)) is last
        smaller = self.digest(newcomer.envelope) < self.digest(held.envelope)
        return smaller is self.smaller


def _misjudged(registry: Registry) -> set[str]:
    """Returns the flags of the tests that a registry fails."""
    wrong = [test for test in _tests() if registry.verdict(test) != test.get("outcome", test.get("reason"))]
    return {flag for test in wrong for flag in test["flags"]}


def test_a_careful_registry_passes() -> None:
    assert _misjudged(Registry()) == set()


@pytest.mark.parametrize(
    ("fault", "flags"),
    [
        ({"rank_of_cards": lambda _: EPOCH}, {"Cards"}),
        ({"rank_of_cards": lambda said: said.issued.replace(microsecond=0)}, {"Cards"}),
        ({"successions_stay": False}, {"Successions"}),
        ({"takes_back": lambda end, target: end > target}, {"TakenBack"}),
        ({"takes_back": lambda _end, _target: True}, {"EndsSooner"}),
        ({"takes_back": lambda end, target: end >= target - timedelta(seconds=1)}, {"EndsSooner"}),
        ({"end_of_review": "issue_time"}, {"TakenBack"}),
        ({"rank_of_retractions": lambda said: said.issued}, {"Retractions"}),
        ({"first_review": False}, {"Reviews"}),
        ({"last_rebuttal": False}, {"Rebuttals"}),
        ({"smaller": False}, {"Tie", "Cards", "Retractions", "Reviews", "Rebuttals"}),
        (
            {"digest": lambda said: hashlib.sha256(said.payload).digest()},
            {"Tie", "Cards", "Retractions", "Reviews", "Rebuttals"},
        ),
        ({"refuses": False}, {"Successions", "TakenBack", "Reviews", "Tie"}),
    ],
)
def test_a_careless_registry_fails(fault: dict[str, Any], flags: set[str]) -> None:
    assert _misjudged(dataclasses.replace(Registry(), **fault)) == flags


def test_whoever_came_first_does_not_matter_but_to_successions() -> None:
    outcomes: dict[frozenset[str], set[str]] = {}
    for test in _tests():
        winner = test["newcomer"] if test.get("outcome") == "STORED" else test["held"]
        outcomes.setdefault(frozenset({test["held"], test["newcomer"]}), set()).add(winner)
    assert sorted(len(winners) for winners in outcomes.values()) == [1] * (len(outcomes) - 1) + [2]
