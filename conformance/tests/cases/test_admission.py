"""A card can say any number: none of them makes the judge build what no request can hold, or fail."""

from __future__ import annotations

from random import Random

import pytest
from google.protobuf.duration_pb2 import Duration

from conformance.tests.made_transcripts import card, exchange, found, log, refusal, stream
from consilience.v1 import node_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.cases import all_checks
from consilience_conformance.needs import NotApplicableError
from consilience_conformance.stage import Stage
from consilience_conformance.subjects import Subject
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.targets import Target, Transport
from consilience_conformance.transcripts import Exchange, Transcript

NOWHERE = "127.0.0.1:9"


def stage_with(limits: node_pb2.Limits) -> Stage:
    """Returns a stage at a node that is not there: what is not applicable is found out before anything is sent."""
    envelope = card()
    told = node_pb2.NodeCard.FromString(envelope.payload)
    told.limits.CopyFrom(limits)
    return Stage(
        target=Target(address=NOWHERE, transport=Transport(authority=NOWHERE), envelope=envelope, card=told),
        subject=Subject(skill=told.skills[0], question="why?"),
        callers=[Caller.new()],
        grant=None,
        random=Random(0),  # noqa: S311 - nothing is kept secret by it
        budget=0.5,
        transcript=Transcript(check="any"),
        surroundings=Surroundings(),
    )


@pytest.mark.parametrize(
    ("check", "limits"),
    [
        ("turns-are-limited", node_pb2.Limits(max_turns=2_000_000_000)),
        ("turns-are-limited", node_pb2.Limits(max_turns=500_000, max_message_bytes=2**62)),
        ("turns-are-limited", node_pb2.Limits(max_turns=-1)),
        ("input-bytes-are-limited", node_pb2.Limits(max_input_bytes=4 * 10**12)),
        ("input-bytes-are-limited", node_pb2.Limits(max_input_bytes=4 * 2**20, max_message_bytes=2**62)),
        ("output-tokens-are-limited", node_pb2.Limits(max_output_tokens=2**63 - 1)),
        ("output-tokens-are-limited", node_pb2.Limits(max_output_tokens=-1)),
        ("run-time-is-limited", node_pb2.Limits(max_run_time=Duration(seconds=2**63 - 1))),
        ("run-time-is-limited", node_pb2.Limits(max_run_time=Duration(seconds=-(2**63)))),
        ("message-bytes-are-limited", node_pb2.Limits(max_message_bytes=2**62)),
        ("message-bytes-are-limited", node_pb2.Limits(max_message_bytes=10)),
        ("prompt-is-not-dropped-in-silence", node_pb2.Limits(max_input_tokens=2**62)),
        ("prompt-is-not-dropped-in-silence", node_pb2.Limits(max_input_tokens=2**62, max_input_bytes=2**63 - 1)),
        ("prompt-is-not-dropped-in-silence", node_pb2.Limits(max_input_tokens=-1)),
    ],
)
async def test_a_limit_that_no_ask_can_reach_is_not_tried(check: str, limits: node_pb2.Limits) -> None:
    (drive,) = (one.drive for one in all_checks() if one.name == check)
    stage = stage_with(limits)
    try:
        with pytest.raises(NotApplicableError):
            await drive(stage)
    finally:
        await stage.close()
    assert not stage.transcript.exchanges


def limited(limit: str) -> tuple[Exchange, ...]:
    return (
        stream("at-the-limit", log("hello")),
        refusal("over-the-limit", "LIMIT_EXCEEDED", limit=limit),
        refusal("get-over-the-limit", "LIMIT_EXCEEDED", limit=limit),
        refusal("state", "ANSWER_UNKNOWN"),
        stream("control-after", log("hello")),
    )


LIMITS = [
    ("turns-are-limited", "max_turns"),
    ("input-bytes-are-limited", "max_input_bytes"),
    ("output-tokens-are-limited", "max_output_tokens"),
    ("run-time-is-limited", "max_run_time"),
    ("message-bytes-are-limited", "max_message_bytes"),
]


@pytest.mark.parametrize(("check", "limit"), LIMITS)
def test_an_ask_over_a_limit_must_not_be_bound(check: str, limit: str) -> None:
    good = limited(limit)
    assert found(check, good, maximum=1) == []
    bound = refusal("control-after", "REQUEST_ID_REUSED")
    assert found(check, good, bound, maximum=1) == [("ASK-IDEM-005", "control-after was not accepted")]
    there = exchange("state", b"any")
    assert found(check, good, there, maximum=1) == [("ASK-IDEM-005", "state was accepted")]


def test_a_prompt_that_is_refused_must_not_be_bound() -> None:
    good = (
        refusal("whole", "LIMIT_EXCEEDED"),
        refusal("truncated", "LIMIT_EXCEEDED"),
        refusal("state", "ANSWER_UNKNOWN"),
        stream("control-after", log("hello")),
    )
    assert found("prompt-is-not-dropped-in-silence", good) == []
    bound = refusal("control-after", "REQUEST_ID_REUSED")
    assert found("prompt-is-not-dropped-in-silence", good, bound) == [
        ("ASK-IDEM-005", "control-after was not accepted")
    ]
