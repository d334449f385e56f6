"""Roots: the root key of a node, the one that comes next, and the hand-over between them (spec section 1.3).

The next root key is made ahead of time and kept elsewhere; the cards of the node commit to it. When the root key is to
go, or is stolen, that key alone can take its place, and whoever saw a card of the old one can tell.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from consilience.envelopes import Signed
from consilience.errors import AddressInvalidError, KeyFileError, SuccessionInvalidError, UsageError
from consilience.identity import KeyPair, format_node_id, next_root_digest, parse_node_id
from consilience.nodes import KeySuccession, NodeCard
from consilience.reviews import OpenRecord
from consilience.server import succession, succession_record
from consilience.server.keys import keep_record, kept_record
from consilience.server.serving import LEASE
from consilience.server.store.sqlite import SqliteStore
from consilience.units import PublicKey, utc_now
from consilience_node.config import Config
from consilience_node.grants import root_key
from consilience_node.state import StateFolder, StateFolderInUseError

MAX_FORMER_ROOTS = 16
"""As many as a reader follows."""

_REPLICA = "hand-over"


class SuccessionError(KeyFileError):
    """The root key cannot hand over to another one."""

    remedy = (
        "Only a key that the last card commits to can follow: make one with `next-root`, start the node once, so that"
        " its card says so, and keep the key elsewhere until then."
    )


class CommittedError(KeyFileError):
    """The cards of the node tell its next root key already."""

    remedy = "Hand over to that key with `rotate-root`; then make the one that comes after it."


class NextRootError(KeyFileError):
    """What tells the next root key does not, or tells another one."""

    remedy = "Write the id into it that `next-root` printed when that key was made."


class InterruptedAnswersError(KeyFileError):
    """Answers were interrupted, and the root key that was asked has not signed yet how they ended."""

    remedy = "Start the node once more and stop it: it ends them. Then hand it over."


class LostRootKeyError(KeyFileError):
    """The node was here before, and its root key is gone; under a new one it would be another node."""

    remedy = "Put the key back from your copy. To begin as another node, name another folder: --state-folder."


class NodeRunsError(StateFolderInUseError):
    """The node runs, and would go on under the root key that it has loaded."""

    remedy = "Stop the node, hand it over, and start it again."


def check_root(config: Config) -> None:
    """Checks that a node which was here before still has its root key.

    A new one would be the key of another node, in whose books the payers of this one have money that they cannot reach.

    Raises:
        LostRootKeyError: It has not.
    """
    state, path = StateFolder.of(config), StateFolder.root_key_of(config)
    if state.card.exists() and not path.exists():
        raise LostRootKeyError(f"{state.card} is of a node that was here before, and its root key {path} is gone")


def make_next_root(file: Path, *, config: Config) -> PublicKey:
    """Makes the root key that comes next, to which the cards of the node commit from its next start on.

    Args:
        file: Takes the key; to be kept elsewhere than the node.
        config: Tells which node is meant.

    Raises:
        NoRootKeyError: The node has no root key yet.
        UsageError: The file exists, or its folder does not, or another key was made that no card tells yet.
        CommittedError: The last card of the node commits to a key already.
        KeyFileError: A file cannot be read or written.
    """
    if _commitment(root_key(config).public_key, config=config):
        raise CommittedError("the cards of the node commit to a next root key already, and who saw one takes no other")
    if not file.parent.is_dir():  # is not made: it may be where a medium that is away would be
        raise UsageError(f"there is no folder {file.parent}; is the medium there on which the key is to be kept?")
    told, key = StateFolder.of(config).next_root, KeyPair.generate()
    if next_root_of(config) is not None:
        raise UsageError(
            f"{told} tells a next root key already, which no card has told yet: start the node, so that one does, or"
            " remove that file to make another key"
        )
    try:
        key.save(file)
        told.write_text(f"{format_node_id(key.public_key)}\n", encoding="ascii")
    except FileExistsError as error:
        raise UsageError(f"there is a file {file} already, and no key is written over another") from error
    except OSError as error:
        raise KeyFileError(f"cannot write {told}: {error.strerror}") from error
    return key.public_key


def rotate_root(file: Path, *, config: Config) -> tuple[PublicKey, PublicKey]:
    """Hands a node that does not run over to its next root key; from its next start on it is known by that.

    The old key stays beside the new one, under another name. Whatever breaks on the way, a second call goes on.

    Args:
        file: Holds the next root key.
        config: Tells which node is meant.

    Returns:
        The old root key and the new one.

    Raises:
        NoRootKeyError: The node has no root key.
        NodeRunsError: It runs.
        SuccessionError: The last card of the node does not commit to the key, or too many keys went before.
        InterruptedAnswersError: Somebody waits for an answer, and may have money in it, that the old key has to end.
        KeyFileError: A file cannot be read or written.
        StoreError: The answers cannot be read.
    """
    old, state = root_key(config), StateFolder.of(config)
    try:
        with state.held():
            new = KeyPair.load(file)
            asyncio.run(_check_answers(config))
            _hand_over(old=old, new=new, config=config)
    except SuccessionInvalidError as error:
        raise SuccessionError(f"the node cannot hand over to the key in {file}: {error}") from error
    except StateFolderInUseError as error:
        raise NodeRunsError(f"the node runs: a process works on the state folder {state.path}") from error
    return old.public_key, new.public_key


def next_root_of(config: Config) -> PublicKey | None:
    """Returns the root key to which the cards of a node are to commit, or None.

    Raises:
        NextRootError: The file that tells it is damaged, or tells another one than the last card of the node.
    """
    path = StateFolder.of(config).next_root
    if not path.exists() and not StateFolder.of(config).card.exists():
        return None
    present = root_key(config).public_key
    try:
        following: PublicKey | None = parse_node_id(path.read_text(encoding="ascii").strip())
    except FileNotFoundError:
        following = None
    except (OSError, UnicodeDecodeError, AddressInvalidError) as error:
        raise NextRootError(f"{path} does not tell a root key: {error}") from error
    if following == present:  # the hand-over to it was not finished
        following = None
    committed = _commitment(present, config=config)
    if committed and (following is None or next_root_digest(following) != committed):
        raise NextRootError(f"{path} does not tell the key that the cards of the node have committed to (NODE-KEY-004)")
    return following


def successions_of(config: Config) -> tuple[OpenRecord, ...]:
    """Returns the successions that led to the present root key of a node, oldest first.

    One of the present root key itself is left out: its hand-over was not finished.

    Raises:
        KeyFileError: A file of them cannot be read, or holds something else.
    """
    records = tuple(map(kept_record, sorted(StateFolder.of(config).successions.glob("*.bin"))))
    present = root_key(config).public_key if records else None
    return tuple(record for record in records if _old_root(record) not in {None, present})


def _commitment(root: PublicKey, *, config: Config) -> bytes:
    """Returns the `next_root_digest` of the last card of a root key, or nothing: its cards go on telling the same."""
    path = StateFolder.of(config).card
    last = kept_record(path).object.value if path.exists() else None
    return last.next_root_digest if isinstance(last, NodeCard) and last.node_id == root else b""


def _hand_over(*, old: KeyPair, new: KeyPair, config: Config) -> None:
    state, path = StateFolder.of(config), StateFolder.root_key_of(config)
    number, now = len(successions_of(config)) + 1, utc_now()
    if number > MAX_FORMER_ROOTS:
        raise SuccessionError(f"{MAX_FORMER_ROOTS} root keys went before this one, and nobody follows more")
    handed_over = succession_record(succession(old=old, new=new, now=now), card=_last_card(state), now=now)
    with contextlib.suppress(FileExistsError):
        old.save(path.with_name(f"{path.stem}-{number}{path.suffix}"))
    keep_record(handed_over, path=state.successions / f"{number:02}.bin")
    arriving = path.with_name(f".{path.name}.new")
    arriving.unlink(missing_ok=True)
    new.save(arriving)
    arriving.replace(path)
    state.next_root.unlink(missing_ok=True)


async def _check_answers(config: Config) -> None:
    """Checks that every answer has ended: its asker takes none that another key than that of its card has signed."""
    file, now = StateFolder.of(config).answers, utc_now()
    if config.node.store == "memory" or not file.exists():
        return
    store = SqliteStore(file)
    try:
        await store.open(replica=_REPLICA, lease_until=now)
        interrupted = await store.claim_abandoned(now=now + LEASE)
    finally:
        await store.close()
    if interrupted:
        raise InterruptedAnswersError(f"answers were interrupted when the node last stopped: {len(interrupted)}")


def _last_card(state: StateFolder) -> Signed[NodeCard]:
    if not state.card.exists():
        raise SuccessionError(f"the node has issued no card yet: there is no {state.card}")
    record = kept_record(state.card)
    if not isinstance(record.object.value, NodeCard):
        raise KeyFileError(f"{state.card} holds no card")
    return record.object  # type: ignore[return-value]


def _old_root(record: OpenRecord) -> PublicKey | None:
    value = record.object.value
    return value.old_node_id if isinstance(value, KeySuccession) else None
