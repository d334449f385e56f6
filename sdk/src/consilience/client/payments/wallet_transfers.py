"""The transfers of a wallet: deposits and withdrawals, written down before money moves (PAY-DEP-001, PAY-WDR-002)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime

from consilience.client.payments.wallet_file import Database, WalletFile
from consilience.client.payments.wallet_rows import WalletSession, WalletTransfer
from consilience.client.payments.wallet_sums import give_up
from consilience.payments import TransferStatus
from consilience.units import Digest

_BROUGHT = """
SELECT
    (SELECT COALESCE(SUM(amount), 0) FROM deposits WHERE session_id = ?1
        AND (status = 'SUCCEEDED' OR status = 'PENDING' AND instruction IS NOT NULL))
    - (SELECT COALESCE(SUM(amount), 0) FROM withdrawals WHERE session_id = ?1 AND status != 'FAILED')
"""
"""Of a deposit of which nobody was told how to make it, nothing has moved."""

_COME = "SELECT COALESCE(SUM(amount), 0) FROM deposits WHERE session_id = ? AND status = 'SUCCEEDED'"
_WITHDRAWN = "SELECT COALESCE(SUM(amount), 0) FROM withdrawals WHERE session_id = ? AND status = 'SUCCEEDED'"
_ASKED_BACK = "SELECT COALESCE(SUM(amount), 0) FROM withdrawals WHERE session_id = ? AND status != 'FAILED'"


class WalletTransfers:
    """What went into sessions by rails, and out of them. What is not known to have succeeded or failed is PENDING.

    Args:
        file: Where they are kept.
    """

    def __init__(self, file: WalletFile) -> None:
        self._file = file

    def begin_deposit(self, session_id: Digest, *, deposit_id: bytes, amount: int, now: datetime) -> None:
        """Writes down that a deposit is about to be asked for; the same one again changes nothing."""
        self._begin("INSERT OR IGNORE INTO deposits VALUES (?, ?, ?, ?, ?, NULL)", session_id, deposit_id, amount, now)

    def instruct(self, session_id: Digest, *, deposit_id: bytes, instruction: bytes) -> None:
        """Writes down how a deposit is to be made, before it is."""
        with self._file.transaction() as database:
            database.execute(
                "UPDATE deposits SET instruction = ? WHERE session_id = ? AND deposit_id = ?",
                (instruction, session_id, deposit_id),
            )

    def end_deposit(self, session_id: Digest, *, deposit_id: bytes, status: TransferStatus) -> None:
        """Notes how a deposit ended that was PENDING."""
        with self._file.transaction() as database:
            database.execute(
                "UPDATE deposits SET status = ? WHERE session_id = ? AND deposit_id = ? AND status = 'PENDING'",
                (status.name, session_id, deposit_id),
            )

    def come(self, session_id: Digest, *, deposit_id: bytes, deposited: int, day: date) -> int:
        """Notes that a deposit has come, with what no other has brought; what was kept on the way is spent on a day.

        Args:
            session_id: Into which it came.
            deposit_id: Which one.
            deposited: All that the payee has credited to the session by now, in units of the asset.
            day: In UTC.

        Returns:
            What came of it, at most what was sent; zero: nothing yet, and nothing is noted.
        """
        with self._file.transaction() as database:
            asset, amount, status = database.execute(
                "SELECT asset, amount, status FROM deposits JOIN sessions USING (session_id)"
                " WHERE session_id = ? AND deposit_id = ?",
                (session_id, deposit_id),
            ).fetchone()
            if status == TransferStatus.SUCCEEDED.name:
                return int(amount)
            credited = min(int(amount), deposited - _sum(database, _COME, session_id))
            if credited <= 0:
                return 0
            database.execute(
                "UPDATE deposits SET status = 'SUCCEEDED', amount = ? WHERE session_id = ? AND deposit_id = ?",
                (credited, session_id, deposit_id),
            )
            if (kept := amount - credited) > 0:
                give_up(database, asset=asset, day=day.isoformat(), amount=kept)
            return credited

    def abandon(self, session_id: Digest, *, day: date) -> None:
        """Counts as spent on a day, in UTC, what may be on its way into a session that is closed: it is not waited for.

        What is left in one that was given up counts already.
        """
        with self._file.transaction() as database:
            abandoned = database.execute(
                "UPDATE deposits SET status = 'FAILED' WHERE session_id = ? AND status = 'PENDING'"
                " RETURNING amount, instruction IS NOT NULL",
                (session_id,),
            ).fetchall()
            asset = database.execute(
                "SELECT asset FROM sessions WHERE session_id = ? AND trouble = ''", (session_id,)
            ).fetchone()
            if (amount := sum(each for each, was_told in abandoned if was_told)) and asset is not None:
                give_up(database, asset=asset[0], day=day.isoformat(), amount=amount)

    def deposits(self, session_id: Digest) -> tuple[WalletTransfer, ...]:
        """Returns the deposits of a session; `detail` is the encoded instruction, where there is one.

        The amount of one that has SUCCEEDED is what came of it.
        """
        return self._all(
            "SELECT session_id, deposit_id, amount, status, begin_time, instruction FROM deposits WHERE session_id = ?",
            session_id,
        )

    def begin_withdrawal(self, session_id: Digest, *, withdrawal_id: bytes, amount: int, now: datetime) -> None:
        """Writes down that a withdrawal is about to be asked for; the same one again changes nothing."""
        self._begin(
            "INSERT OR IGNORE INTO withdrawals VALUES (?, ?, ?, ?, ?, NULL)", session_id, withdrawal_id, amount, now
        )

    def end_withdrawal(
        self, session_id: Digest, *, withdrawal_id: bytes, status: TransferStatus, detail: bytes | None
    ) -> None:
        """Notes how a withdrawal stands, and what the rail gave for it."""
        with self._file.transaction() as database:
            database.execute(
                "UPDATE withdrawals SET status = ?, detail = ? WHERE session_id = ? AND withdrawal_id = ?",
                (status.name, detail, session_id, withdrawal_id),
            )

    def withdrawals(self, session_id: Digest) -> tuple[WalletTransfer, ...]:
        """Returns the withdrawals of a session; `detail` is what the rail gave, encoded, where it gave something."""
        return self._all(
            "SELECT session_id, withdrawal_id, amount, status, begin_time, detail FROM withdrawals"
            " WHERE session_id = ?",
            session_id,
        )

    def brought(self, session_id: Digest) -> int:
        """Returns what went into a session, or may have, and was not asked back, in units of its asset."""
        with self._file.transaction() as database:
            return brought(database, session_id)

    def unspent(self, session: WalletSession) -> int:
        """Returns what was brought into a session and neither spent nor asked back, in units of its asset."""
        return max(0, self.brought(session.session_id) - session.spent + session.refunded)

    def came(self, session_id: Digest) -> int:
        """Returns what has come of the deposits of a session, in units of its asset."""
        with self._file.transaction() as database:
            return _sum(database, _COME, session_id)

    def asked_back(self, session_id: Digest) -> int:
        """Returns what was asked back from a session and has not failed, in units of its asset."""
        with self._file.transaction() as database:
            return _sum(database, _ASKED_BACK, session_id)

    def withdrawn(self, session_id: Digest) -> int:
        """Returns what has come back from a session, in units of its asset."""
        with self._file.transaction() as database:
            return _sum(database, _WITHDRAWN, session_id)

    def _begin(self, statement: str, session_id: Digest, transfer_id: bytes, amount: int, now: datetime) -> None:
        row = (session_id, transfer_id, amount, TransferStatus.PENDING.name, now.isoformat())
        with self._file.transaction() as database:
            database.execute(statement, row)

    def _all(self, query: str, session_id: Digest) -> tuple[WalletTransfer, ...]:
        with self._file.transaction() as database:
            rows: Iterable[tuple[Digest, bytes, int, str, str, bytes | None]] = database.execute(query, (session_id,))
            return tuple(
                WalletTransfer(
                    session_id=at,
                    transfer_id=transfer_id,
                    amount=amount,
                    status=TransferStatus[status],
                    begin_time=datetime.fromisoformat(begin_time),
                    detail=detail,
                )
                for at, transfer_id, amount, status, begin_time, detail in rows
            )


def brought(database: Database, session_id: Digest) -> int:
    """Returns what `WalletTransfers.brought` says, within a transaction."""
    return _sum(database, _BROUGHT, session_id)


def left_behind(database: Database, session_id: Digest) -> int:
    """Returns what is lost with a session that is given up, beyond what its running asks may come to cost.

    Zero: it is in use, or on credit.
    """
    found = database.execute(
        "SELECT spent - refunded + (SELECT COALESCE(SUM(ceiling), 0) FROM asks"
        " WHERE session_id = ?1 AND status = 'RUNNING') FROM sessions WHERE session_id = ?1 AND trouble != ''",
        (session_id,),
    ).fetchone()
    return max(brought(database, session_id) - int(found[0]), 0) if found is not None else 0


def _sum(database: Database, query: str, session_id: Digest) -> int:
    return int(database.execute(query, (session_id,)).fetchone()[0])
