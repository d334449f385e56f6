import itertools
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience import envelopes
from consilience._wire.convert import to_message
from consilience._wire.envelopes import seal
from consilience._wire.events import encode_event
from consilience.asks import (
    Accepted,
    Answer,
    AnswerEvent,
    ByteSpan,
    Citation,
    Confidence,
    DocumentSource,
    Final,
    Intake,
    Outcome,
    RetrievedChunk,
    TextDelta,
    Usage,
)
from consilience.client import Client
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    ProtocolError,
)
from consilience.identity import KeyPair
from consilience.nodes import Model, Skill
from consilience.units import Digest, Sequence, utc_now
from consilience.v1 import ask_pb2
from sdk.tests.client.scripted_nodes import AskCall, LogBuilder, ScriptedNode, greet

Script = Callable[[AskCall], AsyncIterator[bytes]]


def event(sequence: int, what: Accepted | TextDelta | Final) -> bytes:
    return encode_event(AnswerEvent(sequence=Sequence(sequence), event=what))


def text(sequence: int, words: str, *, first: int | None = None) -> bytes:
    return event(sequence, TextDelta(first_sequence=Sequence(first or sequence), text=words))


async def text_before_accepted(call: AskCall) -> AsyncIterator[bytes]:
    yield text(1, "too soon")


