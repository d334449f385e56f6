"""Card memory: the newest card seen of each node, kept across runs so that nobody can roll a node back.

A card with a lower sequence than the highest seen is refused (NODE-CARD-004), and so is one that commits to another
next root key (NODE-KEY-005); a new root key is followed only where the newest card of the old one commits to it
(NODE-KEY-003). All of that needs a memory longer than a process. Several processes may share the file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from consilience._wire.envelopes import from_bytes, open_envelope, to_bytes
from consilience.envelopes import Signed
from consilience.errors import RefusedError
from consilience.nodes import KeySuccession, NodeCard, check_commitment_kept, keeps_commitment, newer_card
from consilience.state_folder import user_state_folder
from consilience.units import CardSequence, Digest, PublicKey

if TYPE_CHECKING:
    from sqlite3 import Connection

MAX_GLIMPSES = 100_000
"""How many nodes are remembered of those that were found and never asked."""

LOCK_SECONDS = 5.0

Found = TypeVar("Found")

_LOGGER = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cards (
    node_id BLOB PRIMARY KEY,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
    envelope BLOB NOT NULL
) WITHOUT ROWID
"""
_SUCCESSIONS = """
CREATE TABLE IF NOT EXISTS successions (
    old_node_id BLOB PRIMARY KEY,
    envelope BLOB NOT NULL
) WITHOUT ROWID
"""
_KEEP = """
INSERT INTO cards (node_id, sequence, digest, envelope) VALUES (?, ?, ?, ?)
ON CONFLICT (node_id) DO UPDATE
SET sequence = excluded.sequence, digest = excluded.digest, envelope = excluded.envelope
WHERE excluded.sequence > sequence OR (excluded.sequence = sequence AND excluded.digest < digest)
"""
_READ = "SELECT envelope FROM cards WHERE node_id = ?"
_KEEP_SUCCESSION = "INSERT OR IGNORE INTO successions (old_node_id, envelope) VALUES (?, ?)"
_READ_SUCCESSION = "SELECT envelope FROM successions WHERE old_node_id = ?"


def default_card_file() -> Path:
    """Returns where the cards seen are kept: in the user's state folder."""
    return user_state_folder() / "cards.sqlite"


class Sighting(NamedTuple):
    """What decides which of two cards of a node is used."""

    sequence: CardSequence
    digest: Digest
    commitment: bytes

    @classmethod
    def of(cls, card: Signed[NodeCard]) -> Sighting:
        """Returns that of a card."""
        return cls(card.value.sequence, card.digest, card.value.next_root_digest)

    def wins(self, other: Sighting) -> bool:
        """Tells whether this one wins against another card of its node (NODE-CARD-004)."""
        return (-self.sequence, self.digest) < (-other.sequence, other.digest)

    def follows(self, seen: Sighting) -> bool:
        """Tells whether this one may be used in the place of another card of its node, which was seen before."""
        return self.wins(seen) and keeps_commitment(self.commitment, seen=seen.commitment)


