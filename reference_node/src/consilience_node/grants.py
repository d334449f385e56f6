"""Grants: how the operator of a node lets a tester write its answers for a while, from the folder of the node alone.

The node need not run. A grant is no secret: it helps nobody but those whose keys it names.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

from consilience.errors import KeyFileError, UsageError
from consilience.identity import KeyPair
from consilience.server.grants import grant_tester
from consilience.units import PublicKey, utc_now
from consilience_node.config import Config
from consilience_node.state import StateFolder


class NoRootKeyError(KeyFileError):
    """The node has no root key yet, or keeps it elsewhere."""

    remedy = "Start the node once, which makes its key, or name the folder or the file of the node that is meant."


def write_grant(file: Path, *, config: Config, testers: Iterable[PublicKey], lifetime: timedelta) -> None:
    """Signs a grant with the root key of a node and writes it, an encoded SignedEnvelope, into a file.

    Args:
        file: Is written over where it exists.
        config: Tells where the root key is.
        testers: The keys that may ask, at most 64.
        lifetime: How long, from now on; an hour at most.

    Raises:
        NoRootKeyError: There is no root key.
        KeyFileError: It cannot be read.
        UsageError: No node would accept the grant, or the file cannot be written.
    """
    grant = grant_tester(root_key(config), testers=testers, lifetime=lifetime, now=utc_now())
    try:
        file.write_bytes(grant)
    except OSError as error:
        raise UsageError(f"cannot write the grant {file}: {error.strerror}") from error


def root_key(config: Config) -> KeyPair:
    """Returns the root key of a node that was started before.

    Raises:
        NoRootKeyError: There is no root key.
        KeyFileError: It cannot be read.
    """
    path = StateFolder.root_key_of(config)
    if not path.exists():
        raise NoRootKeyError(f"there is no root key in {path}")
    return KeyPair.load(path)
