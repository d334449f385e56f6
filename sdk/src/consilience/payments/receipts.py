"""Receipts and meters: what is charged for what, and how a payer checks it (spec section 3.6)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from consilience.asks import Answer, Ask, Outcome, Transcript, Usage
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.payments.costs import charge_of
from consilience.payments.quotes import Quote
from consilience.payments.sessions import SessionTerms
from consilience.tariffs import Backing
from consilience.units import Digest, PublicKey, RequestId

_COUNTS = ("input_tokens", "cached_input_tokens", "output_tokens", "hidden_tokens", "output_bytes", "duration")
_ACCOUNT = ("session_id", "payer", "asset", "backing", "issuer")
_REPEATED = (*_ACCOUNT, "request_id", "quote_digest", "ask_digest", "answer_digest", "usage", "outcome")
"""What a refund has in common with the charge that it gives back of."""
_METER = "PAY-MTR-003"
_RECEIPT = "PAY-RCP-005"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """What an answer has used and costs so far, signed; see `Meter` in payment.proto for each field."""

    node_id: PublicKey
    signing_key: PublicKey
    ask_digest: Digest
    quote_digest: Digest
    session_id: Digest
    usage: Usage
    transcript_digest: Digest
    issue_time: datetime
    charge: int = 0
    required_cumulative: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What was paid for what, signed; see `Receipt` in payment.proto for each field. Amounts are in `asset`."""

    node_id: PublicKey
    signing_key: PublicKey
    session_id: Digest
    number: int
    payer: PublicKey
    request_id: RequestId
    quote_digest: Digest
    ask_digest: Digest
    answer_digest: Digest
    usage: Usage
    asset: str
    outcome: Outcome
    start_time: datetime
    finish_time: datetime
    backing: Backing
    issuer: PublicKey
    previous_digest: bytes = b""
    charge: int = 0
    session_spent: int = 0
    session_authorized: int = 0
    session_refunded: int = 0
    funding_commitment: bytes = b""
    refund_of: bytes = b""


def funding_commitment(references: Iterable[bytes], *, before: bytes = b"") -> bytes:
    """Returns the commitment to deposits by their references of 32 bytes, in the order of crediting; none: nothing.

    It is a chain: with each deposit, SHA-256 of itself, at first 32 zero bytes, and the reference (spec section 3.4).
    It goes on from the commitment to the deposits `before`, where there were any.
    """
    commitment = before
    for reference in references:
        commitment = hashlib.sha256((commitment or bytes(32)) + reference).digest()
    return commitment


def check_meter(
    meter: Signed[Meter],
    *,
    quote: Signed[Quote],
    ask: Signed[Ask],
    transcript: Transcript,
    session_id: Digest,
    before: Meter | None,
) -> None:
    """Checks what a node says that an answer costs so far, against what was read of it (PAY-MTR-003).

    Args:
        meter: The meter, its signature verified; that its key is the node's the card says.
        quote: What was agreed on.
        ask: What was asked.
        transcript: The log up to the event before the meter.
        session_id: Out of what it is paid.
        before: The last meter of this answer, or None.

    Raises:
        ProtocolError: It is of another ask, quote or session, or does not fit the text or the tariff.
    """
    value = meter.value
    named = (value.node_id, value.ask_digest, value.quote_digest, value.session_id)
    if named != (quote.value.node_id, ask.digest, quote.digest, session_id):
        raise ProtocolError("the meter is of another node, ask, quote or session", requirement=_METER)
    if not transcript.gaps:
        read = (transcript.size_bytes, transcript.output_tokens, transcript.digest)
        if (value.usage.output_bytes, value.usage.output_tokens, value.transcript_digest) != read:
            raise ProtocolError("the meter counts other text than came", requirement=_METER)
    if before is not None and any(getattr(value.usage, name) < getattr(before.usage, name) for name in _COUNTS):
        raise ProtocolError("a count of the meter has fallen", requirement=_METER)
    if value.charge != _charge(quote.value, ask.value, value.usage):
        raise ProtocolError(f"the meter charges {value.charge} for what the quote prices otherwise", requirement=_METER)


