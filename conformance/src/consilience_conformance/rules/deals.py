"""Deals as a transcript tells them: the quote, the terms and the vouchers of a paid ask."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.message import DecodeError

from consilience.v1 import ask_pb2, payment_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.payment_methods import OPEN
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.meters import Allowance, authority_findings, meter_findings
from consilience_conformance.rules.payments import Signed, opened, quote_in, voucher_sent
from consilience_conformance.rules.receipts import Deal, final_findings
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

PAID_ANSWER = (
    "PAY-TRF-001",
    "PAY-LIM-001",
    "PAY-MTR-001",
    "PAY-MTR-002",
    "PAY-RCP-001",
    "PAY-CHG-001",
    "PAY-CHG-002",
    "STRM-LOG-001",
    "STRM-LOG-002",
    "STRM-LOG-003",
    "STRM-TXT-001",
    "SIG-ENV-001",
    "SIG-ENV-005",
    "ERR-FLD-001",
)
"""What a paid answer breaks, where its log and all that is signed in it are read."""


def deal_of(seen: Transcript, exchange: Exchange) -> Deal:
    """Returns on what an ask was made that a driver signed and sent."""
    request = ask_pb2.AskRequest.FromString(exchange.request)
    ask = Signed(envelope=request.ask, value=ask_pb2.Ask.FromString(request.ask.payload))
    quote = opened(request.quote, payment_pb2.Quote)
    return Deal(
        ask=ask,
        quote=quote or Signed(envelope=SignedEnvelope(), value=payment_pb2.Quote()),
        terms=terms_of(seen, ask.value.payment.session_id),
        card=card_of(seen)[1],
    )


def terms_of(seen: Transcript, session_id: bytes) -> Signed[payment_pb2.SessionTerms]:
    """Returns the terms of a session that the check opened.

    Raises:
        KeyError: It opened none of that id: the driver and the judge of the check disagree.
    """
    for exchange in seen.exchanges:
        if exchange.method == OPEN and (terms := terms_sent(exchange)) and terms.digest == session_id:
            return terms
    raise KeyError(f"{seen.check} opened no session {session_id.hex()}")


def session_of(seen: Transcript, name: str) -> bytes:
    """Returns the id of the session that the exchange of a name opened."""
    terms = terms_sent(seen[name])
    return terms.digest if terms is not None else b""


def first_window_of(seen: Transcript, name: str = "quote") -> int:
    """Returns what has to be authorized for an ask under the quote that the exchange of a name brought."""
    quote = quote_in(seen[name])
    return int(min(quote.value.window, quote.value.max_charge)) if quote is not None else 0


def terms_sent(exchange: Exchange) -> Signed[payment_pb2.SessionTerms] | None:
    """Returns the terms with which a session was opened, or None: they do not parse."""
    try:
        envelope = payment_pb2.OpenSessionRequest.FromString(exchange.request).call
        return opened(payment_pb2.OpenSessionCall.FromString(envelope.payload).terms, payment_pb2.SessionTerms)
    except DecodeError:
        return None


def allowances_of(seen: Transcript, session_id: bytes) -> list[Allowance]:
    """Returns the vouchers that were sent for a session, with or without an ask, in the order of their calls."""
    found = []
    for exchange in seen.named(""):
        voucher = voucher_sent(exchange)
        if voucher is not None and voucher.session_id == session_id:
            found.append(Allowance(at=exchange.began, cumulative=voucher.cumulative))
    return found


def paid_answer_findings(
    seen: Transcript, exchange: Exchange, *, alone: bool = True, spent_before: int = 0
) -> Iterator[Finding]:
    """Yields what is wrong with how an answer was metered, delivered and charged.

    Args:
        seen: All that the check saw.
        exchange: That asked, and read the log to its end while it was written.
        alone: Whether no other ask of the session ran meanwhile.
        spent_before: What the session had spent before.
    """
    if not exchange.accepted:
        return
    deal = deal_of(seen, exchange)
    yield from meter_findings(exchange, deal, spent_before=spent_before if alone else None)
    yield from final_findings(read_log(exchange), deal, exchange=exchange.name)
    if alone:
        allowances = allowances_of(seen, deal.terms.digest)
        yield from authority_findings(exchange, deal, allowances=allowances, spent_before=spent_before)
