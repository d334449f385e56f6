"""Spending: what a client signed while it paid, held against what its payees had shown it by then (PAY-VCH-004).

All of it is read from a transcript. A Meter or a receipt counts if the rules of chapter 3 let it; a client that takes
others for good shows it by a voucher above the bound, or by an acknowledgement.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from google.protobuf.message import DecodeError, Message

from consilience.v1 import ask_pb2, node_pb2, payment_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.ask_methods import ASK, CANCEL, GET
from consilience_conformance.client_side.judging import calls, reply_of
from consilience_conformance.payment_methods import ACKNOWLEDGE, LIST, OPEN, SUBMIT, WITHDRAW
from consilience_conformance.rules.deals import terms_sent
from consilience_conformance.rules.logs import read_log
from consilience_conformance.rules.meters import events_of, meter_findings
from consilience_conformance.rules.payments import (
    Signed,
    differs,
    opened,
    receipt_of,
    receipts_in,
    response_of,
    signed_by_the_node,
    voucher_sent,
)
from consilience_conformance.rules.receipts import Deal, chain_findings, final_findings, refund_findings
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_TELLS_OF_ANSWERS: Mapping[str, type[Message]] = {
    CANCEL: ask_pb2.CancelAnswerResponse,
    GET: ask_pb2.GetAnswerResponse,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """An ask that a client paid for.

    Attributes:
        name: What the check calls the question.
        exchange: The call.
        deal: On what it was made.
        final: Its end, where the log or another call brought one.
    """

    name: str
    exchange: Exchange
    deal: Deal
    final: ask_pb2.Final | None

    @property
    def session_id(self) -> bytes:
        """Out of which it is paid, 32 bytes."""
        return self.deal.terms.digest

    @property
    def receipt(self) -> Signed[payment_pb2.Receipt] | None:
        """The receipt in its Final, as far as it is right by itself."""
        log = read_log(self.exchange)
        log.final = self.final
        found = receipt_of(log.final)
        wrong = any(final_findings(log, self.deal, exchange=self.exchange.name))
        return None if wrong else found

    def exposure(self, *, at: float) -> int:
        """Returns what may be authorized for the ask, by what its client can have read at a time.

        That is the charge of the last Meter before any that does not fit, a window, and what the question may cost.
        """
        charge = 0
        for upto in range(1, len(self.exchange.responses) + 1):
            if self.exchange.responses[upto - 1].at > at:
                break
            read = replace(self.exchange, responses=self.exchange.responses[:upto])
            if any(meter_findings(read, self.deal)):
                break
            charge = _last_charge(read, before=charge)
        question = self.deal.charge(ask_pb2.Usage())
        return min(charge + int(self.deal.quote.value.window) + question, self.deal.ceiling)


def _last_charge(exchange: Exchange, *, before: int) -> int:
    for _, event in events_of(exchange):
        if event.WhichOneof("event") == "metered":
            found = opened(event.metered.meter, payment_pb2.Meter)
            before = int(found.value.charge) if found is not None else before
    return before


def purchases(seen: Transcript) -> list[Purchase]:
    """Returns the asks that were paid for, in their order; each once, however often it was sent."""
    names: Any = seen.notes["questions"]
    terms = _terms(seen)
    found: dict[bytes, Purchase] = {}
    for name in names:
        for exchange in calls(seen, name, ASK):
            request = ask_pb2.AskRequest.FromString(exchange.request)
            ask, quote = opened(request.ask, ask_pb2.Ask), opened(request.quote, payment_pb2.Quote)
            agreed = terms.get(ask.value.payment.session_id) if ask is not None else None
            if ask is None or quote is None or agreed is None:
                continue  # nothing that it signed there moves money
            deal = Deal(ask=ask, quote=quote, terms=agreed, card=_card(seen, name))
            final = _final(seen, exchange, ask_digest=ask.digest)
            found.setdefault(ask.digest, Purchase(name=name, exchange=exchange, deal=deal, final=final))
    return list(found.values())


def _final(seen: Transcript, exchange: Exchange, *, ask_digest: bytes) -> ask_pb2.Final | None:
    """Returns the end of an answer: that of the log, or the one that was told when it was cancelled or looked at."""
    if (final := read_log(exchange).final) is not None:
        return final
    for other in seen.exchanges:
        kind = _TELLS_OF_ANSWERS.get(other.method)
        response = response_of(other, kind) if kind is not None else None
        told = getattr(response, "final", None)
        if isinstance(told, ask_pb2.Final):
            answer = opened(told.answer, ask_pb2.Answer)
            if answer is not None and answer.value.ask_digest == ask_digest:
                return told
    return None


def _terms(seen: Transcript) -> Mapping[bytes, Signed[payment_pb2.SessionTerms]]:
    sent = [terms_sent(exchange) for exchange in seen.named("") if exchange.method == OPEN]
    return {terms.digest: terms for terms in sent if terms is not None}


def _card(seen: Transcript, name: str) -> node_pb2.NodeCard:
    cards: Any = seen.notes["cards"]
    return node_pb2.NodeCard.FromString(SignedEnvelope.FromString(bytes.fromhex(cards[name])).payload)


def right_receipts(seen: Transcript, session_id: bytes) -> list[Signed[payment_pb2.Receipt]]:
    """Returns the receipts of a session that pass the check of section 3.6, by their numbers."""
    kept: list[Signed[payment_pb2.Receipt]] = []
    signed = max((one.cumulative for _, one in vouchers(seen) if one.session_id == session_id), default=0)
    charges = [one.receipt for one in purchases(seen) if one.session_id == session_id and one.receipt is not None]
    for receipt in sorted([*charges, *_refunds(seen, session_id)], key=lambda one: one.value.number):
        if receipt.value.session_spent > signed or any(chain_findings([*kept, receipt], exchange="")):
            continue
        if not (receipt.value.refund_of and any(refund_findings(receipt, earlier=kept, exchange=""))):
            kept.append(receipt)
    return kept


def _refunds(seen: Transcript, session_id: bytes) -> Iterable[Signed[payment_pb2.Receipt]]:
    """Returns the refunds of a session that were listed and that its node has signed, each once."""
    listed = [one for exchange in seen.named("") if exchange.method == LIST for one in receipts_in(exchange)]
    refunds = {one.digest: one for one in listed if one.value.refund_of and one.value.session_id == session_id}
    cards = [one.deal.card for one in purchases(seen) if one.session_id == session_id] if refunds else []
    if not cards:
        return []
    return [
        one
        for one in refunds.values()
        if not any(signed_by_the_node(one.envelope, payment_pb2.Receipt, card=cards[0], exchange=""))
    ]


def _receipt_for(purchase: Purchase, receipts: Iterable[Signed[payment_pb2.Receipt]]) -> payment_pb2.Receipt | None:
    """Returns the one of the receipts of a session that is the charge for an ask, or None."""
    charges = (one.value for one in receipts if not one.value.refund_of)
    return next((one for one in charges if one.ask_digest == purchase.deal.ask.digest), None)


def bound(seen: Transcript, session_id: bytes, *, at: float) -> int:
    """Returns the most that a voucher of a session may have said up to a time (PAY-VCH-004).

    A voucher may arrive late: so it is the largest of the bounds that there were until then.
    """
    receipts = right_receipts(seen, session_id)
    most = settled = 0
    for purchase in purchases(seen):
        if purchase.session_id != session_id or (purchase.exchange.began > at and not _names(at, seen, purchase.name)):
            continue
        exposure = purchase.exposure(at=at)
        most = max(most, settled + exposure)
        receipt = _receipt_for(purchase, receipts)
        settled += int(receipt.charge) if receipt is not None else exposure
    return most


def _names(at: float, seen: Transcript, name: str) -> bool:
    """Tells whether a question had been asked at a time: a voucher may come before the ask that it is for."""
    return any(exchange.began <= at for exchange in seen.named(f"{name}/"))


def vouchers(seen: Transcript) -> Iterator[tuple[Exchange, payment_pb2.Voucher]]:
    """Yields the vouchers that were sent, with or without an ask."""
    for exchange in seen.named(""):
        if exchange.method in {SUBMIT, ASK} and (voucher := voucher_sent(exchange)) is not None:
            yield exchange, voucher


def lost(seen: Transcript, session_id: bytes) -> int:
    """Returns what a client signed for a session beyond what all that it read in it costs: a cheat gets no more."""
    signed = max((one.cumulative for _, one in vouchers(seen) if one.session_id == session_id), default=0)
    owed = 0
    for purchase in purchases(seen):
        if purchase.session_id == session_id:
            size = len(read_log(purchase.exchange).text.encode())
            owed += purchase.deal.charge(ask_pb2.Usage(output_bytes=size))
    return max(0, signed - owed)


def within_bounds(seen: Transcript, *, requirement: str) -> Iterator[Finding]:
    """Yields the first voucher of each session that says more than it may."""
    told: set[bytes] = set()
    for exchange, voucher in vouchers(seen):
        most = bound(seen, voucher.session_id, at=exchange.began)
        if voucher.cumulative > most and voucher.session_id not in told:
            told.add(voucher.session_id)
            yield differs(
                requirement,
                "more is signed than the answer can need by what was checked",
                expected=f"at most {most}",
                got=voucher.cumulative,
                exchange=exchange.name,
            )


def acknowledged_rightly(seen: Transcript, *, requirement: str) -> Iterator[Finding]:
    """Yields the acknowledgements of what is no receipt of the session that passes the check of section 3.6."""
    for exchange in seen.named(""):
        if exchange.method != ACKNOWLEDGE:
            continue
        try:
            envelope = payment_pb2.AcknowledgeReceiptRequest.FromString(exchange.request).call
            call = payment_pb2.AcknowledgeReceiptCall.FromString(envelope.payload)
        except DecodeError:
            continue
        right = {receipt.digest for receipt in right_receipts(seen, call.session_id)}
        if call.receipt_digest not in right:
            yield differs(
                requirement,
                "a receipt is acknowledged that does not pass the check",
                expected="no acknowledgement",
                got=call.receipt_digest,
                exchange=exchange.name,
            )


def told_rightly(seen: Transcript, name: str, *, requirement: str) -> Iterator[Finding]:
    """Yields that the user is told another charge than that of the receipt, where there is a right one."""
    asked = [purchase for purchase in purchases(seen) if purchase.name == name]
    receipts = [_receipt_for(purchase, right_receipts(seen, purchase.session_id)) for purchase in asked]
    wanted = next((one.charge for one in reversed(receipts) if one is not None), None)
    told = reply_of(seen, name).get("answered", {}).get("charged")
    if wanted is not None and told != wanted:
        yield differs(
            requirement,
            "the user is told another charge than that of the receipt",
            expected=wanted,
            got="none" if told is None else told,
            exchange=calls(seen, name, ASK)[0].name,
        )


def deposits(seen: Transcript) -> Iterator[tuple[Exchange, bytes, int]]:
    """Yields the deposits that were asked for: the call, session and id of the deposit together, and the amount."""
    for exchange in seen.named(""):
        if exchange.method == OPEN and (terms := terms_sent(exchange)) is not None:
            envelope = payment_pb2.OpenSessionRequest.FromString(exchange.request).call
            call = payment_pb2.OpenSessionCall.FromString(envelope.payload)
            if call.deposit_id:
                yield exchange, terms.digest + call.deposit_id, call.deposit


def withdrawals(seen: Transcript) -> Iterator[tuple[Exchange, bytes, int]]:
    """Yields the payouts that were asked for: the call, session and id of the withdrawal together, and the amount."""
    for exchange in seen.named(""):
        if exchange.method == WITHDRAW:
            envelope = payment_pb2.WithdrawRequest.FromString(exchange.request).call
            call = payment_pb2.WithdrawCall.FromString(envelope.payload)
            yield exchange, call.session_id + call.withdrawal_id, call.amount


def pays_by(seen: Transcript, name: str) -> Iterator[Exchange]:
    """Yields the calls that pay for a question: asks that bring a quote, and vouchers for sessions opened for it."""
    opened_for_it = {
        terms.digest for exchange in calls(seen, name, OPEN) if (terms := terms_sent(exchange)) is not None
    }
    for exchange in seen.named(f"{name}/"):
        if exchange.method == ASK:
            pays = ask_pb2.AskRequest.FromString(exchange.request).HasField("quote")
        else:
            voucher = voucher_sent(exchange)
            pays = voucher is not None and voucher.session_id in opened_for_it
        if pays:
            yield exchange
