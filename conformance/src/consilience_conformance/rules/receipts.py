"""Rules of receipts (spec section 3.6): what a receipt binds together, and how receipts follow each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from consilience.v1 import ask_pb2, node_pb2, payment_pb2
from consilience_conformance import envelopes
from consilience_conformance.rules import tariffs
from consilience_conformance.rules.fields import field_findings
from consilience_conformance.rules.logs import Log
from consilience_conformance.rules.payments import Signed, differs, receipt_of, signed_by_the_node
from consilience_conformance.verdicts import Finding

RECEIPT = "consilience.v1.Receipt"

_OF_THE_TERMS = ("session_id", "payer", "asset", "backing", "issuer")
_REPEATED = (*_OF_THE_TERMS, "request_id", "quote_digest", "ask_digest", "answer_digest", "usage", "outcome")
"""What a refund has in common with the receipt that it gives back of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deal:
    """What an ask was made on.

    Attributes:
        ask: As it was signed.
        quote: That it names.
        terms: Of the session that pays.
        card: Of the node.
    """

    ask: Signed[ask_pb2.Ask]
    quote: Signed[payment_pb2.Quote]
    terms: Signed[payment_pb2.SessionTerms]
    card: node_pb2.NodeCard

    @property
    def ceiling(self) -> int:
        """The most that the answer is charged."""
        return tariffs.ceiling_of(self.quote.value.max_charge, self.ask.value)

    def charge(self, usage: ask_pb2.Usage) -> int:
        """Returns the charge of usage."""
        return tariffs.charge(self.quote.value.tariff, usage, ceiling=self.ceiling)


def final_findings(log: Log, deal: Deal, *, exchange: str) -> Iterator[Finding]:
    """Yields what is wrong with the receipt in the Final of a paid ask, whatever came before it in the session."""
    if log.final is None or log.answer is None:
        return  # other rules tell it
    receipt = receipt_of(log.final)
    if receipt is None:
        yield differs(
            "PAY-RCP-001",
            "the Final of a paid ask has no receipt",
            expected="a receipt",
            got="none that parses" if log.final.HasField("receipt") else "none",
            exchange=exchange,
        )
        return
    yield from signed_by_the_node(receipt.envelope, payment_pb2.Receipt, card=deal.card, exchange=exchange)
    yield from field_findings(receipt.envelope.payload, RECEIPT, exchange=exchange)
    yield from _names(receipt.value, log, deal, exchange=exchange)
    yield from _charge(receipt.value, log, deal, exchange=exchange)


def _names(receipt: payment_pb2.Receipt, log: Log, deal: Deal, *, exchange: str) -> Iterator[Finding]:
    answer, terms = log.answer or ask_pb2.Answer(), deal.terms.value
    answer_digest = envelopes.envelope_digest(log.final.answer) if log.final else b""
    for what, expected, got in (
        ("session_id", deal.terms.digest, receipt.session_id),
        ("payer", terms.payer, receipt.payer),
        ("asset", terms.asset, receipt.asset),
        ("backing", terms.backing, receipt.backing),
        ("issuer", terms.issuer, receipt.issuer),
        ("request_id", deal.ask.value.header.request_id, receipt.request_id),
        ("ask_digest", deal.ask.digest, receipt.ask_digest),
        ("quote_digest", deal.quote.digest, receipt.quote_digest),
        ("answer_digest", answer_digest, receipt.answer_digest),
        ("usage", _told(answer.usage), _told(receipt.usage)),
        ("outcome", answer.outcome, receipt.outcome),
    ):
        if expected != got:
            yield differs(
                "PAY-RCP-001", f"the receipt has another {what}", expected=expected, got=got, exchange=exchange
            )


def _told(usage: ask_pb2.Usage) -> str:
    return " ".join(str(usage).split()) or "nothing"