def check_receipt(
    receipt: Signed[Receipt],
    *,
    quote: Signed[Quote],
    ask: Signed[Ask],
    answer: Signed[Answer] | None,
    terms: Signed[SessionTerms],
    before: Signed[Receipt] | None = None,
) -> None:
    """Checks a receipt against what it is for (PAY-RCP-005); that its key is the node's the card says.

    Args:
        receipt: The receipt, its signature verified.
        quote: What was agreed on.
        ask: What was asked.
        answer: What came of it; None: the node keeps it no more, and what is said of it is not compared.
        terms: Those of the session.
        before: The receipt before it in the session, where the payer holds it.

    Raises:
        ProtocolError: It does not fit.
    """
    value, agreed = receipt.value, terms.value
    account = (value.session_id, value.payer, value.node_id, value.asset, value.backing, value.issuer)
    if account != (terms.digest, agreed.payer, agreed.payee, agreed.asset, agreed.backing, agreed.issuer):
        raise ProtocolError("the receipt is of another session than its terms", requirement=_RECEIPT)
    bound = (value.request_id, value.ask_digest, value.quote_digest)
    if bound != (ask.value.header.request_id, ask.digest, quote.digest):
        raise ProtocolError("the receipt is for another ask or quote", requirement=_RECEIPT)
    if answer is not None:
        _check_binding(value, answer=answer)
    if not value.refund_of:
        _check_charge(value, quote=quote.value, ask=ask.value, answer=answer.value if answer else None)
    check_chain(receipt, before=before)


def check_chain(receipt: Signed[Receipt], *, before: Signed[Receipt] | None) -> None:
    """Checks that a receipt continues the chain of its session.

    Args:
        receipt: The receipt.
        before: The one before it; None: nothing is known of it, unless this is the first.

    Raises:
        ProtocolError: It leaves a hole, names another one before it, or does not add up (PAY-RCP-002, PAY-RCP-003).
    """
    value = receipt.value
    if (value.number == 1) != (not value.previous_digest):
        raise ProtocolError("the first receipt of a session names none before it", requirement="PAY-RCP-002")
    if before is None and value.number > 1:
        return
    spent, refunded = (before.value.session_spent, before.value.session_refunded) if before is not None else (0, 0)
    if before is not None and (value.number, value.previous_digest) != (before.value.number + 1, before.digest):
        raise ProtocolError("the receipt does not follow the one before it", requirement="PAY-RCP-002")
    spent += 0 if value.refund_of else value.charge
    refunded += value.charge if value.refund_of else 0
    if (value.session_spent, value.session_refunded) != (spent, refunded):
        raise ProtocolError("the receipt does not add up with the one before it", requirement="PAY-RCP-003")


def check_refund(refund: Signed[Receipt], *, earlier: Sequence[Signed[Receipt]]) -> None:
    """Checks that a refund gives back of a charge what is left of it (PAY-RCP-003); its place in the chain apart.

    Args:
        refund: A receipt with `refund_of`.
        earlier: All receipts of the session before it.

    Raises:
        ProtocolError: It names no charge among those, repeats it otherwise than it is, or gives back more than is left.
    """
    value = refund.value
    charge = next((one.value for one in earlier if one.digest == value.refund_of), None)
    if charge is None or charge.refund_of:
        raise ProtocolError("the refund names no charge of the session", requirement="PAY-RCP-003")
    if any(getattr(value, name) != getattr(charge, name) for name in _REPEATED):
        raise ProtocolError("the refund is for something else than the charge", requirement="PAY-RCP-003")
    left = charge.charge - sum(one.value.charge for one in earlier if one.value.refund_of == value.refund_of)
    if not 0 < value.charge <= left:
        raise ProtocolError(f"{value.charge} are given back of {left}", requirement="PAY-RCP-003")


def _check_binding(receipt: Receipt, *, answer: Signed[Answer]) -> None:
    if receipt.answer_digest != answer.digest:
        raise ProtocolError("the receipt is for another answer", requirement=_RECEIPT)
    if receipt.usage != answer.value.usage or receipt.outcome is not answer.value.outcome:
        raise ProtocolError("the receipt tells other usage, or another outcome, than the answer", requirement=_RECEIPT)


def _check_charge(receipt: Receipt, *, quote: Quote, ask: Ask, answer: Answer | None) -> None:
    size_bytes = answer.transcript_bytes if answer is not None else receipt.usage.output_bytes
    failed_unread = receipt.outcome is Outcome.FAILED and not size_bytes
    most = 0 if failed_unread else _charge(quote, ask, receipt.usage)
    if not 0 <= receipt.charge <= most:
        raise ProtocolError(f"the receipt charges {receipt.charge}, and {most} at most is due", requirement=_RECEIPT)
    if answer is not None and answer.charged != (receipt.charge > 0):
        raise ProtocolError("the answer says otherwise whether it is charged", requirement="PAY-CHG-002")


def _charge(quote: Quote, ask: Ask, usage: Usage) -> int:
    return 0 if quote.tariff is None else charge_of(quote.tariff, usage, ceiling=quote.ceiling(ask))
