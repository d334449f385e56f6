"""The closings of a wallet: for which sessions the payer has asked that they be closed (PAY-CLS-001).

A session ends by a call of its payer alone. One that its node ends by itself is given up, so that what is left in it
counts as spent: else the node could end one session after the other, and be given a deposit for each.
"""

from __future__ import annotations

from consilience.client.payments.wallet_file import WalletFile
from consilience.units import Digest


class WalletClosings:
    """What the payer has asked to be closed.

    Args:
        file: Where it is kept.
    """

    def __init__(self, file: WalletFile) -> None:
        self._file = file

    def ask(self, session_id: Digest) -> None:
        """Writes down that a session is about to be closed, before its node is asked to."""
        with self._file.transaction() as database:
            database.execute("UPDATE sessions SET close_asked = 1 WHERE session_id = ?", (session_id,))

    def was_asked(self, session_id: Digest) -> bool:
        """Tells whether the payer has asked for a session to be closed."""
        with self._file.transaction() as database:
            found = database.execute("SELECT close_asked FROM sessions WHERE session_id = ?", (session_id,)).fetchone()
        return bool(found and found[0])
