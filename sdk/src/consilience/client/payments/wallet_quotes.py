"""The quotes of a wallet: prices that may be used again, with what was asked under each (spec section 3.2)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from consilience._wire.envelopes import to_bytes
from consilience.client.payments.wallet_file import Database, WalletFile
from consilience.client.payments.wallet_rows import opened
from consilience.envelopes import Signed
from consilience.nodes import NodeCard
from consilience.payments import Quote
from consilience.units import Digest, PublicKey

LAST_MOMENT = timedelta(seconds=5)
"""How long before its end a quote is not used any more: the ask has to arrive under it."""


class WalletQuotes:
    """The quotes that were had, and the cards that they rest on: receipts are checked against both.

    Args:
        file: Where they are kept.
    """

    def __init__(self, file: WalletFile) -> None:
        self._file = file

    def keep(self, quote: Signed[Quote], *, card: Signed[NodeCard]) -> None:
        """Keeps a quote that was checked, and its card."""
        value = quote.value
        named = (value.payer, value.node_id, value.skill_id, value.model_id, value.tariff.asset if value.tariff else "")
        with self._file.transaction() as database:
            self.keep_card(card)
            database.execute(
                "INSERT OR IGNORE INTO quotes (digest, payer, payee, skill_id, model_id, asset, card_digest, quote)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (quote.digest, *named, card.digest, to_bytes(quote.envelope)),
            )

    def keep_card(self, card: Signed[NodeCard]) -> None:
        """Keeps a card by which a receipt was checked that came later than the card of its quote."""
        with self._file.transaction() as database:
            database.execute("INSERT OR IGNORE INTO cards VALUES (?, ?)", (card.digest, to_bytes(card.envelope)))

    def cards(self) -> Iterator[Signed[NodeCard]]:
        """Yields the cards that are kept, of all nodes."""
        with self._file.transaction() as database:
            found = database.execute("SELECT card FROM cards").fetchall()
        return (opened(card, NodeCard) for (card,) in found)

    def usable(
        self,
        *,
        payer: PublicKey,
        skill_id: str,
        model_id: str,
        asset: str,
        card: Signed[NodeCard],
        most: int,
        now: datetime,
    ) -> Signed[Quote] | None:
        """Returns the latest price for one more ask, or None.

        Args:
            payer: Who asks.
            skill_id: What is asked.
            model_id: The model that is to answer; empty: whichever the node chooses.
            asset: What is paid in.
            card: What the ask relies on.
            most: What the ask may cost, in units of the asset.
            now: Aware UTC.
        """
        with self._file.transaction() as database:
            found = database.execute(
                "SELECT quote, ask_count, charges FROM quotes WHERE payee = ? AND skill_id = ? AND payer = ?"
                " AND model_id = ? AND asset = ? AND card_digest = ? AND NOT used_up",
                (card.value.node_id, skill_id, payer, model_id, asset, card.digest),
            ).fetchall()
            quotes = [(opened(encoded, Quote), asks, charges) for encoded, asks, charges in found]
            quotes.sort(key=lambda row: row[0].value.issue_time, reverse=True)
            for quote, asks, charges in quotes:
                if now + LAST_MOMENT >= quote.value.expire_time:
                    _discard(database, quote.digest)
                elif _has_room(quote.value, most=most, asks=asks, charges=charges):
                    return quote
        return None

    def discard(self, digest: Digest) -> None:
        """Notes that the node does not take a quote any more."""
        with self._file.transaction() as database:
            _discard(database, digest)

    def get(self, digest: bytes) -> tuple[Signed[Quote], Signed[NodeCard]] | None:
        """Returns a quote and the card that it rests on, or None."""
        with self._file.transaction() as database:
            found = database.execute(
                "SELECT quote, card FROM quotes JOIN cards ON cards.digest = card_digest WHERE quotes.digest = ?",
                (digest,),
            ).fetchone()
        return (opened(found[0], Quote), opened(found[1], NodeCard)) if found else None


def _discard(database: Database, digest: Digest) -> None:
    database.execute("UPDATE quotes SET used_up = 1 WHERE digest = ?", (digest,))


def _has_room(quote: Quote, *, most: int, asks: int, charges: int) -> bool:
    """Tells whether one ask more than so many keeps within `max_asks` and `total_max_charge` (PAY-QUO-003)."""
    return asks < quote.max_asks and charges + min(most, quote.max_charge) <= quote.total_max_charge
