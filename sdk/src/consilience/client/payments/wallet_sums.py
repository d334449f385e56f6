"""Sums of a wallet: what the asks of a day and those under a quote come to, kept with each ask and never added up anew.

An ask that runs counts with its ceiling, one that is paid with its charge, one that was let go of not at all. What is
left in a session that is given up counts for the day of that: a node that takes deposits and forgets them comes to no
more than the budget of a day and the last of them. So does what was kept of a deposit on its way.
"""

from __future__ import annotations

from consilience.client.payments.wallet_file import Database
from consilience.units import RequestId


def count(database: Database, request_id: RequestId, *, asks: int, charges: int) -> None:
    """Changes the sums of an ask's day and of its quote, which a new day begins at zero."""
    database.execute(
        "UPDATE quotes SET ask_count = ask_count + ?, charges = charges + ?"
        " WHERE digest = (SELECT quote_digest FROM asks WHERE request_id = ?)",
        (asks, charges, request_id),
    )
    database.execute(
        "INSERT INTO days SELECT asset, day, ? FROM asks WHERE request_id = ?"
        " ON CONFLICT DO UPDATE SET charges = charges + excluded.charges",
        (charges, request_id),
    )


def leave(database: Database, request_id: RequestId, *, amount: int) -> None:
    """Counts as spent, on the day of an ask, what it did not cost, and what is lost with its session all the same."""
    database.execute(
        "UPDATE days SET charges = charges + ? WHERE (asset, day) = (SELECT asset, day FROM asks WHERE request_id = ?)",
        (amount, request_id),
    )


def give_up(database: Database, *, asset: str, day: str, amount: int) -> None:
    """Counts as spent on a day what is left in a session that is given up, or was kept of a deposit on its way."""
    database.execute(
        "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET charges = charges + excluded.charges",
        (asset, day, amount),
    )


def charges_on(database: Database, *, asset: str, day: str) -> int:
    """Returns what the asks of a day come to, with what was given up on it."""
    found = database.execute("SELECT charges FROM days WHERE asset = ? AND day = ?", (asset, day)).fetchone()
    return int(found[0]) if found else 0


def running_on(database: Database, *, asset: str, day: str) -> int:
    """Returns the ceilings of the asks of a day that run, but for those whose sessions are given up: they are spent."""
    found = database.execute(
        "SELECT COALESCE(SUM(ceiling), 0) FROM asks JOIN sessions USING (session_id)"
        " WHERE status = 'RUNNING' AND (asks.asset, day) = (?, ?) AND trouble = ''",
        (asset, day),
    ).fetchone()
    return int(found[0])
