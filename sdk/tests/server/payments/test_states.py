from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from consilience._wire import envelopes
from consilience.errors import (
    BalanceTooLowError,
    DepositInvalidError,
    NodeFaultError,
    QuoteInvalidError,
    RefusedError,
    SessionBalance,
    SessionClosedError,
    SessionUnknownError,
    WithdrawalInvalidError,
)
from consilience.identity import KeyPair
from consilience.payments import Account, SessionState, SessionStatus, Voucher
from consilience.server.payments.states import ROOM_WAIT, refusal, refusing, signed_state
from consilience.server.store.contract import StoreError, StoreFullError, StoreUnavailableError
from consilience.server.store.ledger import (
    BalanceError,
    ChainMovedError,
    QuoteUsedUpError,
    SessionMissingError,
    SessionShutError,
    StoredSession,
    TransferConflictError,
)
from consilience.units import Digest, EncodedEnvelope, PublicKey

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NODE, PAYER = KeyPair(b"n" * 32), KeyPair(b"p" * 32)
VOUCHER = envelopes.seal(
    Voucher(payer=PAYER.public_key, session_id=Digest(b"s" * 32), cumulative=60), signer=PAYER
).envelope
ACCOUNT = Account(deposited=90, credit_limit=5, authorized=60, spent=40, reserved=10, refunded=7, withdrawn=8)
SESSION = StoredSession(
    session_id=Digest(b"s" * 32),
    terms=EncodedEnvelope(b"terms"),
    account=ACCOUNT,
    status=SessionStatus.CLOSING,
    receipt_count=3,
    last_receipt_digest=b"r" * 32,
    voucher=EncodedEnvelope(envelopes.to_bytes(VOUCHER)),
)
BALANCE = SessionBalance(available=94, required_cumulative=11, voucher=SESSION.voucher)


def test_a_state_tells_every_counter_and_the_payers_own_voucher() -> None:
    state = signed_state(SESSION, node_id=PublicKey(b"i" * 32), signer=NODE, now=NOW)
    assert state.envelope.public_key == NODE.public_key
    assert envelopes.open_envelope(state.envelope, SessionState).value == SessionState(
        node_id=PublicKey(b"i" * 32),
        signing_key=NODE.public_key,
        session_id=SESSION.session_id,
        status=SessionStatus.CLOSING,
        issue_time=NOW,
        deposited=90,
        authorized=60,
        spent=40,
        reserved=10,
        refunded=7,
        withdrawn=8,
        credit_limit=5,
        receipt_count=3,
        last_receipt_digest=b"r" * 32,
        voucher=VOUCHER,
    )


def test_a_state_of_a_session_of_which_nothing_is_authorized_has_no_voucher() -> None:
    untouched = replace(SESSION, account=Account(), voucher=None)
    assert signed_state(untouched, node_id=NODE.public_key, signer=NODE, now=NOW).value.voucher is None


SHUT = SessionShutError("shut", session=SESSION)
LOW = BalanceError("low", session=SESSION)
CONFLICT = TransferConflictError("another")


@pytest.mark.parametrize(
    ("error", "step", "kind", "detail"),
    [
        (SessionMissingError("none"), {}, SessionUnknownError, None),
        (SessionMissingError("none"), {"withdrawal_of": SESSION}, SessionUnknownError, None),
        (SHUT, {}, SessionClosedError, BALANCE),
        (SHUT, {"deposit": True}, SessionClosedError, BALANCE),
        (LOW, {}, BalanceTooLowError, BALANCE),
        (LOW, {"deposit": True}, DepositInvalidError, None),
        (LOW, {"withdrawal_of": replace(SESSION, voucher=None)}, WithdrawalInvalidError, BALANCE),
        (CONFLICT, {"deposit": True}, DepositInvalidError, None),
        (CONFLICT, {"withdrawal_of": SESSION}, WithdrawalInvalidError, BALANCE),
        (QuoteUsedUpError("used up"), {}, QuoteInvalidError, None),
        (StoreFullError("full", room_time=None), {}, NodeFaultError, None),
    ],
)
def test_what_a_ledger_refuses_has_a_reason_of_the_catalogue(
    error: StoreError, step: dict[str, Any], kind: type[RefusedError], detail: SessionBalance | None
) -> None:
    refused = refusal(error, required=11, **step)
    assert type(refused) is kind
    assert refused.detail == detail
    with pytest.raises(kind), refusing(required=11, **step):
        raise error


def test_a_full_ledger_tells_when_to_come_again() -> None:
    refused = refusal(StoreFullError("full", room_time=None))
    assert refused is not None
    assert refused.retry_after == ROOM_WAIT


@pytest.mark.parametrize("error", [StoreUnavailableError("disk full"), ChainMovedError("moved"), CONFLICT])
def test_a_fault_of_the_node_is_told_as_no_refusal(error: StoreError) -> None:
    assert refusal(error) is None
    with pytest.raises(type(error)), refusing():
        raise error
