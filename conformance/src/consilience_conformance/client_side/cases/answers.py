"""Answers: what is signed at the end of a log against card, ask and log (spec section 2.5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta

from consilience.v1 import ask_pb2, node_pb2
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.forgeries import (
    STRANGER,
    UNKNOWN_FIELD,
    by_a_stranger,
    malleable,
    of_another_type,
    of_other_bytes,
    stranger_key,
    unsigned,
    with_other_bytes,
)
from consilience_conformance.client_side.judging import given_out, not_given_out
from consilience_conformance.client_side.nodes import RIGHT, Draft, Events, Manner, one_by_one
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.client_side.twins import accepted_answer, rejected_answer
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import timestamp

_ANSWER_CHECKS = "ASK-ANS-007"


def _drafted(change: Callable[[ask_pb2.Answer], None]) -> Manner:
    return Manner(draft=lambda draft: change(draft.answer))


def _by_an_unlisted_key(draft: Draft) -> None:
    draft.seed = STRANGER
    draft.answer.signing_key = stranger_key()


def _without_citations(draft: Draft) -> None:
    del draft.events[3]
    del draft.answer.citations[:]
    draft.answer.final_sequence = 4


def _with_a_citation_of_its_own(answer: ask_pb2.Answer) -> None:
    answer.citations[0].document.uri = "another.txt"


def _name(field: str) -> Callable[[ask_pb2.Answer], None]:
    """Names something else of 32 bytes in a field."""
    return lambda answer: setattr(answer, field, bytes(32))


def _count(field: str) -> Callable[[ask_pb2.Answer], None]:
    return lambda answer: setattr(answer, field, getattr(answer, field) + 1)


def _count_in_usage_too(answer: ask_pb2.Answer) -> None:
    answer.transcript_bytes += 1
    answer.usage.output_bytes += 1


def _lie_in_usage(answer: ask_pb2.Answer) -> None:
    answer.usage.output_bytes += 1


def _clear(field: str) -> Callable[[ask_pb2.Answer], None]:
    return lambda answer: answer.ClearField(field)  # type: ignore[arg-type]


async def _with_unknown_fields(events: Events) -> AsyncIterator[bytes]:
    async for data in one_by_one(events):
        yield data + UNKNOWN_FIELD


def _newer(draft: Draft) -> None:
    draft.answer.MergeFromString(UNKNOWN_FIELD)
    for event in draft.events:
        event.MergeFromString(UNKNOWN_FIELD)


def _in_other_bytes(signing: bytes) -> Manner:
    return Manner(
        envelope=lambda envelope: with_other_bytes(
            ask_pb2.Answer.FromString(envelope.payload), last_first="finish_time", seed=signing
        )
    )


async def _by_an_expired_key(stage: ClientStage) -> None:
    node = await stage.node()
    card = node_pb2.NodeCard.FromString(node.card.payload)
    ended = timestamp(datetime.now(UTC) - timedelta(hours=1))
    card.signing_keys.add(public_key=stranger_key(), expire_time=ended)
    node.show(card)
    await stage.ask("before", node)
    await stage.ask("defect", node, manner=Manner(draft=_by_an_unlisted_key))
    await stage.ask("after", node, manner=RIGHT)


def _judge_expired_key(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement=_ANSWER_CHECKS)
    what = "an answer that is signed by a key of the card that had expired"
    yield from not_given_out(seen, "defect", requirement=_ANSWER_CHECKS, what=what)
    yield from given_out(seen, "after", requirement=_ANSWER_CHECKS)


async def _of_another_type(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("before", node)
    forged = Manner(envelope=lambda envelope: of_another_type(envelope, seed=node.identity.signing))
    await stage.ask("defect", node, manner=forged)
    await stage.ask("after", node, manner=RIGHT)


def _judge_type(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "before", requirement="SIG-ENV-004")
    yield from not_given_out(
        seen, "defect", requirement="SIG-ENV-004", what="an answer that is signed under another name"
    )
    yield from given_out(seen, "after", requirement="SIG-ENV-004")


async def _unusual_bytes(stage: ClientStage) -> None:
    node = await stage.node()
    await stage.ask("unusual", node, manner=_in_other_bytes(node.identity.signing))


def _judge_unusual_bytes(seen: Transcript) -> Iterator[Finding]:
    yield from given_out(seen, "unusual", requirement="SIG-ENV-002")


def _signed(name: str, *, requirement: str, what: str, manner: Manner) -> ClientCheck:
    title = f"{what[:1].upper()}{what[1:]} is not given out."
    return rejected_answer(name, title=title, requirement=requirement, what=what, manner=manner)


def _wrong(name: str, *, what: str, manner: Manner) -> ClientCheck:
    return _signed(name, requirement=_ANSWER_CHECKS, what=what, manner=manner)


CHECKS = (
    _signed(
        "answer-without-signature",
        requirement="SIG-ENV-003",
        what="an answer without a signature",
        manner=Manner(envelope=unsigned),
    ),
    _signed(
        "answer-with-wrong-signature",
        requirement="SIG-ENV-001",
        what="an answer whose signature does not verify",
        manner=Manner(envelope=of_other_bytes),
    ),
    _signed(
        "answer-with-malleable-signature",
        requirement="SIG-ENV-001",
        what="an answer whose signature was raised by the group order",
        manner=Manner(envelope=malleable),
    ),
    ClientCheck(
        name="answer-under-another-name",
        title="An answer that is signed under the name of another message is not given out.",
        requirements=("SIG-ENV-004",),
        drive=_of_another_type,
        judge=_judge_type,
    ),
    _signed(
        "answer-signed-by-another",
        requirement="SIG-ENV-005",
        what="an answer that is signed by another key than it names",
        manner=Manner(envelope=by_a_stranger),
    ),
    ClientCheck(
        name="answer-in-unusual-bytes",
        title="An answer is verified as it came: another order of fields changes nothing.",
        requirements=("SIG-ENV-002",),
        drive=_unusual_bytes,
        judge=_judge_unusual_bytes,
    ),
    accepted_answer(
        "answer-with-unknown-fields",
        title="Fields of a newer version, in the answer and around it, are passed over.",
        requirement="VER-FLD-001",
        manner=Manner(draft=_newer, send=_with_unknown_fields),
    ),
    _wrong(
        "answer-by-an-unlisted-key",
        what="an answer that is signed by a key that the card does not list",
        manner=Manner(draft=_by_an_unlisted_key),
    ),
    ClientCheck(
        name="answer-by-an-expired-key",
        title="An answer that is signed by a key of the card that had expired is not given out.",
        requirements=(_ANSWER_CHECKS,),
        drive=_by_an_expired_key,
        judge=_judge_expired_key,
    ),
    _wrong("answer-of-another-node", what="an answer that names another node", manner=_drafted(_name("node_id"))),
    _wrong("answer-to-another-ask", what="an answer that names another ask", manner=_drafted(_name("ask_digest"))),
    _wrong("answer-of-another-card", what="an answer that names another card", manner=_drafted(_name("card_digest"))),
    _wrong(
        "answer-of-another-log",
        what="an answer whose Final has another sequence than it says",
        manner=_drafted(_count("final_sequence")),
    ),
    _wrong(
        "answer-with-lying-usage",
        what="an answer whose usage counts other bytes than its transcript",
        manner=_drafted(_lie_in_usage),
    ),
    _wrong(
        "answer-with-lying-digest",
        what="an answer whose transcript digest is not that of the text",
        manner=_drafted(_name("transcript_digest")),
    ),
    _wrong(
        "answer-with-lying-bytes",
        what="an answer that counts other bytes than the text has",
        manner=_drafted(_count_in_usage_too),
    ),
    _wrong(
        "answer-with-other-citations",
        what="an answer whose citations are not those of the log",
        manner=_drafted(_with_a_citation_of_its_own),
    ),
    _wrong(
        "answer-without-promised-citations",
        what="an answer without the citations that the card promises",
        manner=Manner(draft=_without_citations),
    ),
    _wrong(
        "answer-without-promised-confidence",
        what="an answer without the confidence that the card promises",
        manner=_drafted(_clear("confidence")),
    ),
    _wrong(
        "answer-without-promised-intake",
        what="an answer without the intake that the card promises",
        manner=_drafted(_clear("intake")),
    ),
)
