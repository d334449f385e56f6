"""The ledger of the profile *durable*: tables of their own in the file of the answer store, in its transactions.

What moves money or promises to is on the disk before a method returns. A voucher and a raised reservation outlive the
process; a power cut may take the latest of them, by which the payee loses a window at most.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from consilience.payments import TransferStatus
from consilience.server.store import ledger_rows as rows
from consilience.server.store import ledger_statements as statements
from consilience.server.store.contract import AskKey, AskReservation, StoredReceipt
from consilience.server.store.ledger import StoredDeposit, StoredSession, StoredWithdrawal
from consilience.units import Digest, EncodedAny, EncodedEnvelope

T = TypeVar("T")


class _Write(Protocol):
    async def __call__(self, run: Callable[[Connection], T], /, *, on_disk: bool) -> T: ...


class _Read(Protocol):
    async def __call__(self, run: Callable[[Connection], T], /) -> T: ...


class SqliteLedger:
    """Keeps sessions in the file of a `SqliteStore`; see `Ledger` for each method."""

    def __init__(self, *, write: _Write, read: _Read) -> None:
        """Takes what runs statements on the file: within the transactions of its writer, or beside them."""
        self._write = write
        self._read = read

    async def open_session(self, session: StoredSession) -> StoredSession:
        """Keeps a session, or returns the one that is there; see `Ledger.open_session`."""
        return await self._write(partial(statements.open_session, session=session), on_disk=True)

    async def find_session(self, session_id: Digest) -> StoredSession | None:
        """Returns a session, or None."""
        return await self._read(partial(rows.find_session, session_id=session_id))

    async def sessions(self, *, after: bytes = b"", limit: int) -> tuple[StoredSession, ...]:
        """Returns sessions in the order of their ids; see `Ledger.sessions`."""
        return await self._read(partial(rows.sessions, after=after, limit=limit))

    async def begin_deposit(self, deposit: StoredDeposit) -> StoredDeposit:
        """Keeps a deposit, or returns the one that is there; see `Ledger.begin_deposit`."""
        return await self._write(partial(statements.begin_deposit, deposit=deposit), on_disk=True)

    async def find_deposit(self, session_id: Digest, deposit_id: bytes) -> StoredDeposit | None:
        """Returns a deposit, or None."""
        return await self._read(partial(rows.find_deposit, session_id=session_id, deposit_id=deposit_id))

    async def pending_deposits(self) -> tuple[StoredDeposit, ...]:
        """Returns the deposits that are pending, oldest first."""
        return await self._read(rows.pending_deposits)

    async def next_pending_deposits(self, *, after: int, limit: int) -> tuple[tuple[int, StoredDeposit], ...]:
        """Returns a page of the deposits that are pending; see `Ledger.next_pending_deposits`."""
        return await self._read(partial(rows.next_pending_deposits, after=after, limit=limit))

    async def credit(self, session_id: Digest, deposit_id: bytes, *, amount: int, reference: bytes) -> StoredSession:
        """Credits a deposit, once; see `Ledger.credit`."""
        credit = partial(
            statements.credit, session_id=session_id, deposit_id=deposit_id, amount=amount, reference=reference
        )
        return await self._write(credit, on_disk=True)

    async def fail_deposit(self, session_id: Digest, deposit_id: bytes) -> None:
        """Notes that a pending deposit has failed; see `Ledger.fail_deposit`."""
        await self._write(partial(statements.fail_deposit, session_id=session_id, deposit_id=deposit_id), on_disk=True)

    async def authorize(self, session_id: Digest, *, cumulative: int, voucher: EncodedEnvelope) -> StoredSession:
        """Takes a voucher; see `Ledger.authorize`."""
        authorize = partial(statements.authorize, session_id=session_id, cumulative=cumulative, voucher=voucher)
        return await self._write(authorize, on_disk=False)

    async def find_reservation(self, key: AskKey) -> AskReservation | None:
        """Returns what a running ask is paid out of, or None."""
        return await self._read(partial(rows.find_reservation, key=key))

    async def extend(self, key: AskKey, *, least: int, most: int) -> tuple[AskReservation, StoredSession]:
        """Raises what is reserved for a running ask; see `Ledger.extend`."""
        return await self._write(partial(statements.extend, key=key, least=least, most=most), on_disk=False)

    async def receipts(self, session_id: Digest, *, after: int, limit: int) -> tuple[StoredReceipt, ...]:
        """Returns receipts of a session in order; see `Ledger.receipts`."""
        return await self._read(partial(rows.receipts, session_id=session_id, after=after, limit=limit))

    async def find_receipt(self, session_id: Digest, digest: Digest) -> StoredReceipt | None:
        """Returns a receipt, or None."""
        return await self._read(partial(rows.find_receipt, session_id=session_id, digest=digest))

    async def refund(self, receipt: StoredReceipt) -> StoredSession:
        """Gives part of a charge back; see `Ledger.refund`."""
        return await self._write(partial(statements.refund, receipt=receipt), on_disk=True)

    async def acknowledge(self, session_id: Digest, *, number: int, call: EncodedEnvelope) -> None:
        """Keeps the payer's word for a receipt; see `Ledger.acknowledge`."""
        acknowledge = partial(statements.acknowledge, session_id=session_id, number=number, call=call)
        await self._write(acknowledge, on_disk=True)

    async def acknowledgement(self, session_id: Digest) -> EncodedEnvelope | None:
        """Returns the payer's highest acknowledgement, or None."""
        return await self._read(partial(rows.acknowledgement, session_id=session_id))

    async def begin_withdrawal(self, withdrawal: StoredWithdrawal) -> StoredWithdrawal:
        """Counts a payout as withdrawn; see `Ledger.begin_withdrawal`."""
        return await self._write(partial(statements.begin_withdrawal, withdrawal=withdrawal), on_disk=True)

    async def end_withdrawal(
        self, session_id: Digest, withdrawal_id: bytes, *, status: TransferStatus, detail: EncodedAny | None = None
    ) -> StoredWithdrawal:
        """Notes how a payout ended; see `Ledger.end_withdrawal`."""
        end = partial(
            statements.end_withdrawal,
            session_id=session_id,
            withdrawal_id=withdrawal_id,
            status=status,
            detail=detail,
        )
        return await self._write(end, on_disk=True)

    async def pending_withdrawals(self) -> tuple[StoredWithdrawal, ...]:
        """Returns the payouts that are pending, oldest first."""
        return await self._read(rows.pending_withdrawals)

    async def close_session(self, session_id: Digest) -> StoredSession:
        """Shuts a session; see `Ledger.close_session`."""
        return await self._write(partial(statements.close_session, session_id=session_id), on_disk=True)
