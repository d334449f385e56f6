"""Verification: what can be known about an answer from its signed objects alone (spec section 2.5)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain as in_order
from typing import TypeVar

from consilience._wire.envelopes import open_envelope
from consilience._wire.events import decode_events
from consilience.asks import Accepted, Answer, Ask, Transcript, check_claims
from consilience.client.checks import Check
from consilience.client.peers import broken_promises
from consilience.envelopes import Envelope, Signed
from consilience.errors import ProtocolError, RefusedError
from consilience.identity import format_node_id
from consilience.nodes import NodeCard, Skill, check_card, effective_data_class
from consilience.payments import Amount, Receipt

_NO_QUESTION = Check(
    name="the question is there",
    requirement="ASK-ANS-002",
    passed=False,
    explanation="the question is not in this file, so nothing shows what was answered",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chain:
    """The objects of an exchange whose signatures hold."""

    card: Signed[NodeCard]
    ask: Signed[Ask] | None
    answer: Signed[Answer]

    @property
    def skill(self) -> Skill | None:
        return self.card.value.skill(self.ask.value.skill_id) if self.ask else None


def verify_chain(
    *, card: Envelope, ask: Envelope | None, responses: Sequence[bytes], text: str, answer: Envelope
) -> tuple[Check, ...]:
    """Checks everything from the card to the text, and says what was checked.

    Where a signature does not hold, what hangs on it is not looked at: the checks end there. Without the ask one
    check fails: an answer that holds by itself may be to any question.
    """
    checks: list[Check] = []
    opened_card = _opened(card, NodeCard, "the signature of the card", checks)
    opened_ask = _opened(ask, Ask, "the signature of the ask", checks) if ask else None
    opened_answer = _opened(answer, Answer, "the signature of the answer", checks)
    if ask is None:
        checks.append(_NO_QUESTION)
    if opened_card is None or opened_answer is None or (ask is not None and opened_ask is None):
        return tuple(checks)
    chain = _Chain(card=opened_card, ask=opened_ask, answer=opened_answer)
    checks += _card_checks(chain)
    if chain.ask is not None:
        checks += _ask_checks(chain.ask, chain)
    checks += _answer_checks(chain)
    checks += _log_checks(chain, responses, text)
    return tuple(checks)


def _opened(envelope: Envelope, value_type: type[T], name: str, checks: list[Check]) -> Signed[T] | None:
    """Verifies an envelope, notes the outcome, and returns the object where it holds."""
    try:
        opened = open_envelope(envelope, value_type)
    except RefusedError as error:
        checks.append(Check(name=name, requirement="SIG-ENV-001", passed=False, explanation=str(error)))
        return None
    signer = format_node_id(envelope.public_key)
    checks.append(Check(name=name, requirement="SIG-ENV-001", passed=True, explanation=f"signed by {signer}"))
    return opened


def _card_checks(chain: _Chain) -> Iterator[Check]:
    moment = chain.ask.value.header.issue_time if chain.ask else chain.answer.value.accept_time
    try:
        check_card(chain.card, now=moment)
    except ProtocolError as error:
        yield Check(name="the card holds", requirement=error.requirement, passed=False, explanation=str(error))
    else:
        yield Check(
            name="the card holds",
            requirement="NODE-CARD-005",
            passed=True,
            explanation=f"valid on {moment:%F %T} UTC, when it was relied on",
        )


def _ask_checks(ask: Signed[Ask], chain: _Chain) -> Iterator[Check]:
    card, value = chain.card.value, ask.value
    ceiling = effective_data_class(card, chain.skill)
    yield Check(
        name="the ask is for this node",
        requirement="SIG-HDR-002",
        passed=value.header.audience == card.node_id,
        explanation=f"it names {format_node_id(value.header.audience)}",
    )
    yield Check(
        name="the ask relies on this card",
        requirement="ASK-CARD-001",
        passed=value.card_digest == chain.card.digest,
        explanation=f"it names the card {_short(value.card_digest)}",
    )
    yield Check(
        name="the data class was allowed",
        requirement="ASK-DATA-002",
        passed=value.data_class <= ceiling,
        explanation=f"the question is {value.data_class.name}, the node reads up to {ceiling.name}",
    )
    yield Check(
        name="the answer is to this ask",
        requirement="ASK-ANS-002",
        passed=chain.answer.value.ask_digest == ask.digest,
        explanation=f"it names the ask {_short(chain.answer.value.ask_digest)}",
    )


def _answer_checks(chain: _Chain) -> Iterator[Check]:
    card, answer = chain.card.value, chain.answer.value
    yield Check(
        name="the answer is of this node and card",
        requirement="ASK-ANS-002",
        passed=answer.node_id == card.node_id and answer.card_digest == chain.card.digest,
        explanation=f"it names {format_node_id(answer.node_id)} and the card {_short(answer.card_digest)}",
    )
    yield Check(
        name="the key may sign for the node",
        requirement="ASK-ANS-001",
        passed=card.may_sign(answer.signing_key, at=answer.finish_time),
        explanation=f"{format_node_id(answer.signing_key)}, on {answer.finish_time:%F %T} UTC",
    )
    yield Check(
        name="the usage counts the text",
        requirement="ASK-ANS-003",
        passed=answer.usage.output_bytes == answer.transcript_bytes,
        explanation=f"{answer.usage.output_bytes} bytes used, {answer.transcript_bytes} signed",
    )
    if chain.skill is not None:
        missing = broken_promises(answer, skill=chain.skill)
        yield Check(
            name="what the skill promises is there",
            requirement="ASK-ANS-005",
            passed=not missing,
            explanation=f"missing: {', '.join(missing)}" if missing else "nothing promised is missing",
        )


def _log_checks(chain: _Chain, responses: Sequence[bytes], text: str) -> Iterator[Check]:
    answer, transcript, accepted = chain.answer.value, Transcript(), None
    try:
        for entry in in_order.from_iterable(map(decode_events, responses)):
            check_claims(entry.event)
            transcript.append(entry)
            if isinstance(entry.event, Accepted):
                accepted = entry.event
    except (ProtocolError, RefusedError) as error:
        requirement = error.requirement if isinstance(error, ProtocolError) else "ERR-FLD-001"
        yield Check(name="the log is whole", requirement=requirement, passed=False, explanation=str(error))
        return
    ended = transcript.final is not None and transcript.final.answer.digest == chain.answer.digest
    yield Check(
        name="the log is whole",
        requirement="STRM-LOG-003",
        passed=ended and transcript.last_sequence == answer.final_sequence,
        explanation=f"{len(responses)} messages, events 1 to {transcript.last_sequence}, {len(transcript.gaps)} gaps",
    )
    yield Check(
        name="the node accepted the ask that it answers",
        requirement="ASK-ANS-002",
        passed=accepted is not None and accepted.ask_digest == answer.ask_digest,
        explanation=f"it accepted {_short(accepted.ask_digest) if accepted else 'nothing'}",
    )
    if transcript.final is not None and transcript.final.receipt is not None:
        yield _receipt_check(chain, transcript.final.receipt)
    lost = bool(transcript.gaps)
    yield Check(
        name="the text is the text that was signed",
        requirement="STRM-TXT-002",
        passed=text == transcript.text and (lost or answer.transcript_digest == transcript.digest),
        explanation="parts of it are lost" if lost else f"{transcript.size_bytes} bytes, {_short(transcript.digest)}",
    )
    yield Check(
        name="the sources are those of the log",
        requirement="ASK-ANS-004",
        passed=lost or answer.citations == tuple(transcript.citations),
        explanation=f"{len(answer.citations)} signed, {len(transcript.citations)} in the log",
    )


def _receipt_check(chain: _Chain, receipt: Envelope) -> Check:
    """Checks that a receipt is for this ask and answer; whether it is priced as agreed, the wallet knows."""
    name, requirement = "the receipt is for this answer", "PAY-RCP-005"
    try:
        value = open_envelope(receipt, Receipt).value
    except RefusedError as error:
        return Check(name=name, requirement=requirement, passed=False, explanation=str(error))
    answer, card = chain.answer.value, chain.card.value
    bound = (value.ask_digest, value.answer_digest, value.usage, value.outcome, value.charge > 0)
    signed = value.node_id == card.node_id and card.may_sign(value.signing_key, at=value.finish_time)
    return Check(
        name=name,
        requirement=requirement,
        passed=signed
        and bound == (answer.ask_digest, chain.answer.digest, answer.usage, answer.outcome, answer.charged),
        explanation=f"{Amount(value.charge, value.asset)} for the answer {_short(value.answer_digest)}",
    )


def _short(digest: bytes) -> str:
    """Returns the beginning of a digest, enough for people to compare."""
    return digest.hex()[:16]