async def accepted_twice(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield event(2, Accepted(ask_digest=call.ask.digest, accept_time=utc_now()))


async def another_ask_accepted(call: AskCall) -> AsyncIterator[bytes]:
    yield event(1, Accepted(ask_digest=Digest(bytes(32)), accept_time=utc_now()))


async def a_hole(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield text(3, "after a hole")


async def a_step_back(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield call.log.text("one")
    yield text(2, "again")


async def a_merge_that_overlaps(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield call.log.text("one")
    yield text(4, "two three", first=2)


async def two_finals(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    final = call.log.final()
    yield final
    yield final


async def two_finals_at_once(call: AskCall) -> AsyncIterator[bytes]:
    yield b"".join([encoded async for encoded in two_finals(call)])


async def an_empty_response(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield b""


async def text_after_final(call: AskCall) -> AsyncIterator[bytes]:
    async for encoded in greet(call):
        yield encoded
    yield text(5, "one more thing")


async def garbage_after_final(call: AskCall) -> AsyncIterator[bytes]:
    async for encoded in greet(call):
        yield encoded
    yield b"\xff\xff\xff"


async def bytes_that_are_no_event(call: AskCall) -> AsyncIterator[bytes]:
    yield b"\xff\xff\xff"


async def text_that_is_not_utf8(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield text(2, "??").replace(b"??", b"\xc3\x28")


def answer_with(change: Callable[[LogBuilder], Answer], *, by: Callable[[LogBuilder], KeyPair] | None = None) -> Script:
    """Returns a script whose answer is honestly signed and untrue."""

    async def script(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        yield log.text("words")
        signer = by(log) if by else log.node.signing
        yield log.add(Final(answer=seal(change(log), signer=signer)))

    return script


def answer_sealed(bend: Callable[[Envelope], Envelope]) -> Script:
    """Returns a script whose answer comes in a bent envelope."""

    async def script(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        signed = seal(log.answer(), signer=log.node.signing)
        yield log.add(Final(answer=Signed(value=signed.value, envelope=bend(signed.envelope))))

    return script


def answer_without(field: str) -> Script:
    """Returns a script whose answer lacks a required field, and is signed as it is."""

    async def script(call: AskCall) -> AsyncIterator[bytes]:
        log = call.log
        yield log.accepted()
        message = to_message(log.answer())
        message.ClearField(field)
        envelope = envelopes.seal(
            message.SerializeToString(), payload_type=message.DESCRIPTOR.full_name, signer=log.node.signing
        )
        yield log.add(Final(answer=Signed(value=log.answer(), envelope=envelope)))

    return script


async def a_citation_of_nothing(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    response = ask_pb2.AskResponse()
    response.events.add(sequence=2).citation.SetInParent()
    yield response.SerializeToString()


async def a_citation_that_ends_before_it_begins(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    yield call.log.add(Citation(origin=DIGEST, answer_span=ByteSpan(start_byte=7, end_byte=-3)))


async def citations_without_end(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    for sequence in itertools.count(2):
        yield encode_event(AnswerEvent(sequence=Sequence(sequence), event=Citation(origin=DIGEST)))


DIGEST = Digest(bytes(32))
SOURCE = DocumentSource(uri="units.txt", digest=DIGEST, retrieval_time=utc_now())

IMPOSSIBLE: dict[str, dict[str, Any]] = {
    "a probability of seven": {"confidence": Confidence(method="a guess", p_correct=7.0)},
    "a probability that is no number": {"confidence": Confidence(method="a guess", p_correct=math.nan)},
    "half an interval": {"confidence": Confidence(method="a guess", lower=0.5)},
    "an interval the wrong way round": {"confidence": Confidence(method="a guess", lower=0.9, upper=0.1)},
    "a confidence without method": {"confidence": Confidence(method="")},
    "tokens that were never read": {"intake": Intake(prompt_tokens_received=9, prompt_tokens_used=3)},
    "a source without digest": {"intake": Intake(chunks=(RetrievedChunk(document=replace(SOURCE, digest=b"")),))},
    "a source without name": {"intake": Intake(chunks=(RetrievedChunk(document=replace(SOURCE, uri="")),))},
    "a model without name": {"model": Model(id="")},
    "a model of minus one parameters": {"model": Model(id="m", parameter_count=-1)},
    "a digest of three bytes": {"model": Model(id="m", weights_digest=b"abc")},
    "fewer tokens than none": {"usage": Usage(input_tokens=-1, output_bytes=5)},
    "less time than none": {"usage": Usage(duration=timedelta(seconds=-1), output_bytes=5)},
    "a detail of a megabyte": {"detail": "x" * 1_000_000},
    "more sources than a list holds": {"citations": (Citation(origin=DIGEST),) * 257},
}


def forged(log: LogBuilder) -> KeyPair:
    return FORGER


FORGER = KeyPair.generate()
OTHER = KeyPair.generate()

BREACHES: dict[str, tuple[Script, str]] = {
    "text before Accepted": (text_before_accepted, "STRM-LOG-002"),
    "Accepted twice": (accepted_twice, "STRM-LOG-002"),
    "another ask accepted": (another_ask_accepted, "ASK-ANS-002"),
    "a hole": (a_hole, "STRM-LOG-001"),
    "a step back": (a_step_back, "STRM-LOG-001"),
    "a merge that overlaps": (a_merge_that_overlaps, "STRM-LOG-001"),
    "two finals": (two_finals, "STRM-LOG-003"),
    "text after Final": (text_after_final, "STRM-LOG-003"),
    "two finals at once": (two_finals_at_once, "STRM-LOG-003"),
    "an empty response": (an_empty_response, "ERR-FLD-001"),
    "garbage after Final": (garbage_after_final, "ERR-FLD-001"),
    "garbage": (bytes_that_are_no_event, "ERR-FLD-001"),
    "text that is not UTF-8": (text_that_is_not_utf8, "ERR-FLD-001"),
    "an answer without its usage": (answer_without("usage"), "ERR-FLD-001"),
    "a citation of nothing": (a_citation_of_nothing, "ERR-FLD-001"),
    **{
        f"an answer with {claim}": (answer_with(lambda log, made=made: log.answer(**made)), "ERR-FLD-001")  # type: ignore[misc]
        for claim, made in IMPOSSIBLE.items()
    },
    "citations without end": (citations_without_end, "ASK-ANS-004"),
    "a citation that ends before it begins": (a_citation_that_ends_before_it_begins, "ERR-FLD-001"),
    "no signature": (answer_sealed(lambda envelope: replace(envelope, signature=b"")), "SIG-ENV-003"),
    "half a signature": (
        answer_sealed(lambda envelope: replace(envelope, signature=envelope.signature[:32])),
        "ERR-FLD-001",
    ),
    "a bit of the payload": (
        answer_sealed(
            lambda envelope: replace(envelope, payload=envelope.payload[:-1] + bytes([envelope.payload[-1] ^ 1]))
        ),
        "SIG-ENV-001",
    ),
    "another type": (
        answer_sealed(lambda envelope: replace(envelope, payload_type="consilience.v1.Ask")),
        "SIG-ENV-004",
    ),
    "signer not named": (answer_with(lambda log: log.answer(), by=forged), "SIG-ENV-005"),
    "key not on the card": (
        answer_with(lambda log: log.answer(signing_key=FORGER.public_key), by=forged),
        "ASK-ANS-001",
    ),
    "key expired by then": (
        answer_with(lambda log: log.answer(finish_time=log.node.issue_time + timedelta(hours=2))),
        "ASK-ANS-001",
    ),
    "another ask": (answer_with(lambda log: log.answer(ask_digest=Digest(bytes(32)))), "ASK-ANS-002"),
    "another card": (answer_with(lambda log: log.answer(card_digest=Digest(bytes(32)))), "ASK-ANS-002"),
    "another node": (answer_with(lambda log: log.answer(node_id=OTHER.public_key)), "ASK-ANS-002"),
    "another text": (answer_with(lambda log: log.answer(transcript_digest=Digest(bytes(32)))), "STRM-TXT-002"),
    "another end": (answer_with(lambda log: log.answer(final_sequence=Sequence(9))), "STRM-LOG-003"),
    "other bytes counted": (answer_with(lambda log: log.answer(usage=Usage(output_bytes=1))), "ASK-ANS-003"),
    "citations out of nowhere": (
        answer_with(lambda log: log.answer(citations=(Citation(origin=Digest(bytes(32))),))),
        "ASK-ANS-004",
    ),
}


@pytest.mark.parametrize("breach", BREACHES)
async def test_a_breach_of_the_log_is_told_by_its_requirement(client: Client, node: ScriptedNode, breach: str) -> None:
    node.on_ask, requirement = BREACHES[breach]
    with pytest.raises(ProtocolError) as error:
        await client.ask("Hello?", node=node.address)
    assert error.value.requirement == requirement


@pytest.mark.parametrize(
    ("skill", "outcome", "kept"),
    [
        (Skill(id="greet", gives_citations=True), Outcome.ANSWERED, False),
        (Skill(id="greet", gives_confidence=True), Outcome.ANSWERED, False),
        (Skill(id="greet", gives_intake=True), Outcome.ANSWERED, False),
        (Skill(id="greet", gives_intake=True), Outcome.ABSTAINED, False),
        (Skill(id="greet", gives_citations=True, gives_confidence=True), Outcome.ABSTAINED, True),
        (Skill(id="greet", gives_intake=True), Outcome.FAILED, True),
        (Skill(id="greet", gives_intake=True), Outcome.CANCELLED, True),
    ],
)
async def test_an_answer_without_what_its_skill_gives_is_a_breach(
    client: Client, node: ScriptedNode, skill: Skill, outcome: Outcome, *, kept: bool
) -> None:
    async def bare(call: AskCall) -> AsyncIterator[bytes]:
        yield call.log.accepted()
        yield call.log.final(outcome=outcome)

    node.skills, node.on_ask = (skill,), bare
    if kept:
        assert (await client.ask("Hello?", node=node.address)).outcome is outcome
    else:
        with pytest.raises(ProtocolError) as error:
            await client.ask("Hello?", node=node.address)
        assert error.value.requirement == "ASK-ANS-005"


async def test_after_a_breach_the_stream_stays_broken_and_the_ask_is_cancelled(
    client: Client, node: ScriptedNode
) -> None:
    node.on_ask = a_hole
    async with client.stream("Hello?", node=node.address) as stream:
        for _ in range(2):
            with pytest.raises(ProtocolError):
                await anext(stream)
    assert node.methods[-1] == "CancelAnswer"


async def test_after_a_breach_behind_the_end_there_is_no_result(client: Client, node: ScriptedNode) -> None:
    node.on_ask = text_after_final
    async with client.stream("Hello?", node=node.address) as stream:
        for _ in range(2):
            with pytest.raises(ProtocolError):
                await stream.final()
