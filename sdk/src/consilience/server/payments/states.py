"""States: how a session stands, signed, and what an error of the ledger is on the wire (spec sections 3.3 and 5.2).

>>> with refusing(required=voucher.cumulative):
...     session = await ledger.authorize(session_id, cumulative=voucher.cumulative, voucher=encoded)
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from consilience._wire import envelopes
from consilience.envelopes import Signed
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
from consilience.identity import Signer
from consilience.payments import SessionState
from consilience.server.store.contract import StoreError, StoreFullError
from consilience.server.store.ledger import (
    BalanceError,
    QuoteUsedUpError,
    SessionMissingError,
    SessionShutError,
    StoredSession,
    TransferConflictError,
)
from consilience.units import PublicKey

ROOM_WAIT = timedelta(minutes=1)
"""How long a caller is asked to wait where the ledger takes no more sessions and deposits."""


def signed_state(session: StoredSession, *, node_id: PublicKey, signer: Signer, now: datetime) -> Signed[SessionState]:
    """Returns how a session stands, signed by a key that the card lists (PAY-SES-004)."""
    account = session.account
    state = SessionState(
        node_id=node_id,
        signing_key=signer.public_key,
        session_id=session.session_id,
        status=session.status,
        issue_time=now,
        deposited=account.deposited,
        authorized=account.authorized,
        spent=account.spent,
        reserved=account.reserved,
        refunded=account.refunded,
        withdrawn=account.withdrawn,
        credit_limit=account.credit_limit,
        receipt_count=session.receipt_count,
        last_receipt_digest=session.last_receipt_digest,
        voucher=None if session.voucher is None else envelopes.from_bytes(session.voucher),
    )
    return envelopes.seal(state, signer=signer)


def balance_of(session: StoredSession, *, required: int = 0) -> SessionBalance:
    """Returns what a refusal tells of a session: with the payer's own highest voucher (PAY-VCH-003).

    Args:
        session: As it stands.
        required: What a voucher would have had to reach, or the call asked for, in units of the asset.
    """
    available = session.account.available
    return SessionBalance(available=available, required_cumulative=required, voucher=session.voucher)


def session_closed(session: StoredSession, *, required: int = 0) -> SessionClosedError:
    """Returns the refusal of what a session that is closing or closed does not take any more (PAY-CLS-001)."""
    return SessionClosedError(f"the session is {session.status}", detail=balance_of(session, required=required))


def session_unknown() -> SessionUnknownError:
    """Returns the refusal of a session that there is not, or that is another payer's: alike (PAY-SES-003)."""
    return SessionUnknownError("this payer has no such session")


def refusal(
    error: StoreError,
    *,
    required: int = 0,
    deposit: bool = False,
    withdrawal_of: StoredSession | None = None,
) -> RefusedError | None:
    """Returns what an error of a ledger is on the wire; None: it is a fault of the node.

    Args:
        error: What the ledger raised.
        required: What the step needed, in units of the asset.
        deposit: The step was one of a deposit.
        withdrawal_of: The session, as it stands, out of which the step was to pay; None: it was none of a payout.
    """
    match error:
        case SessionMissingError():
            return session_unknown()
        case SessionShutError(session=session):
            return session_closed(session, required=required)
        case BalanceError() | TransferConflictError() if withdrawal_of is not None:
            session = error.session if isinstance(error, BalanceError) else withdrawal_of
            return WithdrawalInvalidError(str(error), detail=balance_of(session, required=required))
        case BalanceError() | TransferConflictError() if deposit:
            return DepositInvalidError(str(error))
        case BalanceError(session=session):
            return BalanceTooLowError(str(error), detail=balance_of(session, required=required))
        case QuoteUsedUpError():
            return QuoteInvalidError(str(error))
        case StoreFullError():
            return NodeFaultError("the node keeps no more for now", retry_after=ROOM_WAIT)
        case _:
            return None


@contextmanager
def refusing(*, required: int = 0, deposit: bool = False, withdrawal_of: StoredSession | None = None) -> Iterator[None]:
    """Raises, for what a ledger raises in the block, the refusal; see `refusal`. A fault stays what it is."""
    try:
        yield
    except StoreError as error:
        refused = refusal(error, required=required, deposit=deposit, withdrawal_of=withdrawal_of)
        if refused is None:
            raise
        raise refused from error
