"""Card memory: the newest card seen of each node, kept across runs so that nobody can roll a node back.

A card with a lower sequence than the highest seen is refused (NODE-CARD-004), and a new root key is followed only where
the newest card of the old one commits to it (NODE-KEY-003); both need a memory longer than a process. Several
processes may share the file.
"""

from __future__ import annotations

import logging
import os
from contextlib import closing
from pathlib import Path

from consilience._wire.envelopes import from_bytes, open_envelope, to_bytes
from consilience.envelopes import Signed
from consilience.errors import RefusedError
from consilience.nodes import NodeCard, newer_card
from consilience.units import PublicKey

LOCK_SECONDS = 5.0

_LOGGER = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS cards (
    node_id BLOB PRIMARY KEY,
    sequence INTEGER NOT NULL,
    digest BLOB NOT NULL,
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


def default_card_file() -> Path:
    """Returns where the cards seen are kept: in the user's state folder."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "consilience" / "cards.sqlite"


class CardMemory:
    """Remembers the newest card of each node. Its methods wait for the disk: call them from a thread.

    Args:
        path: The file, or None to remember for this process alone.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._cards: dict[PublicKey, Signed[NodeCard]] = {}

    def newest(self, node_id: PublicKey) -> Signed[NodeCard] | None:
        """Returns the newest card seen of a node, or None."""
        remembered = self._cards.get(node_id)
        stored = self._with_file(node_id)
        if stored is None or remembered is None:
            return stored or remembered
        return newer_card(stored, remembered)

    def keep(self, card: Signed[NodeCard]) -> Signed[NodeCard]:
        """Keeps a card unless a newer one of its node was seen, and returns the newest."""
        node_id = card.value.node_id
        known = self._cards.get(node_id)
        winner = newer_card(card, known) if known else card
        stored = self._with_file(node_id, keep=winner)
        self._cards[node_id] = newer_card(winner, stored) if stored else winner
        return self._cards[node_id]

    def _with_file(self, node_id: PublicKey, *, keep: Signed[NodeCard] | None = None) -> Signed[NodeCard] | None:
        """Returns the card in the file, after a newer one was put there.

        Without a file that can be written the memory ends with the process; asking goes on, and the log says so.
        """
        if self._path is None:
            return None
        import sqlite3  # noqa: PLC0415 - an import that only a fetched card needs

        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with closing(sqlite3.connect(self._path, timeout=LOCK_SECONDS)) as database, database:
                database.execute(_SCHEMA)
                if keep is not None:
                    row = (node_id, keep.value.sequence, keep.digest, to_bytes(keep.envelope))
                    database.execute(_KEEP, row)
                found = database.execute(_READ, (node_id,)).fetchone()
            return open_envelope(from_bytes(found[0]), NodeCard) if found else None
        except (OSError, sqlite3.Error, RefusedError) as error:
            _LOGGER.warning("cards seen are remembered for this process alone: %s: %s", self._path, error)
            self._path = None
            return None
