"""Callers: the keys under which a check asks, and the tester to whom a node may grant its script."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.message import Message

from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids, signatures

TESTER_KEYS = 8
"""Keys of one tester: as many scripted checks run at one time, and limits by caller are passed under several."""

_SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class Caller:
    """A key that asks.

    Attributes:
        seed: The secret, 32 bytes.
    """

    seed: bytes

    @classmethod
    def new(cls) -> Caller:
        """Returns a caller that nobody has met."""
        return cls(secrets.token_bytes(_SEED_BYTES))

    @property
    def key(self) -> bytes:
        """The public key, 32 bytes."""
        return signatures.public_key(self.seed)

    def seal(self, message: Message) -> SignedEnvelope:
        """Encodes and signs a message."""
        return envelopes.seal(message, seed=self.seed)


class TesterKeyError(Exception):
    """The file of the tester's key cannot be read or made; the text says why."""


@dataclass(frozen=True, slots=True)
class Tester:
    """Whoever judges, with a key of its own from which those of the callers are derived.

    Attributes:
        seed: The secret, 32 bytes.
    """

    seed: bytes

    @classmethod
    def at(cls, file: Path) -> Tester:
        """Returns the tester of a key file, which is made where there is none: 64 hexadecimal digits, for the owner.

        Raises:
            TesterKeyError: It cannot be read or made, or holds something else.
        """
        try:
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "w", encoding="ascii") as opened:
                    opened.write(secrets.token_hex(_SEED_BYTES) + "\n")
        except OSError as error:
            raise TesterKeyError(f"the key file {file} cannot be used: {error.strerror}") from error
        return cls.of(file)

    @property
    def names(self) -> tuple[str, ...]:
        """The keys of its callers in text form, in their order."""
        return tuple(node_ids.text_of(caller.key) for caller in self.callers)

    @classmethod
    def of(cls, file: Path) -> Tester:
        """Returns the tester of a key file that there is.

        Raises:
            TesterKeyError: There is none, it cannot be read, or it holds something else.
        """
        try:
            seed = bytes.fromhex(file.read_text(encoding="ascii"))
        except FileNotFoundError as error:
            raise TesterKeyError(
                f"there is no key file {file}: name the one for which the grant was made, with --tester-key, or let "
                "`consilience-conformance tester` make one and ask for a grant that names its keys"
            ) from error
        except OSError as error:
            raise TesterKeyError(f"the key file {file} cannot be used: {error.strerror}") from error
        except ValueError as error:
            raise TesterKeyError(f"the file {file} holds no key: 64 hexadecimal digits are wanted") from error
        if len(seed) != _SEED_BYTES:
            raise TesterKeyError(f"the file {file} holds no key: 64 hexadecimal digits are wanted")
        return cls(seed)

    @property
    def callers(self) -> tuple[Caller, ...]:
        """The callers of this tester, the same ones every time."""
        return tuple(
            Caller(hashlib.sha256(b"consilience conformance caller" + self.seed + bytes([index])).digest())
            for index in range(TESTER_KEYS)
        )
