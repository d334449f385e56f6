"""The ticket book: the tickets of one's answers, in a file, so that a review can be written days after the ask.

It holds no word of a question or an answer, but whom one asked, and what proves it: it is readable by its owner alone.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from consilience._wire import envelopes
from consilience.client.tickets import HeldTicket
from consilience.errors import RefusedError, TicketBookError
from consilience.nodes import NodeCard
from consilience.reviews import ReviewTicket
from consilience.reviews.statements import MAX_LIFETIME
from consilience.state_folder import user_state_folder
from consilience.units import Digest, PublicKey, RequestId

VERSION = 1
LOCK_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    request_id BLOB NOT NULL,
    issue_day TEXT NOT NULL,
    ticket BLOB NOT NULL,
    salt BLOB NOT NULL,
    reviewer BLOB NOT NULL,
    card BLOB NOT NULL,
    answer_digest BLOB NOT NULL,
    attestation BLOB
)
"""
_KEEP = """
INSERT INTO tickets (digest, request_id, issue_day, ticket, salt, reviewer, card, answer_digest, attestation)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET answer_digest = excluded.answer_digest, attestation = excluded.attestation
"""
_LATEST = """
SELECT request_id, ticket, salt, reviewer, card, answer_digest, attestation FROM tickets
ORDER BY number DESC LIMIT ?
"""
_NAMED = """
SELECT request_id, ticket, salt, reviewer, card, answer_digest, attestation FROM tickets
WHERE ?1 IN (substr(digest, 1, length(?1)), substr(request_id, 1, length(?1)), substr(answer_digest, 1, length(?1)))
ORDER BY number DESC
"""


def default_ticket_file() -> Path:
    """Returns where tickets are kept: in the user's state folder."""
    return user_state_folder() / "tickets.sqlite"


class TicketBook:
    """Tickets in a file, which several processes may share. Its methods wait for the disk: call them from a thread.

    Args:
        path: The file, made where there is none, readable by its owner alone.

    Raises:
        TicketBookError: It cannot be opened, is no ticket book, or was made by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._database = sqlite3.connect(path, timeout=LOCK_SECONDS, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            raise TicketBookError(f"{path} cannot be opened: {error}") from error
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def keep(self, held: HeldTicket) -> None:
        """Keeps a ticket, or notes how its answer ended; what no registry would keep any more is dropped.

        Raises:
            TicketBookError: The file cannot be written.
        """
        day, attestation = held.ticket.value.issue_day, held.attestation
        row = (
            held.digest,
            held.request_id,
            _day(day),
            envelopes.to_bytes(held.ticket.envelope),
            held.salt,
            held.reviewer,
            envelopes.to_bytes(held.card.envelope),
            held.answer_digest,
            None if attestation is None else envelopes.to_bytes(attestation.envelope),
        )
        with self._transaction() as database:
            database.execute(_KEEP, row)
            database.execute("DELETE FROM tickets WHERE issue_day < ?", (_day(day - MAX_LIFETIME),))

    def latest(self, *, limit: int = 1) -> tuple[HeldTicket, ...]:
        """Returns the tickets that were kept last, the last one first; raises as `named`."""
        return self._read(_LATEST, limit)

    def named(self, name: bytes) -> tuple[HeldTicket, ...]:
        """Returns the tickets whose digest, request id or answer begins with some bytes.

        Raises:
            TicketBookError: The file cannot be read, or does not hold what was put there.
        """
        return self._read(_NAMED, name)

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._database.close()

    def _read(self, statement: str, value: object) -> tuple[HeldTicket, ...]:
        with self._transaction() as database:
            rows = database.execute(statement, (value,)).fetchall()
        try:
            return tuple(map(_held, rows))
        except RefusedError as error:
            raise TicketBookError(f"{self.path} is damaged: {error}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                with self._database as database:
                    yield database
            except sqlite3.Error as error:
                raise TicketBookError(f"{self.path} cannot be read or written: {error}") from error

    def _prepare(self) -> None:
        with self._transaction() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise TicketBookError(f"{self.path} was made by a newer version of this library: {version}")
            database.execute(_SCHEMA)
            database.execute(f"PRAGMA user_version = {VERSION}")


def _held(row: tuple[Any, ...]) -> HeldTicket:
    request_id, ticket, salt, reviewer, card, answer_digest, attestation = row
    return HeldTicket(
        ticket=envelopes.open_envelope(envelopes.from_bytes(ticket), ReviewTicket),
        salt=salt,
        reviewer=PublicKey(reviewer),
        card=envelopes.open_envelope(envelopes.from_bytes(card), NodeCard),
        request_id=RequestId(request_id),
        answer_digest=Digest(answer_digest),
        attested=None if attestation is None else envelopes.from_bytes(attestation),
    )


def _day(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d}"
