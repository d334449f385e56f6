"""Identity: Ed25519 keys, their text form and their files (spec chapters 0 and 1).

A node and an asker have a key of the same kind. The text form of a key is `cn1` and lower-case base32.

>>> keys = KeyPair.generate()
>>> parse_node_id(format_node_id(keys.public_key)) == keys.public_key
True
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import os
import stat
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from consilience.errors import AddressInvalidError, KeyFileError
from consilience.units import Digest, PublicKey

PUBLIC_KEY_BYTES = 32
SIGNATURE_BYTES = 64
NODE_ID_PREFIX = "cn1"
NODE_ID_CHARACTERS = len(NODE_ID_PREFIX) + 52
KEY_FILE_VARIABLE = "CONSILIENCE_KEY_FILE"

_KEY_FILE_HEADER = "consilience-ed25519-seed-v1"


@runtime_checkable
class Signer(Protocol):
    """Signs with one key: a `KeyPair`, or whatever reaches a key kept elsewhere (an agent, an HSM)."""

    @property
    def public_key(self) -> PublicKey:
        """The key that verifies what `sign` returns, 32 bytes."""

    def sign(self, message: bytes) -> bytes:
        """Returns the Ed25519 signature of a message, 64 bytes."""


class KeyPair:
    """An Ed25519 key in memory. Its representation never shows the secret."""

    __slots__ = ("_signing_key", "public_key")

    public_key: PublicKey

    def __init__(self, seed: bytes) -> None:
        """Makes the key of a seed of 32 bytes (RFC 8032, section 5.1.5).

        Raises:
            KeyFileError: The seed has another length.
        """
        if len(seed) != PUBLIC_KEY_BYTES:
            raise KeyFileError(f"an Ed25519 seed has {PUBLIC_KEY_BYTES} bytes, not {len(seed)}")
        self._signing_key = SigningKey(seed)
        self.public_key = PublicKey(bytes(self._signing_key.verify_key))

    @classmethod
    def generate(cls) -> Self:
        """Makes a key from the system's random source."""
        return cls(os.urandom(PUBLIC_KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads a key file.

        Raises:
            KeyFileError: There is none, others can read it, or it holds no key.
        """
        try:
            mode = path.stat().st_mode
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise KeyFileError(f"cannot read the key file {path}: {reason}") from error
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise KeyFileError(f"others can read the key file {path}: make its mode 0600")
        match text.split():
            case [header, seed] if header == _KEY_FILE_HEADER:
                try:
                    return cls(base64.b64decode(seed, validate=True))
                except binascii.Error as error:
                    raise KeyFileError(f"the key file {path} is damaged: {error}") from error
            case _:
                raise KeyFileError(f"{path} is not a key file: its first word is not {_KEY_FILE_HEADER}")

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """Reads a key file, or makes one with mode 0600 where there is none.

        Two processes that start at once end with the same key: whoever comes second reads the first one's file.

        Raises:
            KeyFileError: The file cannot be made or read.
        """
        if not path.exists():
            with contextlib.suppress(FileExistsError):
                cls.generate().save(path)
        return cls.load(path)

    def save(self, path: Path) -> None:
        """Writes a key file with mode 0600, whole or not at all, and never over another.

        Raises:
            FileExistsError: There is one already.
            KeyFileError: The folder cannot be written.
        """
        seed = base64.b64encode(bytes(self._signing_key)).decode()
        # A name of its own: whatever another process or thread left there may be a link to a key.
        temporary = path.with_name(f".{path.name}.{os.urandom(8).hex()}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as error:
            raise KeyFileError(f"cannot write the key file {path}: {error}") from error
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as file:
                file.write(f"{_KEY_FILE_HEADER}\n{seed}\n")
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError as error:
            raise KeyFileError(f"cannot write the key file {path}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def sign(self, message: bytes) -> bytes:
        """Returns the Ed25519 signature of a message, 64 bytes."""
        return self._signing_key.sign(message).signature

    def __repr__(self) -> str:
        return f"KeyPair({format_node_id(self.public_key)})"


def signature_is_valid(signature: bytes, *, message: bytes, public_key: bytes) -> bool:
    """Tells whether a signature verifies under the strict rules of spec section 0.2.

    libsodium, under PyNaCl, refuses non-canonical S, A and R and small-order A and R, and uses the cofactorless
    equation, which are the rules of the protocol; the vectors hold it to that.

    Args:
        signature: 64 bytes.
        message: What was signed.
        public_key: 32 bytes.
    """
    try:
        VerifyKey(public_key).verify(message, signature)
    except (BadSignatureError, ValueError):
        return False
    return True


def format_node_id(public_key: bytes) -> str:
    """Returns the text form of a key of 32 bytes: 55 characters that begin with `cn1`."""
    return NODE_ID_PREFIX + base64.b32encode(public_key).decode().rstrip("=").lower()


def parse_node_id(text: str) -> PublicKey:
    """Reads the text form of a key; only the one canonical form is accepted.

    Raises:
        AddressInvalidError: It is not `cn1` and 52 characters of lower-case base32, or its spare bits are not zero.
    """
    body = text.removeprefix(NODE_ID_PREFIX)
    try:
        key = base64.b32decode(body.upper() + "====") if len(text) == NODE_ID_CHARACTERS else b""
    except ValueError:
        key = b""
    if len(key) != PUBLIC_KEY_BYTES or format_node_id(key) != text:
        raise AddressInvalidError(f"{text!r} is not a node id: {_flaw(text)}")
    return PublicKey(key)


def _flaw(text: str) -> str:
    """Returns what keeps a text from being the text form of a key."""
    if not text.startswith(NODE_ID_PREFIX) or len(text) != NODE_ID_CHARACTERS:
        return f"write {NODE_ID_PREFIX} and 52 characters of a-z2-7"
    if odd := sorted(set(text.removeprefix(NODE_ID_PREFIX)) - set("abcdefghijklmnopqrstuvwxyz234567")):
        return f"{odd[0]!r} is not among its characters, a-z and 2-7"
    return f"it would end in a or q, and ends in {text[-1]}; copy it anew"  # one bit of the key, and four of zero


def next_root_digest(next_root: PublicKey) -> Digest:
    """Returns the commitment to a next root key that a card carries: SHA-256 of its 32 bytes (NODE-KEY-002)."""
    return Digest(hashlib.sha256(next_root).digest())


def default_key_file() -> Path:
    """Returns where the user's key is kept: `$CONSILIENCE_KEY_FILE`, else the user's configuration folder."""
    if named := os.environ.get(KEY_FILE_VARIABLE):
        return Path(named)
    base = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    return base / "consilience" / "key"
