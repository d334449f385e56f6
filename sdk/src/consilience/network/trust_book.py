"""The trust book: whose reviews the user believes, in a small file that a person can read and edit.

It is a text: a first line that names the format, then one line for each reviewer with its key, the weight, the day, and
a note. It is written whole or not at all, and several processes may write it at once.

>>> book = TrustBook(default_trust_file())
>>> book.add(node_id, note="Ann, runs the library")
>>> [reviewer.node_id for reviewer in book.reviewers()]
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from consilience.errors import UsageError
from consilience.identity import format_node_id, parse_node_id
from consilience.network.trust_edges import TrustEdge, check_weight
from consilience.state_folder import user_state_folder
from consilience.units import PublicKey, utc_now

LOCK_SECONDS = 5.0

_HEADER = "consilience-trust-v1"
_FIELDS_BEFORE_NOTE = 3


def default_trust_file() -> Path:
    """Returns where the user's trust is kept: in the user's state folder."""
    return user_state_folder() / "trust.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewer:
    """Somebody whose reviews the user believes.

    Attributes:
        node_id: Their key.
        weight: How much, compared with the others, from 0.000001 to 1.
        since: The day, in UTC, since when.
        note: Who that is, in words of the user; one line.
    """

    node_id: PublicKey
    weight: float
    since: date
    note: str = ""

    def __post_init__(self) -> None:
        try:
            check_weight(self.weight)
        except ValueError as error:
            raise UsageError(str(error)) from error
        if self.note != " ".join(self.note.split()):
            raise UsageError("a note is one line, without spaces around it or twice in a row")


class TrustBook:
    """The user's own edges of trust, in a file. Its methods wait for the disk: call them from a thread.

    Args:
        path: The file; it need not exist before the first `add`.
        clock: Tells the day that is noted.
    """

    def __init__(self, path: Path, *, clock: Callable[[], datetime] = utc_now) -> None:
        self._path = path
        self._clock = clock

    def reviewers(self) -> tuple[Reviewer, ...]:
        """Returns everybody in the book, by key.

        Raises:
            UsageError: The file cannot be read, or a line of it is wrong; the message has its number.
        """
        try:
            lines = self._path.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise UsageError(f"the trust book {self._path} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError:
            raise UsageError(f"the trust book {self._path} is no text in UTF-8") from None
        if not lines or lines[0].strip() != _HEADER:
            raise UsageError(f"{self._path} is no trust book: its first line is not {_HEADER}")
        found: dict[PublicKey, Reviewer] = {}
        for number, line in enumerate(lines[1:], start=2):
            if line.strip():
                reviewer = self._read(line, number=number)
                if reviewer.node_id in found:
                    raise UsageError(f"line {number} of {self._path} names somebody for the second time")
                found[reviewer.node_id] = reviewer
        return tuple(found[key] for key in sorted(found))

    def edges(self, *, viewer: PublicKey) -> tuple[TrustEdge, ...]:
        """Returns the book as edges of trust of its owner, whose key is `viewer`."""
        return tuple(
            TrustEdge(truster=viewer, trusted=reviewer.node_id, weight=reviewer.weight) for reviewer in self.reviewers()
        )

    def add(self, node_id: PublicKey, *, weight: float | None = None, note: str | None = None) -> Reviewer:
        """Puts a reviewer into the book, or changes what the book says of it, and returns the entry.

        Args:
            node_id: Their key.
            weight: How much; None: as before, or 1 where they are new.
            note: Who that is; None: as before, or nothing. An empty one clears it.

        Raises:
            UsageError: Weight or note is wrong, or the file cannot be read or written.
        """
        given: dict[str, Any] = {} if weight is None else {"weight": weight}
        if note is not None:
            given["note"] = " ".join(note.split())
        entry = replace(Reviewer(node_id=node_id, weight=1.0, since=self._clock().date()), **given)
        with self._locked():
            kept = {reviewer.node_id: reviewer for reviewer in self.reviewers()}
            if node_id in kept:
                entry = replace(kept[node_id], **given)
            self._write([*(kept | {node_id: entry}).values()])
        return entry

    def remove(self, node_id: PublicKey) -> Reviewer:
        """Takes a reviewer out of the book, and returns what the book said.

        Raises:
            UsageError: It is not in the book, or the file cannot be read or written.
        """
        with self._locked():
            kept = {reviewer.node_id: reviewer for reviewer in self.reviewers()}
            if node_id not in kept:
                raise UsageError(f"{format_node_id(node_id)} is not in the trust book {self._path}")
            entry = kept.pop(node_id)
            self._write(list(kept.values()))
        return entry

    def _read(self, line: str, *, number: int) -> Reviewer:
        key, *fields = line.split(maxsplit=_FIELDS_BEFORE_NOTE)
        try:
            return Reviewer(
                node_id=parse_node_id(key),
                weight=float(fields[0]),
                since=date.fromisoformat(fields[1]),
                note=" ".join(fields[2].split()) if fields[2:] else "",
            )
        except (IndexError, ValueError) as error:
            raise UsageError(f"line {number} of {self._path} is not a node id, a weight and a day: {error}") from error

    def _write(self, reviewers: list[Reviewer]) -> None:
        ordered = sorted(reviewers, key=lambda reviewer: reviewer.node_id)
        text = "".join(f"{line}\n" for line in (_HEADER, *map(_line, ordered)))
        temporary = self._path.with_name(f".{self._path.name}.{os.urandom(8).hex()}")
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._path)
        except OSError as error:
            raise UsageError(f"the trust book {self._path} cannot be written: {error.strerror}") from error
        finally:
            temporary.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keeps other processes from writing between our reading and our writing.

        The lock is that of a SQLite file of no content, for SQLite knows how to lock a file on every system.
        """
        import sqlite3  # noqa: PLC0415 - an import that only writing needs

        lock = self._path.with_name(f".{self._path.name}.lock")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            connection = sqlite3.connect(lock, timeout=LOCK_SECONDS, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(f"the trust book {self._path} cannot be written: {error}") from error
        with contextlib.closing(connection):
            try:
                connection.execute("BEGIN EXCLUSIVE")
            except sqlite3.Error as error:
                raise UsageError(f"the trust book {self._path} cannot be locked: {error}") from error
            yield


def _line(reviewer: Reviewer) -> str:
    line = f"{format_node_id(reviewer.node_id)} {reviewer.weight!r} {reviewer.since} {reviewer.note}"
    return line.rstrip()
