"""The keys of a node: the root that signs cards, and the signing keys that sign answers (spec section 1.1).

An answer counts if the card that its ask names lists the key. So a new key is announced in cards well before it is
used: long enough that every card which is still honoured, and every answer that still runs under one, knows it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from consilience._wire import envelopes, records
from consilience.envelopes import Signed
from consilience.errors import KeyFileError, RefusedError
from consilience.identity import KeyPair, Signer
from consilience.nodes import MAX_SIGNING_KEY_LIFETIME, KeyAcceptance, KeySuccession, NodeCard, SigningKey
from consilience.reviews import OpenRecord, place_of
from consilience.state_folder import user_state_folder

STATE_FOLDER_VARIABLE = "CONSILIENCE_STATE_FOLDER"

_KEY_NAME = "signing-%Y%m%dT%H%M%SZ.key"


class SigningKeys(Protocol):
    """Signs the answers of a node."""

    def signer(self, *, now: datetime) -> Signer:
        """Returns the key to sign an answer with now."""

    def listed(self, *, now: datetime) -> tuple[SigningKey, ...]:
        """Returns the keys that a card issued now lists; makes the next one where it is time for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeKeys:
    """All keys of a node, for a rail that makes promises in its name: the root, and those that sign from day to day."""

    root: Signer
    signing: SigningKeys

    def signer(self, *, now: datetime) -> Signer:
        """Returns the key to sign with now; the card lists it."""
        return self.signing.signer(now=now)


class FixedKey:
    """One key for all answers: the root of a small node, or a key that the operator looks after."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def signer(self, *, now: datetime) -> Signer:  # noqa: ARG002 - the same at all times
        """Returns the key."""
        return self._signer

    def listed(self, *, now: datetime) -> tuple[SigningKey, ...]:
        """Returns the key, good for as long as a card may say."""
        return (SigningKey(public_key=self._signer.public_key, expire_time=now + MAX_SIGNING_KEY_LIFETIME),)


class RotatingKeys:
    """Keys in a folder, each of which lives 30 days from the moment it was made; its file name tells that moment."""

    def __init__(self, folder: Path, *, notice: timedelta) -> None:
        """Opens the folder; it is made where there is none.

        Args:
            folder: Holds the key files, mode 0600, and nothing else that ends in `.key`.
            notice: How long a key is listed before it is used: the lifetime of a card and the longest run of an answer.

        Raises:
            KeyFileError: A file is damaged or misnamed, or others can read it.
        """
        self._folder = folder
        self._notice = notice
        self._keys: list[tuple[datetime, KeyPair]] = []
        self._read()

    def signer(self, *, now: datetime) -> Signer:
        """Returns the newest key that every honoured card lists; at the very first start, the only one."""
        self._discard(now=now)
        if not self._keys:
            self._make(now=now)
        known = [key for made, key in self._keys if made + self._notice <= now]
        return known[-1] if known else self._keys[0][1]

    def listed(self, *, now: datetime) -> tuple[SigningKey, ...]:
        """Returns the present key and, from two notices before it expires, the one that comes after it.

        The folder is read anew: a sibling that shares it may have made the next key, and lists it.
        """
        self._read()
        self._discard(now=now)
        if not self._keys or self._keys[-1][0] + MAX_SIGNING_KEY_LIFETIME - 2 * self._notice <= now:
            self._make(now=now)
        return tuple(
            SigningKey(public_key=key.public_key, expire_time=made + MAX_SIGNING_KEY_LIFETIME)
            for made, key in self._keys
        )

    def _read(self) -> None:
        known = {made for made, _ in self._keys}
        others = {made: path for path in self._folder.glob("*.key") if (made := _time_of(path)) not in known}
        self._keys = sorted(
            (*self._keys, *((made, KeyPair.load(path)) for made, path in others.items())), key=lambda item: item[0]
        )

    def _make(self, *, now: datetime) -> None:
        made = now.astimezone(UTC).replace(microsecond=0)
        self._keys.append((made, KeyPair.load_or_create(self._folder / made.strftime(_KEY_NAME))))

    def _discard(self, *, now: datetime) -> None:
        expired = [made for made, _ in self._keys if made + MAX_SIGNING_KEY_LIFETIME <= now]
        for made in expired:
            (self._folder / made.strftime(_KEY_NAME)).unlink(missing_ok=True)
        self._keys = self._keys[len(expired) :]


def succession(*, old: Signer, new: Signer, now: datetime) -> Signed[KeySuccession]:
    """Hands a node over from one root key to the next, signed by both (NODE-KEY-003).

    Args:
        old: The root key that ends. Its newest card must commit to the new one: `Node(next_root=…)`.
        new: The root key that begins.
        now: Aware UTC.
    """
    acceptance = KeyAcceptance(old_node_id=old.public_key, new_node_id=new.public_key, issue_time=now)
    handover = KeySuccession(old_node_id=old.public_key, acceptance=envelopes.seal(acceptance, signer=new))
    return envelopes.seal(handover, signer=old)


def succession_record(handover: Signed[KeySuccession], *, card: Signed[NodeCard], now: datetime) -> OpenRecord:
    """Returns a succession as registries keep it.

    Args:
        handover: Made by `succession`.
        card: The newest of the old root key.
        now: Aware UTC.

    Raises:
        SuccessionInvalidError: The card is another node's, commits to another key or to none, or was issued later.
    """
    record = OpenRecord(object=handover, card=card)
    place_of(record, now=now)
    return record


def keep_record(record: OpenRecord, *, path: Path) -> None:
    """Writes a card or a succession of the node into a file, whole or not at all.

    Raises:
        KeyFileError: The file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.write_bytes(records.to_bytes(record.record))
        temporary.replace(path)
    except OSError as error:
        raise KeyFileError(f"cannot write {path}: {error.strerror}") from error


def kept_record(path: Path) -> OpenRecord:
    """Returns what `keep_record` wrote.

    Raises:
        KeyFileError: The file cannot be read, or holds something else.
    """
    try:
        return records.open_record(records.from_bytes(path.read_bytes()))
    except OSError as error:
        raise KeyFileError(f"cannot read {path}: {error.strerror}") from error
    except RefusedError as error:
        raise KeyFileError(f"{path} holds no card and no succession: {error}") from error


def state_folder(name: str) -> Path:
    """Returns where the keys of a node of this name are kept unless it is told another place.

    `$CONSILIENCE_STATE_FOLDER`, else the user's state folder of the XDG base directory specification.
    """
    named = os.environ.get(STATE_FOLDER_VARIABLE)
    plain = "".join(character if character.isalnum() or character in "-_." else "-" for character in name)
    return (Path(named) if named else user_state_folder()) / "nodes" / (plain.strip(".") or "node")


def _time_of(path: Path) -> datetime:
    try:
        return datetime.strptime(path.name, _KEY_NAME).replace(tzinfo=UTC)
    except ValueError as error:
        raise KeyFileError(f"{path} does not tell when the key was made: name it like {_KEY_NAME}") from error
