"""Which registries a node has to do with: `[registry]`, where it is one itself, and those that its card names."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias
from urllib.parse import quote, unquote

from pydantic import AfterValidator, Field, ValidationInfo

from consilience.errors import AddressInvalidError, UsageError
from consilience.nodes import NodeAddress
from consilience.server import Registry
from consilience.server.registry import record_store_at
from consilience.server.registry.office import (
    DEFAULT_MAX_RECORDS,
    DEFAULT_OPEN_FEEDS,
    DEFAULT_PUBLISHES_PER_MINUTE,
    DEFAULT_READS_PER_MINUTE,
)
from consilience.server.store.contract import StoreUnavailableError
from consilience_node.config.tables import Bound, Count, Seconds, Table, located

MAX_CARD_REGISTRIES = 16
MAX_FOLLOWED = 64
_SQLITE = "sqlite:///"


class RecordFolderError(StoreUnavailableError):
    """The folder of the records is not there. None is made: after a slip of the pen a registry would begin anew."""

    remedy = "Make the folder, or name a file in another one: --store, or store under [registry]."


def _registry_address(text: str) -> str:
    try:
        NodeAddress.parse(text)
    except AddressInvalidError as error:
        raise ValueError(str(error)) from error
    return text


def _record_store(url: str, info: ValidationInfo) -> str:
    """Makes the path of a file absolute, and refuses what names no store."""
    if url.startswith(_SQLITE):
        url = _SQLITE + quote(str(located(Path(unquote(url.removeprefix(_SQLITE))), info)))
    try:
        record_store_at(url)
    except UsageError as error:
        raise ValueError(str(error)) from error
    return url


def _each_once(addresses: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(addresses)) < len(addresses):
        raise ValueError("must name each once")
    return addresses


RegistryAddress: TypeAlias = Annotated[str, AfterValidator(_registry_address)]
CardRegistries: TypeAlias = Annotated[
    tuple[RegistryAddress, ...], Field(strict=False, max_length=MAX_CARD_REGISTRIES), AfterValidator(_each_once)
]
FollowedRegistries: TypeAlias = Annotated[
    tuple[RegistryAddress, ...], Field(strict=False, max_length=MAX_FOLLOWED), AfterValidator(_each_once)
]
RecordStoreUrl: TypeAlias = Annotated[str, AfterValidator(_record_store)]


class RegistryTable(Table):
    """`[registry]`: the node keeps the records of everyone: cards, reviews, warnings. Any node may; it is open to all.

    Attributes:
        store: `sqlite:///records.db`, or `postgresql://user@host/database`, which several nodes may share; a database
            in the state folder when absent.
        follow: Addresses of registries of which everything is taken over that is right, and of those beyond them.
        follow_seconds: How long to wait after each look at them.
        max_records: How many are held, of 128 KiB each at the most; then only what takes the place of something is.
        publishes_per_minute: How often one address may bring a record; 0: without bound.
        reads_per_minute: How often one address may read, at once or over the minute; 0: without bound.
        open_feeds: How many streams of SyncRecords one address has at one time; 0: without bound.
    """

    store: RecordStoreUrl | None = None
    follow: FollowedRegistries = ()
    follow_seconds: Seconds = 30.0
    max_records: Count = DEFAULT_MAX_RECORDS
    publishes_per_minute: Bound = DEFAULT_PUBLISHES_PER_MINUTE
    reads_per_minute: Bound = DEFAULT_READS_PER_MINUTE
    open_feeds: Bound = DEFAULT_OPEN_FEEDS

    def registry(self, *, default_file: Path) -> Registry:
        """Returns what the node runs.

        Args:
            default_file: The database of one that names no store, an absolute path.

        Raises:
            RecordFolderError: The folder of the file that it names is not there.
        """
        if self.store is not None and self.store.startswith(_SQLITE):
            _check_folder(Path(unquote(self.store.removeprefix(_SQLITE))))
        return Registry(
            store=self.store or _SQLITE + quote(str(default_file)),
            follow=self.follow,
            follow_interval=timedelta(seconds=self.follow_seconds),
            max_records=self.max_records,
            publishes_per_minute=self.publishes_per_minute,
            reads_per_minute=self.reads_per_minute,
            open_feeds=self.open_feeds,
        )


def _check_folder(file: Path) -> None:
    if not file.parent.is_dir():
        raise RecordFolderError(f"cannot open {file}: there is no folder {file.parent}")
