"""What a client sends: an ask by the rules, again after a cut, and word of it when its user gives up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import grpc

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK, CANCEL, RESUME
from consilience_conformance.client_side.checks import GIVE_UP, ClientCheck
from consilience_conformance.client_side.judging import calls, envelope_of, given_out, not_given_out, well_sent
from consilience_conformance.client_side.nodes import Events, Manner, one_by_one, silence
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.needs import NotApplicableError
from consilience_conformance.peers.hostile import StatusError
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

_CANCEL_SECONDS = 3.0


async def _ask(stage: ClientStage) -> None:
    node = await stage.node()
    stage.transcript.card = node.card.SerializeToString()
    await stage.ask("question", node)


def _judge_ask(seen: Transcript) -> Iterator[Finding]:
    card = envelopes.envelope_digest(SignedEnvelope.FromString(seen.card))
    asks = calls(seen, "question", ASK)
    if not asks:
        yield Finding(requirement="ERR-FLD-001", message="no ask is sent")
    for exchange in asks:
        yield from well_sent(exchange)
        ask = ask_pb2.Ask.FromString(envelope_of(exchange).payload)
        if ask.card_digest != card:
            yield Finding(
                requirement="SIG-DIG-001",
                message="the ask names another digest than that of the card",
                expected=card.hex(),
                got=ask.card_digest.hex(),
                exchange=exchange.name,
            )
    yield from given_out(seen, "question", requirement="SIG-DIG-001")


def _cut_at_first() -> Manner:
    cut: list[int] = []

    async def send(events: Events) -> AsyncIterator[bytes]:
        cut.append(1)
        if len(cut) == 1:
            raise StatusError(grpc.StatusCode.UNAVAILABLE, "the connection is gone")
        async for data in one_by_one(events):
            yield data

    return Manner(send=send)


async def _cut_before_the_first_event(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("before", node)
    await stage.ask("cut", node, manner=_cut_at_first())
    if len(calls(stage.transcript, "cut", ASK)) == 1:
        raise NotApplicableError("the client does not send an ask again after a cut")


def _judge_retry(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="ASK-IDEM-001")
    first, *others = calls(seen, "cut", ASK)
    for other in others:
        if other.request != first.request:
            yield Finding(
                requirement="ASK-IDEM-001",
                message="an ask that is sent again is another envelope",
                expected=envelopes.envelope_digest(envelope_of(first)).hex(),
                got=envelopes.envelope_digest(envelope_of(other)).hex(),
                exchange=other.name,
            )


async def _three_events_then_a_cut(events: Events) -> AsyncIterator[bytes]:
    async for data in one_by_one(events[:3]):
        yield data
    raise StatusError(grpc.StatusCode.UNAVAILABLE, "the connection is gone")


async def _from_the_beginning(events: Events, _: int) -> AsyncIterator[bytes]:
    async for data in one_by_one(events):
        yield data


async def _cut_in_the_middle(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("before", node)
    await stage.ask("cut", node, manner=Manner(send=_three_events_then_a_cut))
    await stage.ask("again", node, manner=Manner(send=_three_events_then_a_cut, resume=_from_the_beginning))


def _judge_resume(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="ASK-ANS-007")
    for exchange in calls(seen, "cut", RESUME):
        yield from well_sent(exchange)
    # A client that gives a broken answer up is right as well: it must only not give out a part, or some of it twice.
    if "answered" in dict(seen.notes["replies"])["cut"]:  # type: ignore[arg-type, operator]
        yield from given_out(seen, "cut", requirement="ASK-ANS-007")
    what = "an answer whose log begins again in the middle"
    yield from not_given_out(seen, "again", requirement="ASK-ANS-007", what=what)


async def _then_silence(events: Events) -> AsyncIterator[bytes]:
    async for data in one_by_one(events[:2]):
        yield data
    await silence()


async def _give_up(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("before", node)
    await stage.ask("given-up", node, manner=Manner(send=_then_silence), give_up=True)
    await stage.until(lambda: bool(calls(stage.transcript, "given-up", CANCEL)), seconds=_CANCEL_SECONDS)


def _judge_give_up(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="ASK-STOP-004")
    cancels = calls(seen, "given-up", CANCEL)
    for exchange in cancels:
        yield from well_sent(exchange)
    if not cancels:
        yield Finding(
            requirement="ASK-STOP-004",
            message="the node is not told that its user gave the answer up",
            expected="CancelAnswer",
            got="no call",
        )


async def _note_errors(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("question", node)
    # What was written before the reply has arrived once there is another one.
    await stage.ask("meanwhile", node)
    questions = stage.transcript.notes["questions"]
    said = [node.text, questions["question"]] if isinstance(questions, dict) else []
    stage.note("logged", [text for text in said if str(text) in stage.errors])


def _judge_errors(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "question", requirement="SEC-LOG-001")
    if logged := seen.notes["logged"]:
        yield Finding(
            requirement="SEC-LOG-001", message="text of an ask or an answer is written to a log", got=str(logged)
        )


CHECKS = (
    ClientCheck(
        name="ask",
        title="An ask is signed by its caller, keeps the rules of its fields, names the card, and is answered.",
        requirements=("SIG-ENV-001", "SIG-ENV-005", "SIG-DIG-001", "ERR-FLD-001"),
        drive=_ask,
        judge=_judge_ask,
        after=(),
    ),
    ClientCheck(
        name="retry-is-the-same-envelope",
        title="An ask that is sent again after a cut is the same envelope.",
        requirements=("ASK-IDEM-001",),
        drive=_cut_before_the_first_event,
        judge=_judge_retry,
    ),
    ClientCheck(
        name="cut-answer-is-whole-or-nothing",
        title="Of an answer that is cut in the middle the user gets the whole text or none, and no part of it twice.",
        requirements=("ASK-ANS-007", "SIG-ENV-001", "SIG-ENV-005", "ERR-FLD-001"),
        drive=_cut_in_the_middle,
        judge=_judge_resume,
    ),
    ClientCheck(
        name="giving-up-is-told",
        title="The node is told when the user gives an answer up.",
        requirements=("ASK-STOP-004", "SIG-ENV-001", "SIG-ENV-005", "ERR-FLD-001"),
        drive=_give_up,
        judge=_judge_give_up,
        needs=(GIVE_UP,),
    ),
    ClientCheck(
        name="text-is-not-logged",
        title="What is asked and answered does not come out on standard error.",
        requirements=("SEC-LOG-001",),
        drive=_note_errors,
        judge=_judge_errors,
    ),
)
