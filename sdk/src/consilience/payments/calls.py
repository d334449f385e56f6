"""Calls of PaymentService: what a payer signs, and the rules that its fields keep at run time (spec chapter 3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from consilience.asks.questions import header_violations, refuse_violations
from consilience.calls import CallHeader
from consilience.envelopes import Envelope
from consilience.errors import FieldViolation
from consilience.payments.quotes import MAX_MODEL_ID_CHARACTERS
from consilience.payments.transfers import TRANSFER_ID_BYTES
from consilience.tariffs import is_asset, is_id
from consilience.units import Digest, EncodedAny

QUOTE_METHOD = "consilience.v1.PaymentService/GetQuote"
OPEN_METHOD = "consilience.v1.PaymentService/OpenSession"
CONFIRM_METHOD = "consilience.v1.PaymentService/ConfirmDeposit"
VOUCHER_METHOD = "consilience.v1.PaymentService/SubmitVoucher"
GET_SESSION_METHOD = "consilience.v1.PaymentService/GetSession"
ACKNOWLEDGE_METHOD = "consilience.v1.PaymentService/AcknowledgeReceipt"
LIST_METHOD = "consilience.v1.PaymentService/ListReceipts"
WITHDRAW_METHOD = "consilience.v1.PaymentService/Withdraw"
CLOSE_METHOD = "consilience.v1.PaymentService/CloseSession"

DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class GetQuoteCall:
    """Asks for a price; no model: whichever the node chooses; no asset: that of the skill's first tariff."""

    header: CallHeader
    skill_id: str
    model_id: str = ""
    asset: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSessionCall:
    """Opens a session, or finds it; with a `deposit_id` of 16 bytes it starts a deposit, in units of the asset.

    `terms` are SessionTerms, not verified: the header, and its time, are looked at before them (spec section 3.3).
    """

    header: CallHeader
    terms: Envelope
    deposit_id: bytes = b""
    deposit: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmDepositCall:
    """Says that a deposit was made; `proof` is in the words of the rail."""

    header: CallHeader
    session_id: Digest
    deposit_id: bytes
    proof: EncodedAny | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GetSessionCall:
    """Asks how a session stands."""

    header: CallHeader
    session_id: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class AcknowledgeReceiptCall:
    """Acknowledges a receipt, and with it what came before: the payer's word to the issuer of an escrow."""

    header: CallHeader
    session_id: Digest
    receipt_digest: Digest
    session_spent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ListReceiptsCall:
    """Asks for receipts from behind a number; `page_size` 0: as many as the node likes."""

    header: CallHeader
    session_id: Digest
    after_number: int = 0
    page_size: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WithdrawCall:
    """Asks for money back, under an id of 16 bytes; `destination` is in the words of the rail."""

    header: CallHeader
    session_id: Digest
    withdrawal_id: bytes
    amount: int
    destination: EncodedAny | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseSessionCall:
    """Ends a session."""

    header: CallHeader
    session_id: Digest


PaymentCall = (
    GetQuoteCall
    | OpenSessionCall
    | ConfirmDepositCall
    | GetSessionCall
    | AcknowledgeReceiptCall
    | ListReceiptsCall
    | WithdrawCall
    | CloseSessionCall
)
"""Every signed call of PaymentService; a voucher is none, because it has no header."""


def check_payment_call(call: PaymentCall) -> None:
    """Checks the declared constraints of a call, but for those of nested signed objects.

    Raises:
        FieldInvalidError: With the violations found, by their paths in the payload.
    """
    refuse_violations(chain(header_violations(call.header), _violations(call)))


def _violations(call: PaymentCall) -> Iterator[FieldViolation]:
    match call:
        case GetQuoteCall():
            yield from _quote_violations(call)
        case OpenSessionCall():
            if call.deposit_id and len(call.deposit_id) != TRANSFER_ID_BYTES:
                yield _is_no(TRANSFER_ID_BYTES, "deposit_id")
            if call.deposit < 0:
                yield FieldViolation(field="deposit", description="must not be negative")
            if (len(call.deposit_id) == TRANSFER_ID_BYTES) != (call.deposit > 0):
                yield FieldViolation(
                    field="open_session_call", description="must have a deposit with a deposit_id and only then"
                )
        case _:
            if len(call.session_id) != DIGEST_BYTES:
                yield _is_no(DIGEST_BYTES, "session_id")
            yield from _rest(call)


def _quote_violations(call: GetQuoteCall) -> Iterator[FieldViolation]:
    if not is_id(call.skill_id):
        yield FieldViolation(field="skill_id", description="must be the id of a skill")
    if len(call.model_id) > MAX_MODEL_ID_CHARACTERS:
        yield FieldViolation(field="model_id", description=f"must have at most {MAX_MODEL_ID_CHARACTERS} characters")
    if call.asset and not is_asset(call.asset):
        yield FieldViolation(field="asset", description="must be the id of an asset, as USD/6")


def _rest(call: PaymentCall) -> Iterator[FieldViolation]:
    for name, size in (("deposit_id", TRANSFER_ID_BYTES), ("withdrawal_id", TRANSFER_ID_BYTES), ("receipt_digest", 32)):
        if len(getattr(call, name, bytes(size))) != size:
            yield _is_no(size, name)
    for name in ("session_spent", "after_number", "page_size"):
        if getattr(call, name, 0) < 0:
            yield FieldViolation(field=name, description="must not be negative")
    if isinstance(call, WithdrawCall) and call.amount <= 0:
        yield FieldViolation(field="amount", description="must be above zero")


def _is_no(size: int, field: str) -> FieldViolation:
    return FieldViolation(field=field, description=f"must be {size} bytes")
