"""A message that breaks a rule of its table is found, and one of a newer version is not."""

from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.rules.fields import field_findings

RESPONSE = "consilience.v1.GetNodeCardResponse"
SKILL = "consilience.v1.Skill"
ENVELOPE = SignedEnvelope(payload_type="a.B", payload=b"c", public_key=bytes(32), signature=bytes(64))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (RESPONSE, node_pb2.GetNodeCardResponse(card=ENVELOPE).SerializeToString()),
        (RESPONSE, node_pb2.GetNodeCardResponse(card=ENVELOPE).SerializeToString() + b"\xc2\x3e\x05newer"),
        (SKILL, node_pb2.Skill(id="chat").SerializeToString()),
    ],
)
def test_a_message_by_the_rules_is_found_nothing_of(kind: str, message: bytes) -> None:
    assert list(field_findings(message, kind, exchange="card")) == []


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (RESPONSE, b"", "the GetNodeCardResponse breaks the rule required"),
        (RESPONSE, b"\xff", "the GetNodeCardResponse does not parse"),
        (SKILL, node_pb2.Skill(id="Chat").SerializeToString(), "the Skill breaks the rule string.pattern"),
        (SKILL, node_pb2.Skill(id="chat", domains=["A B"]).SerializeToString(), "the Skill breaks the rule"),
    ],
)
def test_a_broken_rule_is_named(kind: str, message: bytes, expected: str) -> None:
    (finding,) = field_findings(message, kind, exchange="card")
    assert (finding.requirement, finding.exchange) == ("ERR-FLD-001", "card")
    assert finding.message.startswith(expected)


def test_a_broken_rule_of_one_of_many_tells_which() -> None:
    skill = node_pb2.Skill(id="chat", domains=["law", "A B"]).SerializeToString()
    (finding,) = field_findings(skill, SKILL, exchange="card")
    assert finding.got == "domains[1] that does not"


@pytest.mark.parametrize(("seconds", "nanos"), [(2**63 - 1, 0), (-(2**63), 0), (253402300800, 0), (5, -1), (5, 10**9)])
def test_a_time_beyond_all_calendars_is_found_and_stops_nobody(seconds: int, nanos: int) -> None:
    card = node_pb2.NodeCard(expire_time=Timestamp(seconds=seconds, nanos=nanos))
    (finding,) = field_findings(card.SerializeToString(), "consilience.v1.NodeCard", exchange="card")
    assert (finding.requirement, finding.message) == ("ERR-FLD-001", "the NodeCard breaks the rule of times")
