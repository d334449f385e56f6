"""The receipts of a wallet: what was charged and given back, session by session, as the nodes have signed it."""

from __future__ import annotations

from consilience._wire.envelopes import to_bytes
from consilience.client.payments.wallet_file import Database, WalletFile
from consilience.client.payments.wallet_rows import opened
from consilience.client.payments.wallet_sums import count, leave
from consilience.client.payments.wallet_transfers import left_behind
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.payments import Receipt, check_chain
from consilience.units import Digest, RequestId


class WalletReceipts:
    """The receipts that were checked. They may come out of their order, and their order has no holes in the end.

    Args:
        file: Where they are kept.
    """

    def __init__(self, file: WalletFile) -> None:
        self._file = file

    def keep(self, receipt: Signed[Receipt]) -> None:
        """Keeps a receipt that was checked, once: its ask is paid, and its charge is spent, or given back.

        Raises:
            ProtocolError: There is another receipt of this number, or another one of this ask (PAY-RCP-002,
                PAY-RCP-004), or the ask is none of those that were paid for (PAY-RCP-005).
        """
        value = receipt.value
        with self._file.transaction() as database:
            if _is_there(database, receipt):
                return
            row = (value.session_id, value.number, receipt.digest, to_bytes(receipt.envelope))
            database.execute("INSERT INTO receipts VALUES (?, ?, ?, ?)", row)
            counter = "refunded" if value.refund_of else "spent"
            database.execute(
                f"UPDATE sessions SET {counter} = {counter} + ? WHERE session_id = ?",  # noqa: S608 - our columns
                (value.charge, value.session_id),
            )
            if not value.refund_of:
                _settle(database, value)

    def chain(self, receipt: Signed[Receipt]) -> None:
        """Keeps a receipt, as `keep`, where it also fits what was signed and the ones before and after it.

        Raises:
            ProtocolError: It does not (PAY-RCP-002, PAY-RCP-003, PAY-RCP-005), or as `keep`.
        """
        session_id, number = receipt.value.session_id, receipt.value.number
        with self._file.transaction() as database:
            found = database.execute("SELECT authorized FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
            check_authorized(receipt.value, authorized=int(found[0]) if found else 0)
            beside = database.execute(
                "SELECT number, receipt FROM receipts WHERE session_id = ? AND number IN (?, ?)",
                (session_id, number - 1, number + 1),
            )
            held = {each: opened(encoded, Receipt) for each, encoded in beside.fetchall()}
            check_chain(receipt, before=held.get(number - 1))
            if number + 1 in held:  # which came first, when there was nothing to check it against
                check_chain(held[number + 1], before=receipt)
            self.keep(receipt)

    def of(self, session_id: Digest) -> tuple[Signed[Receipt], ...]:
        """Returns the receipts of a session that are held, by their numbers."""
        with self._file.transaction() as database:
            found = database.execute(
                "SELECT receipt FROM receipts WHERE session_id = ? ORDER BY number", (session_id,)
            ).fetchall()
        return tuple(opened(encoded, Receipt) for (encoded,) in found)

    def numbered(self, session_id: Digest, number: int) -> Signed[Receipt] | None:
        """Returns the receipt of a number, or None."""
        with self._file.transaction() as database:
            found = database.execute(
                "SELECT receipt FROM receipts WHERE session_id = ? AND number = ?", (session_id, number)
            ).fetchone()
        return opened(found[0], Receipt) if found else None

    def of_ask(self, session_id: Digest, *, request_id: RequestId) -> Signed[Receipt] | None:
        """Returns the receipt of an ask, or None."""
        charges = (one for one in self.of(session_id) if not one.value.refund_of)
        return next((one for one in charges if one.value.request_id == request_id), None)

    def last_without_hole(self, session_id: Digest) -> int:
        """Returns the number up to which every receipt of a session is held; zero: the first is not."""
        with self._file.transaction() as database:
            return _last_without_hole(database, session_id)

    def to_acknowledge(self, session_id: Digest) -> Signed[Receipt] | None:
        """Returns the last receipt before a hole, where the node was not told yet that it is right, or None."""
        with self._file.transaction() as database:
            number = _last_without_hole(database, session_id)
            found = database.execute(
                "SELECT receipt FROM receipts JOIN sessions USING (session_id)"
                " WHERE session_id = ? AND number = ? AND number > acknowledged AND trouble = ''",
                (session_id, number),
            ).fetchone()
        return opened(found[0], Receipt) if found else None

    def acknowledged(self, session_id: Digest, *, number: int) -> None:
        """Notes that the node was told that its receipts up to a number are right."""
        with self._file.transaction() as database:
            database.execute(
                "UPDATE sessions SET acknowledged = MAX(acknowledged, ?) WHERE session_id = ?", (number, session_id)
            )


def check_authorized(receipt: Receipt, *, authorized: int) -> None:
    """Checks that a session has not spent more than its payer signed: what nobody read, a node may only claim.

    Raises:
        ProtocolError: It has.
    """
    if receipt.session_spent > authorized:
        raise ProtocolError(f"{receipt.session_spent} are spent, and {authorized} signed", requirement="PAY-RCP-005")


def _last_without_hole(database: Database, session_id: Digest) -> int:
    """Looks behind the last receipt that was acknowledged: there is no hole before that."""
    found = database.execute(
        "SELECT number, acknowledged FROM receipts JOIN sessions USING (session_id)"
        " WHERE session_id = ? AND number >= acknowledged ORDER BY number",
        (session_id,),
    ).fetchall()
    if not found:
        return 0
    last: int = found[0][1]
    for number, _ in found:
        if number > last + 1:
            break
        last = number
    return last


def _is_there(database: Database, receipt: Signed[Receipt]) -> bool:
    value = receipt.value
    found = database.execute(
        "SELECT digest FROM receipts WHERE session_id = ? AND number = ?", (value.session_id, value.number)
    ).fetchone()
    if found is not None and found[0] != receipt.digest:
        raise ProtocolError(f"there is another receipt of the number {value.number}", requirement="PAY-RCP-002")
    return found is not None


def _settle(database: Database, receipt: Receipt) -> None:
    """Notes that an ask is paid, and forgets what was asked."""
    named = (receipt.request_id, receipt.session_id, receipt.ask_digest, receipt.quote_digest)
    settled = database.execute(
        "UPDATE asks SET status = 'PAID', charge = ?, ask = NULL WHERE request_id = ? AND session_id = ?"
        " AND ask_digest = ? AND quote_digest = ? AND status = 'RUNNING' RETURNING ceiling",
        (receipt.charge, *named),
    ).fetchone()
    if settled is None:
        paid = database.execute(
            "SELECT 1 FROM asks WHERE request_id = ? AND session_id = ? AND ask_digest = ? AND quote_digest = ?"
            " AND status = 'PAID'",
            named,
        ).fetchone()
        if paid is not None:
            raise ProtocolError("the ask has another receipt already", requirement="PAY-RCP-004")
        raise ProtocolError("the receipt is for an ask that was not paid for", requirement="PAY-RCP-005")
    freed = settled[0] - receipt.charge
    count(database, receipt.request_id, asks=0, charges=-freed)
    leave(database, receipt.request_id, amount=min(freed, left_behind(database, receipt.session_id)))
