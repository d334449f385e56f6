"""Where a node keeps its things: one folder, readable by its owner alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consilience.errors import KeyFileError
from consilience.server.keys import state_folder
from consilience.server.store.contract import StoreLockedError
from consilience.server.store.file_lock import FileLock
from consilience_node.config import Config

UNNAMED = "node"


class StateFolderError(KeyFileError):
    """The state folder, or something in it, cannot be made or written."""

    remedy = "Name a folder that this user can write: --state-folder, or state_folder under [node]."


class StateFolderInUseError(StateFolderError):
    """Another node works on the state folder."""

    remedy = "Stop the other node, or give this one a folder of its own: --state-folder, or state_folder under [node]."


@dataclass(frozen=True, slots=True)
class StateFolder:
    """The folder of one node; two nodes never share one, but replicas of one node do, with the answers in it."""

    path: Path

    @classmethod
    def of(cls, config: Config) -> StateFolder:
        """Returns the folder that a configuration names, or the one of the node's name among the user's."""
        return cls(config.node.state_folder or state_folder(config.node.name or UNNAMED))

    @classmethod
    def root_key_of(cls, config: Config) -> Path:
        """Returns the root key of a configured node: a file of its own, or the one in its folder."""
        return config.node.key_file or cls.of(config).root_key

    @property
    def root_key(self) -> Path:
        """The root key: whoever has this file is the node."""
        return self.path / "root.key"

    @property
    def next_root(self) -> Path:
        """The id of the root key that comes next, as text; the key itself is elsewhere."""
        return self.path / "next-root.txt"

    @property
    def card(self) -> Path:
        """The newest card, on which a succession of the root key rests."""
        return self.path / "card.bin"

    @property
    def successions(self) -> Path:
        """The folder of the successions that led to the root key, oldest first."""
        return self.path / "successions"

    @property
    def answers(self) -> Path:
        """The database of answers."""
        return self.path / "answers.sqlite"

    @property
    def records(self) -> Path:
        """The database of records, of a registry that names no other."""
        return self.path.absolute() / "records.sqlite"

    @property
    def seen_cards(self) -> Path:
        """The newest cards of the registries that the node calls."""
        return self.path / "seen-cards.sqlite"

    @property
    def certificate(self) -> Path:
        """The pinned certificate with its keys."""
        return self.path / "certificate.pem"

    def index(self, skill_id: str) -> Path:
        """The full-text index of a skill's knowledge, which can be built again at any time."""
        return self.path / "indexes" / f"{skill_id}.sqlite"

    def make(self) -> None:
        """Makes the folder where there is none.

        Raises:
            StateFolderError: It cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StateFolderError(f"cannot make the state folder {self.path}: {error.strerror}") from error

    @contextmanager
    def held(self, *, shared: bool = False) -> Iterator[None]:
        """Keeps other processes from working on the folder within the block, but for those that share it as well.

        Args:
            shared: With replicas of the node, which keep what they have in common in one database.

        Raises:
            StateFolderInUseError: Another process works on it.
            StoreUnavailableError: The folder cannot be written.
        """
        try:
            lock = FileLock(self.path / "in-use", shared=shared)
        except StoreLockedError as error:
            raise StateFolderInUseError(f"another node works on the state folder {self.path}") from error
        try:
            yield
        finally:
            lock.release()
