"""Rules of answers (spec section 2.5): the signed object in a Final against card, ask and log."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.rules.logs import Log
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding
from consilience_conformance.wire_values import nanoseconds_of, shown_time

ANSWER = "consilience.v1.Answer"


def card_of(transcript: Transcript) -> tuple[SignedEnvelope, node_pb2.NodeCard]:
    """Returns the card that a check relied on, as envelope and as message."""
    envelope = SignedEnvelope.FromString(transcript.card)
    return envelope, node_pb2.NodeCard.FromString(envelope.payload)


def ask_of(exchange: Exchange) -> tuple[SignedEnvelope, ask_pb2.Ask]:
    """Returns the ask that an exchange sent, as envelope and as message."""
    envelope = ask_pb2.AskRequest.FromString(exchange.request).ask
    return envelope, ask_pb2.Ask.FromString(envelope.payload)


def answer_findings(
    transcript: Transcript, log: Log, *, asked: Exchange, read: Exchange | None = None
) -> Iterator[Finding]:
    """Yields what is wrong with the answer at the end of a log, by the algorithm of section 2.5.

    Args:
        transcript: With the card.
        log: Read from its beginning.
        asked: The exchange that carried the ask.
        read: The one in which the log was read, where it is another.
    """
    if log.final is None:
        return
    name = (read or asked).name

    try:
        answer = ask_pb2.Answer.FromString(log.final.answer.payload)
    except DecodeError:
        yield Finding(requirement="SIG-ENV-001", message="the answer does not parse", exchange=name)
        return
    _, card = card_of(transcript)
    _, ask = ask_of(asked)
    yield from _signature(card, log.final.answer, answer, name=name)
    yield from _names(transcript, asked, answer, name=name)
    if answer.final_sequence != log.last:
        yield _differs("STRM-LOG-003", "final_sequence", expected=log.last, got=answer.final_sequence, name=name)
    if answer.usage.output_bytes != answer.transcript_bytes:
        yield _differs(
            "ASK-ANS-003",
            "usage.output_bytes",
            expected=answer.transcript_bytes,
            got=answer.usage.output_bytes,
            name=name,
        )
    if not log.gaps:
        yield from _text(log, answer, name=name)
    yield from _promises(card, ask, answer, name=name)


def _differs(requirement: str, what: str, *, expected: object, got: object, name: str) -> Finding:
    return Finding(
        requirement=requirement,
        message=f"the answer has another {what}",
        expected=str(expected),
        got=str(got),
        exchange=name,
    )


def _signature(
    card: node_pb2.NodeCard, envelope: SignedEnvelope, answer: ask_pb2.Answer, *, name: str
) -> Iterator[Finding]:
    if defect := envelopes.defect_of(envelope, payload_type=ANSWER):
        yield Finding(requirement="SIG-ENV-001", message=f"the answer is not signed: {defect}", exchange=name)
    if envelope.public_key != answer.signing_key:
        yield _differs(
            "ASK-ANS-001",
            "signing key than the one that signed it",
            expected=envelope.public_key.hex(),
            got=answer.signing_key.hex(),
            name=name,
        )
    yield from _signing_key(card, answer, name=name)


def _names(transcript: Transcript, asked: Exchange, answer: ask_pb2.Answer, *, name: str) -> Iterator[Finding]:
    card_envelope, card = card_of(transcript)
    ask_envelope, _ = ask_of(asked)
    for what, expected, got in (
        ("ask_digest", envelopes.envelope_digest(ask_envelope), answer.ask_digest),
        ("card_digest", envelopes.envelope_digest(card_envelope), answer.card_digest),
        ("node_id", card.node_id, answer.node_id),
    ):
        if expected != got:
            yield _differs("ASK-ANS-002", what, expected=expected.hex(), got=got.hex(), name=name)


def _signing_key(card: node_pb2.NodeCard, answer: ask_pb2.Answer, *, name: str) -> Iterator[Finding]:
    keys = {key.public_key: key.expire_time for key in card.signing_keys}
    expiry = keys.get(answer.signing_key)
    if expiry is None:
        yield Finding(
            requirement="ASK-ANS-001",
            message="the key that signs the answer does not stand in the card",
            expected=", ".join(key.hex() for key in keys),
            got=answer.signing_key.hex(),
            exchange=name,
        )
    elif nanoseconds_of(answer.finish_time) > nanoseconds_of(expiry):
        yield Finding(
            requirement="ASK-ANS-001",
            message="the key that signs the answer had expired",
            expected=f"at most {shown_time(expiry)}",
            got=shown_time(answer.finish_time),
            exchange=name,
        )


def _text(log: Log, answer: ask_pb2.Answer, *, name: str) -> Iterator[Finding]:
    size = len(log.text.encode())
    if (answer.transcript_digest, answer.transcript_bytes) != (log.transcript_digest, size):
        yield Finding(
            requirement="STRM-TXT-002",
            message="the transcript digest is not that of the text",
            expected=f"{log.transcript_digest.hex()} of {size} bytes",
            got=f"{answer.transcript_digest.hex()} of {answer.transcript_bytes} bytes",
            exchange=name,
        )
    if list(answer.citations) != log.citations:
        yield Finding(
            requirement="ASK-ANS-004",
            message="the citations of the answer are not those of the log",
            expected=f"{len(log.citations)} as in the log",
            got=f"{len(answer.citations)}, others or in another order",
            exchange=name,
        )


def _promises(card: node_pb2.NodeCard, ask: ask_pb2.Ask, answer: ask_pb2.Answer, *, name: str) -> Iterator[Finding]:
    skill = next((skill for skill in card.skills if skill.id == ask.skill_id), None)
    if skill is None:
        return
    answered = answer.outcome == ask_pb2.OUTCOME_ANSWERED
    ended = answer.outcome in {ask_pb2.OUTCOME_CANCELLED, ask_pb2.OUTCOME_FAILED}
    for promised, given, what in (
        (skill.gives_citations and answered, bool(answer.citations), "citations"),
        (skill.gives_confidence and answered, answer.HasField("confidence"), "confidence"),
        (skill.gives_intake and not ended, answer.HasField("intake"), "intake"),
    ):
        if promised and not given:
            yield Finding(
                requirement="ASK-ANS-005",
                message=f"the answer lacks the {what} that the card says the skill gives",
                exchange=name,
            )
