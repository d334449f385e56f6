"""Sums of a wallet: what the asks of a day and those under a quote come to, kept with each ask and never added up anew.

An ask that runs counts with its ceiling, one that is paid with its charge, one that was let go of not at all.
"""

from __future__ import annotations

from consilience.client.payments.wallet_file import Database
from consilience.units import RequestId


def count(database: Database, request_id: RequestId, *, asks: int, charges: int) -> None:
    """Changes the sums of an ask's day and of its quote, which a new day begins at zero."""
    quote_digest, asset, day = database.execute(
        "SELECT quote_digest, asset, day FROM asks WHERE request_id = ?", (request_id,)
    ).fetchone()
    database.execute(
        "UPDATE quotes SET ask_count = ask_count + ?, charges = charges + ? WHERE digest = ?",
        (asks, charges, quote_digest),
    )
    database.execute(
        "INSERT INTO days VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET charges = charges + excluded.charges",
        (asset, day, charges),
    )


def charges_on(database: Database, *, asset: str, day: str) -> int:
    """Returns what the asks of a day come to."""
    found = database.execute("SELECT charges FROM days WHERE asset = ? AND day = ?", (asset, day)).fetchone()
    return int(found[0]) if found else 0


def under_quote(database: Database, digest: bytes) -> tuple[int, int]:
    """Returns how many asks there are under a quote, and what they come to."""
    found: tuple[int, int] = database.execute(
        "SELECT ask_count, charges FROM quotes WHERE digest = ?", (digest,)
    ).fetchone()
    return found