def _charge(receipt: payment_pb2.Receipt, log: Log, deal: Deal, *, exchange: str) -> Iterator[Finding]:
    answer = log.answer or ask_pb2.Answer()
    most = deal.charge(answer.usage)
    if answer.outcome == ask_pb2.OUTCOME_FAILED and not log.text:
        most = 0
    if receipt.charge > most:
        yield differs(
            "PAY-CHG-001",
            "more is charged than the usage costs",
            expected=f"at most {most}",
            got=receipt.charge,
            exchange=exchange,
        )
    if receipt.session_spent > receipt.session_authorized:
        yield differs(
            "PAY-CHG-001",
            "more is charged than was authorized",
            expected=f"at most {receipt.session_authorized} spent",
            got=receipt.session_spent,
            exchange=exchange,
        )
    if answer.charged != (receipt.charge > 0):
        yield differs(
            "PAY-CHG-002",
            "the answer tells otherwise than the receipt whether it is charged",
            expected=receipt.charge > 0,
            got=answer.charged,
            exchange=exchange,
        )


def chain_findings(
    receipts: Sequence[Signed[payment_pb2.Receipt]], *, exchange: str, first: int = 1, previous_digest: bytes = b""
) -> Iterator[Finding]:
    """Yields where receipts of a session do not follow each other (PAY-RCP-002, -003).

    Args:
        receipts: In the order in which they came.
        exchange: In which they came.
        first: The number with which they have to begin.
        previous_digest: Of the receipt before that.
    """
    spent = refunded = None if first > 1 else 0
    for number, receipt in enumerate(receipts, first):
        value = receipt.value
        for what, expected, got in (
            ("number", number, value.number),
            ("previous_digest", previous_digest, value.previous_digest),
        ):
            if expected != got:
                yield differs(
                    "PAY-RCP-002",
                    f"the receipts of a session do not follow each other: {what}",
                    expected=expected,
                    got=got,
                    exchange=exchange,
                )
        is_refund = bool(value.refund_of)
        for what, before, more, told in (
            ("session_spent", spent, 0 if is_refund else value.charge, value.session_spent),
            ("session_refunded", refunded, value.charge if is_refund else 0, value.session_refunded),
        ):
            if before is not None and told != before + more:
                yield differs(
                    "PAY-RCP-003",
                    f"the receipts of a session do not add up: {what}",
                    expected=before + more,
                    got=told,
                    exchange=exchange,
                )
        spent, refunded, previous_digest = value.session_spent, value.session_refunded, receipt.digest


def refund_findings(
    refund: Signed[payment_pb2.Receipt], *, earlier: Sequence[Signed[payment_pb2.Receipt]], exchange: str
) -> Iterator[Finding]:
    """Yields what is wrong with a refund, its signature and its place in the chain apart.

    Args:
        refund: A receipt with `refund_of`.
        earlier: The receipts of the session before it.
        exchange: In which it came.
    """
    value = refund.value
    charge = next((one.value for one in earlier if one.digest == value.refund_of and not one.value.refund_of), None)
    if charge is None:
        yield differs(
            "PAY-RCP-003",
            "a refund names no charge of the session",
            expected=", ".join(one.digest.hex() for one in earlier if not one.value.refund_of),
            got=value.refund_of,
            exchange=exchange,
        )
        return
    for what in _REPEATED:
        if getattr(value, what) != getattr(charge, what):
            yield differs(
                "PAY-RCP-003",
                f"a refund has another {what} than the charge",
                expected=getattr(charge, what),
                got=getattr(value, what),
                exchange=exchange,
            )
    left = charge.charge - sum(one.value.charge for one in earlier if one.value.refund_of == value.refund_of)
    if not 0 < value.charge <= left:
        yield differs(
            "PAY-RCP-003",
            "a refund gives back more than is left of the charge, or nothing",
            expected=f"1 to {left}",
            got=value.charge,
            exchange=exchange,
        )


def no_receipt(log: Log, *, exchange: str) -> Iterator[Finding]:
    """Yields that the Final of a free ask has a receipt."""
    if log.final is not None and log.final.HasField("receipt"):
        yield differs(
            "PAY-RCP-001", "the Final of a free ask has a receipt", expected="none", got="one", exchange=exchange
        )
