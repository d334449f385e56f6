"""The statement book: what one has signed for the public, in a file, so that the same words stay the same record.

Who says something at one registry, and says it again at another, would sign two records otherwise: of two reviews of an
answer one loses wherever both are seen, and two equal warnings count twice.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consilience._wire import registries as wire
from consilience._wire.records import open_record
from consilience.errors import RefusedError, UsageError
from consilience.reviews import Advisory, OpenRecord, Placed, Rebuttal, RecordType, Retraction, Review
from consilience.state_folder import user_state_folder
from consilience.units import NamedNumber

VERSION = 1
LOCK_SECONDS = 5.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS statements (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    author BLOB NOT NULL,
    type INTEGER NOT NULL,
    about BLOB NOT NULL,
    issue_time TEXT NOT NULL,
    end_time TEXT NOT NULL,
    record BLOB NOT NULL,
    is_taken INTEGER NOT NULL DEFAULT 0,
    is_retracted INTEGER NOT NULL DEFAULT 0
)
"""
_SAID = """
SELECT record, is_taken, is_retracted FROM statements
WHERE author = ? AND type = ? AND about = ? AND (is_taken OR issue_time <= ?)
ORDER BY number DESC
"""
_KEEP = """
INSERT INTO statements (digest, author, type, about, issue_time, end_time, record) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_TAKEN = "UPDATE statements SET is_taken = 1 WHERE digest = ?"
_RETRACTED = "UPDATE statements SET is_retracted = 1 WHERE author = ?1 AND type = ?2 AND ?3 IN (digest, about)"

_REVIEW_WORDS = ("verdict", "method", "independent nodes", "score", "comment", "domain")


def default_statement_file() -> Path:
    """Returns where one's statements are kept: in the user's state folder."""
    return user_state_folder() / "statements.sqlite"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Said:
    """A statement that was signed before.

    Attributes:
        record: The record.
        is_taken: Whether a registry is known to have taken it.
        is_retracted: Whether one took what takes it back.
    """

    record: OpenRecord
    is_taken: bool
    is_retracted: bool


class StatementBook:
    """One's own reviews, warnings, rebuttals and retractions. Its methods wait for the disk: call them from a thread.

    Args:
        path: The file, which several processes may share, readable by its owner alone; the first statement makes it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def settled(self, said: Placed, *, now: datetime) -> OpenRecord:
        """Returns the record to publish: the one that says the same already, or else this one, which is kept.

        Args:
            said: What was signed just now.
            now: Aware UTC.

        Raises:
            UsageError: It would be a second review of an answer; or the file cannot be read or written.
        """
        place = said.place
        with self._opened() as database:
            database.execute("DELETE FROM statements WHERE end_time <= ?", (_text(now),))
            # What lies ahead and nobody took was signed while the clock was wrong.
            rows = database.execute(_SAID, (place.author, int(place.type), _about(said), _text(now))).fetchall()
            known = list(map(self._said, rows))
            if place.type is RecordType.REVIEW:
                _check_only_review(said.record, known)
            if place.type is RecordType.REBUTTAL:
                known = known[:1]  # the latest counts: what was said before that is said anew
            for one in known:
                if not one.is_retracted and _words(one.record) == _words(said.record):
                    return one.record
            times, encoded = (_text(place.issue_time), _text(place.end)), wire.encode_publish(said.record.record)
            database.execute(_KEEP, (place.digest, place.author, int(place.type), _about(said), *times, encoded))
        return said.record

    def note_taken(self, said: Placed) -> None:
        """Notes that a registry has a statement.

        Raises:
            UsageError: The file cannot be written.
        """
        place = said.place
        with self._opened() as database:
            database.execute(_TAKEN, (place.digest,))
            if place.type is RecordType.RETRACTION:
                database.execute(_RETRACTED, (place.author, int(place.slot_type), place.slot))

    def _said(self, row: tuple[bytes, int, int]) -> _Said:
        encoded, is_taken, is_retracted = row
        try:
            record = open_record(wire.decode_publish(encoded))
        except RefusedError as error:
            raise self._damaged(error) from error
        return _Said(record=record, is_taken=bool(is_taken), is_retracted=bool(is_retracted))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Opens the file for one transaction."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
            with closing(sqlite3.connect(self._path, timeout=LOCK_SECONDS, isolation_level=None)) as database:
                database.execute("BEGIN IMMEDIATE")
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version > VERSION:
                    raise UsageError(
                        f"{self._path} was made by a newer version of this library: {version}. Update this one"
                    )
                database.execute(_SCHEMA)
                database.execute(f"PRAGMA user_version = {VERSION}")
                yield database
                database.execute("COMMIT")
        except (OSError, sqlite3.Error) as error:
            if type(error) is sqlite3.DatabaseError:  # what its subclasses tell of may pass, or is not in the file
                raise self._damaged(error) from error
            raise UsageError(
                f"the statements in {self._path} cannot be read or written: {error}; nothing was sent"
            ) from error

    def _damaged(self, error: Exception) -> UsageError:
        return UsageError(
            f"{self._path} is damaged, or another kind of file: {error}. Move it away; what you said before, do not say"
            " again then, since it would be another record. Nothing was sent"
        )


def _check_only_review(said: OpenRecord, known: list[_Said]) -> None:
    """Refuses a second review of an answer (REV-ONE-001).

    What no registry is known to have binds nobody: the user may have thought better of it.
    """
    for one in known:
        name = one.record.digest.hex()
        if one.is_retracted:
            raise UsageError(
                f"you have reviewed this answer, and taken back what you said ({name}): there is one review for an"
                " answer, ever; nothing was sent"
            )
        if one.is_taken and (others := _other_words(one.record, said)):
            raise UsageError(
                f"you have reviewed this answer already, by the record {name}, which says {others}: a review is not"
                " edited. Say the same to bring it to more registries, or take it back; nothing was sent"
            )


def _other_words(kept: OpenRecord, said: OpenRecord) -> str:
    """Returns, for people, what a review says otherwise than another; empty: nothing."""
    words = zip(_REVIEW_WORDS, _words(kept), _words(said), strict=True)
    return ", ".join(f"{name} {_shown(old)}" for name, old, new in words if old != new)


def _shown(word: object) -> str:
    match word:
        case NamedNumber():
            return word.name.lower().replace("_", "-")
        case None | "":
            return "none"
        case str():
            return repr(word)
        case other:
            return str(other)


def _about(said: Placed) -> bytes:
    """Returns what one statement has in common with those that may say the same."""
    return said.place.subject if said.place.type is RecordType.ADVISORY else said.place.slot


def _words(record: OpenRecord) -> tuple[object, ...]:
    """Returns what a statement says: what its author chose, without the time at which that was said."""
    match record.object.value:
        case Review(verification=how) as review:
            said = (review.verdict, how.method, how.independent_nodes)
            return *said, review.score_milli, review.comment, review.domain
        case Rebuttal() as rebuttal:
            return rebuttal.comment, rebuttal.objects
        case Retraction() as retraction:
            return (retraction.comment,)
        case Advisory() as advisory:
            return (
                *(advisory.category, advisory.severity, advisory.summary, advisory.skill_id),
                *(advisory.node_id, advisory.weights_digest, advisory.documents, advisory.objects),
                advisory.expire_time - advisory.issue_time,
            )
        case other:
            raise TypeError(f"{type(other).__name__} is no statement")


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="microseconds")