class CardMemory:
    """Remembers the newest card of each node, and to whom it handed over.

    Its methods wait for the disk: call them from a thread.

    Args:
        path: The file, or None to remember for this process alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._cards: dict[PublicKey, Signed[NodeCard]] = {}
        self._glimpses: dict[PublicKey, Sighting] = {}
        self._successions: dict[PublicKey, Signed[KeySuccession]] = {}

    def newest(self, node_id: PublicKey) -> Signed[NodeCard] | None:
        """Returns the newest card seen of a node, or None."""
        remembered = self._cards.get(node_id)
        stored = self._with_file(node_id)
        if stored is None or remembered is None:
            return stored or remembered
        return newer_card(stored, remembered)

    def keep(self, card: Signed[NodeCard]) -> Sighting:
        """Keeps a card unless a newer one of its node was seen, and returns which is the newest.

        Raises:
            ProtocolError: It is the newest, and commits to another next root key than one that was seen (NODE-KEY-005).
        """
        node_id = card.value.node_id
        if (glimpse := self._glimpses.get(node_id)) is not None:
            if glimpse.wins(Sighting.of(card)):
                return glimpse
            check_commitment_kept(card.value.next_root_digest, seen=glimpse.commitment)
        winner = _winner(card, seen=self._cards.get(node_id))
        stored = self._with_file(node_id, keep=winner)
        self._cards[node_id] = newer_card(winner, stored) if stored else winner
        return Sighting.of(self._cards[node_id])

    def keep_succession(self, succession: Signed[KeySuccession]) -> None:
        """Keeps a hand-over that was followed; the first of a root key stays."""
        old_node_id = succession.value.old_node_id
        self._successions.setdefault(old_node_id, succession)
        row = (old_node_id, to_bytes(succession.envelope))
        self._in_file(lambda database: database.execute(_KEEP_SUCCESSION, row))

    def succession_of(self, old_node_id: PublicKey) -> Signed[KeySuccession] | None:
        """Returns the hand-over of a root key that was followed, or None."""

        def look_up(database: Connection) -> Signed[KeySuccession] | None:
            found = database.execute(_READ_SUCCESSION, (old_node_id,)).fetchone()
            return open_envelope(from_bytes(found[0]), KeySuccession) if found else None

        return self._successions.get(old_node_id) or self._in_file(look_up)

    def glimpse(self, cards: Iterable[Signed[NodeCard]]) -> tuple[Signed[NodeCard], ...]:
        """Returns cards that were had elsewhere, or in the place of each that loses the one that was kept and wins.

        They are remembered for this process alone: whoever serves cards could fill a file with nodes that nobody asks.
        Of one that loses to a card that was only glimpsed, nothing is returned, and neither is of a root key that was
        followed to another one.
        """
        cards = tuple(cards)
        handed_over = self._handed_over({card.value.node_id for card in cards})
        cards = tuple(card for card in cards if card.value.node_id not in handed_over)
        for node_id, sighting in self._sightings({card.value.node_id for card in cards}).items():
            self._sight(node_id, sighting)
        for card in cards:
            self._sight(card.value.node_id, Sighting.of(card))
        winners = {node_id: self._glimpses[node_id].digest for node_id in {card.value.node_id for card in cards}}
        newest = {card.digest: card for card in cards if card.digest == winners[card.value.node_id]}
        for node_id, digest in winners.items():
            if digest not in newest and (kept := self.newest(node_id)) is not None and kept.digest == digest:
                newest[digest] = kept
        for forgotten in tuple(self._glimpses)[: max(0, len(self._glimpses) - MAX_GLIMPSES)]:
            del self._glimpses[forgotten]
        return tuple(newest.values())

    def _sight(self, node_id: PublicKey, sighting: Sighting) -> None:
        known = self._glimpses.get(node_id)
        if known is None or sighting.follows(known):
            self._glimpses[node_id] = sighting

    def _with_file(self, node_id: PublicKey, *, keep: Signed[NodeCard] | None = None) -> Signed[NodeCard] | None:
        """Returns the card in the file, after a newer one was put there.

        Without a file that can be written the memory ends with the process; asking goes on, and the log says so.
        """

        def exchange(database: Connection) -> Signed[NodeCard] | None:
            if keep is not None:
                _winner(keep, seen=_card_in(database, node_id))
                row = (node_id, keep.value.sequence, keep.digest, to_bytes(keep.envelope))
                database.execute(_KEEP, row)
            return _card_in(database, node_id)

        return self._in_file(exchange)

    def _sightings(self, node_ids: Collection[PublicKey]) -> dict[PublicKey, Sighting]:
        """Returns which cards are kept of nodes."""

        def look_up(database: Connection) -> dict[PublicKey, Sighting]:
            found = {one: _card_in(database, one) for one in node_ids}
            return {one: Sighting.of(card) for one, card in found.items() if card is not None}

        kept = {one: Sighting.of(self._cards[one]) for one in node_ids if one in self._cards}
        return kept | (self._in_file(look_up) or {})

    def _handed_over(self, node_ids: Collection[PublicKey]) -> set[PublicKey]:
        """Returns those root keys of which a hand-over was followed."""

        def look_up(database: Connection) -> set[PublicKey]:
            return {one for one in node_ids if database.execute(_READ_SUCCESSION, (one,)).fetchone() is not None}

        return {one for one in node_ids if one in self._successions} | (self._in_file(look_up) or set())

    def _in_file(self, work: Callable[[Connection], Found]) -> Found | None:
        """Returns what comes of work on the file; None: there is none that can be used."""
        if self._path is None:
            return None
        import sqlite3  # noqa: PLC0415 - an import that only a card needs

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))  # whom one asks is nobody else's business
            with closing(sqlite3.connect(self._path, timeout=LOCK_SECONDS)) as database, database:
                database.execute(_SCHEMA)
                database.execute(_SUCCESSIONS)
                return work(database)
        except (OSError, sqlite3.Error, RefusedError) as error:
            _LOGGER.warning("cards seen are remembered for this process alone: %s: %s", self._path, error)
            self._path = None
            return None


def _winner(card: Signed[NodeCard], *, seen: Signed[NodeCard] | None) -> Signed[NodeCard]:
    """Returns which of a card and one seen before is used.

    Raises:
        ProtocolError: The card wins, and does not go on with what the other commits to (NODE-KEY-005).
    """
    winner = card if seen is None else newer_card(card, seen)
    if winner is card and seen is not None:
        check_commitment_kept(card.value.next_root_digest, seen=seen.value.next_root_digest)
    return winner


def _card_in(database: Connection, node_id: PublicKey) -> Signed[NodeCard] | None:
    found = database.execute(_READ, (node_id,)).fetchone()
    return open_envelope(from_bytes(found[0]), NodeCard) if found else None
