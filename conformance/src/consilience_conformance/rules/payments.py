"""What the methods of payments bring, read without trust: what does not come, or does not parse, is None."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import DecodeError, Message

from consilience.v1 import ask_pb2, error_details_pb2, node_pb2, payment_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.payment_methods import (
    ACKNOWLEDGE,
    CLOSE,
    CONFIRM,
    GET_QUOTE,
    GET_SESSION,
    LIST,
    OPEN,
    SUBMIT,
    WITHDRAW,
)
from consilience_conformance.rules.refusals import outcome_of, refusal_of
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding

MessageT = TypeVar("MessageT", bound=Message)

RESPONSES: dict[str, type[Message]] = {
    GET_QUOTE: payment_pb2.GetQuoteResponse,
    OPEN: payment_pb2.OpenSessionResponse,
    CONFIRM: payment_pb2.ConfirmDepositResponse,
    SUBMIT: payment_pb2.SubmitVoucherResponse,
    GET_SESSION: payment_pb2.GetSessionResponse,
    ACKNOWLEDGE: payment_pb2.AcknowledgeReceiptResponse,
    LIST: payment_pb2.ListReceiptsResponse,
    WITHDRAW: payment_pb2.WithdrawResponse,
    CLOSE: payment_pb2.CloseSessionResponse,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed(Generic[MessageT]):
    """A signed object as it came.

    Attributes:
        envelope: As it was received.
        value: What it carries, parsed and otherwise unverified.
    """

    envelope: SignedEnvelope
    value: MessageT

    @property
    def digest(self) -> bytes:
        """The name of the object, 32 bytes."""
        return envelopes.envelope_digest(self.envelope)


def opened(envelope: SignedEnvelope, kind: type[MessageT]) -> Signed[MessageT] | None:
    """Returns what an envelope carries, or None: it does not parse."""
    try:
        return Signed(envelope=envelope, value=kind.FromString(envelope.payload))
    except DecodeError:
        return None


def response_of(exchange: Exchange, kind: type[MessageT]) -> MessageT | None:
    """Returns the response of a call, or None: it was refused, or what came does not parse."""
    try:
        return kind.FromString(exchange.responses[0].data)
    except (IndexError, DecodeError):
        return None


def quote_in(exchange: Exchange) -> Signed[payment_pb2.Quote] | None:
    """Returns the quote that GetQuote brought."""
    response = response_of(exchange, payment_pb2.GetQuoteResponse)
    return opened(response.quote, payment_pb2.Quote) if response is not None else None


def offered_in(exchange: Exchange) -> Signed[payment_pb2.Quote] | None:
    """Returns the quote in a refusal with PAYMENT_REQUIRED."""
    detail = refusal_of(exchange).details.get("consilience.v1.PaymentRequired")
    if not isinstance(detail, error_details_pb2.PaymentRequired):
        return None
    return opened(detail.quote, payment_pb2.Quote)


def state_in(exchange: Exchange) -> Signed[payment_pb2.SessionState] | None:
    """Returns the state of a session that a call brought, whichever of them it was."""
    kind = RESPONSES.get(exchange.method)
    response = response_of(exchange, kind) if kind is not None else None
    envelope = getattr(response, "state", None)
    return opened(envelope, payment_pb2.SessionState) if isinstance(envelope, SignedEnvelope) else None


def instruction_in(exchange: Exchange) -> payment_pb2.DepositInstruction | None:
    """Returns how to make a deposit, where OpenSession told it."""
    response = response_of(exchange, payment_pb2.OpenSessionResponse)
    return response.instruction if response is not None and response.HasField("instruction") else None


def receipts_in(exchange: Exchange) -> list[Signed[payment_pb2.Receipt]]:
    """Returns the receipts that ListReceipts brought, as far as they parse."""
    response = response_of(exchange, payment_pb2.ListReceiptsResponse)
    found = [opened(one, payment_pb2.Receipt) for one in response.receipts] if response is not None else []
    return [one for one in found if one is not None]


def receipt_of(final: ask_pb2.Final | None) -> Signed[payment_pb2.Receipt] | None:
    """Returns the receipt in a Final, or None: there is none that parses."""
    if final is None or not final.HasField("receipt"):
        return None
    return opened(final.receipt, payment_pb2.Receipt)


def balance_in(exchange: Exchange) -> error_details_pb2.SessionBalance | None:
    """Returns how a refusal says that the session stands."""
    detail = refusal_of(exchange).details.get("consilience.v1.SessionBalance")
    return detail if isinstance(detail, error_details_pb2.SessionBalance) else None


def voucher_sent(exchange: Exchange) -> payment_pb2.Voucher | None:
    """Returns the voucher that SubmitVoucher or an ask took along, or None: there was none."""
    envelope = SignedEnvelope()
    try:
        if exchange.method == SUBMIT:
            envelope = payment_pb2.SubmitVoucherRequest.FromString(exchange.request).voucher
        elif exchange.method.endswith("AskService/Ask"):
            envelope = ask_pb2.AskRequest.FromString(exchange.request).voucher
        return payment_pb2.Voucher.FromString(envelope.payload) if envelope.payload else None
    except DecodeError:
        return None


def signed_by_the_node(
    envelope: SignedEnvelope, kind: type[Message], *, card: node_pb2.NodeCard, exchange: str
) -> Iterator[Finding]:
    """Yields what is wrong with the signature of an object that a signing key of the node signs (section 0.1)."""
    name = kind.DESCRIPTOR.name
    if defect := envelopes.defect_of(envelope, payload_type=kind.DESCRIPTOR.full_name):
        yield Finding(requirement="SIG-ENV-001", message=f"the {name} is not signed: {defect}", exchange=exchange)
        return
    found = opened(envelope, kind)
    if found is None:
        yield Finding(requirement="SIG-ENV-001", message=f"the {name} does not parse", exchange=exchange)
        return
    value = found.value
    keys = {key.public_key for key in card.signing_keys}
    named = {"signing_key": getattr(value, "signing_key", b""), "node_id": getattr(value, "node_id", b"")}
    if envelope.public_key != named["signing_key"] or envelope.public_key not in keys:
        yield Finding(
            requirement="SIG-ENV-005",
            message=f"the {name} is signed by another key than a signing key of the card that it names",
            expected=", ".join(key.hex() for key in keys),
            got=f"signed by {envelope.public_key.hex()}, names {named['signing_key'].hex()}",
            exchange=exchange,
        )
    if named["node_id"] != card.node_id:
        yield Finding(
            requirement="SIG-ENV-005",
            message=f"the {name} names another node",
            expected=card.node_id.hex(),
            got=named["node_id"].hex(),
            exchange=exchange,
        )


def differs(requirement: str, message: str, *, expected: object, got: object, exchange: str) -> Finding:
    """Returns a finding whose values are shown for people: bytes in hexadecimal."""
    return Finding(
        requirement=requirement, message=message, expected=_shown(expected), got=_shown(got), exchange=exchange
    )


def lacks(exchange: Exchange, what: str, *, requirement: str) -> Finding:
    """Returns the finding that a call did not bring what it has to."""
    return Finding(
        requirement=requirement,
        message=f"{exchange.name} brought no {what}",
        expected=what,
        got=outcome_of(exchange) + (f": {exchange.message}" if exchange.message else ""),
        exchange=exchange.name,
    )


def _shown(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
