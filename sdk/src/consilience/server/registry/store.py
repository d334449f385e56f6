"""The record store on either database; see `contract.RecordStore` for each method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial

from consilience.errors import UsageError
from consilience.reviews import QUOTAS, NodeQuery, Placed, Record, RecordQuery, RecordType
from consilience.server.registry import finding, migrations, reading, statements
from consilience.server.registry.contract import Admission, Capacity, Entry, Found
from consilience.server.registry.databases import Database
from consilience.server.registry.ring import Arc
from consilience.server.store.contract import StoreUnavailableError
from consilience.units import Digest, PublicKey


class SqlRecordStore:
    """Keeps records in tables."""

    def __init__(self, database: Database, *, quotas: Mapping[RecordType, int] = QUOTAS) -> None:
        """Names the database.

        Args:
            database: Not yet open.
            quotas: How many slots of each type an author may fill; other ones than those of the specification are
                for tests.
        """
        self._database = database
        self._quotas = quotas
        self._identity = b""

    @property
    def identity(self) -> bytes:
        """What the tokens of this store are told by."""
        if not self._identity:
            raise StoreUnavailableError("the store is not open")
        return self._identity

    async def open(self) -> None:
        """Connects, and makes the tables where there are none."""
        if self._identity:
            raise UsageError("the store is open already")
        await self._database.open()
        try:
            self._identity = await self._database.prepare(migrations.prepare)
        except BaseException:
            await self._database.close()
            raise

    async def close(self) -> None:
        """Ends what was begun and hangs up."""
        self._identity = b""
        await self._database.close()

    async def admit(
        self, records: Sequence[Placed], *, now: datetime, capacity: Capacity | None = None
    ) -> tuple[Admission, ...]:
        """Takes records in; see `RecordStore.admit`."""
        work = partial(statements.admit, records=records, now=now, quotas=self._quotas, capacity=capacity)
        return await self._database.write(work)

    async def count(self, *, now: datetime) -> int:
        """Returns how many records are held."""
        return await self._database.read(partial(reading.count, now=now))

    async def get(self, digest: Digest, *, now: datetime) -> Record | None:
        """Returns a record by its digest, or None."""
        return await self._database.read(partial(reading.get, digest=digest, now=now))

    async def card_of(self, node_id: PublicKey, *, now: datetime) -> Record | None:
        """Returns the card of a node, or None."""
        return await self._database.read(partial(reading.card_of, node_id=node_id, now=now))

    async def unknown(self, digests: Sequence[Digest]) -> tuple[Digest, ...]:
        """Returns the digests of no record here."""
        return await self._database.read(partial(statements.unknown, digests=digests))

    async def about(self, query: RecordQuery, *, before: int | None, limit: int, now: datetime) -> tuple[Entry, ...]:
        """Returns the records about or by somebody; see `RecordStore.about`."""
        return await self._database.read(partial(reading.about, query=query, before=before, limit=limit, now=now))

    async def fitting(self, query: NodeQuery, *, arc: Arc, limit: int, now: datetime) -> Found:
        """Returns the cards of nodes that fit; see `RecordStore.fitting`."""
        return await self._database.read(partial(finding.fitting, query=query, arc=arc, limit=limit, now=now))

    async def taken_in(self, *, after: int, limit: int, now: datetime) -> tuple[tuple[int, Digest], ...]:
        """Returns the feed; see `RecordStore.taken_in`."""
        return await self._database.read(partial(reading.taken_in, after=after, limit=limit, now=now))

    async def forget(self, *, now: datetime) -> int:
        """Drops what has ended, in as many transactions as it takes: others write in between."""
        dropped = 0
        while some := await self._database.write(partial(statements.forget, now=now)):
            dropped += some
        return dropped

    async def cursor_of(self, registry: str) -> bytes:
        """Returns how far another registry was followed."""
        return await self._database.read(partial(statements.cursor_of, registry=registry))

    async def note_cursor(self, registry: str, cursor: bytes) -> None:
        """Notes how far another registry was followed."""
        await self._database.write(partial(statements.note_cursor, registry=registry, cursor=cursor))

    async def whole_round_of(self, registry: str) -> datetime | None:
        """Returns when it was last begun to follow another registry from the beginning."""
        return await self._database.read(partial(statements.whole_round_of, registry=registry))

    async def begin_whole_round(self, registry: str, *, now: datetime) -> None:
        """Notes that another registry is followed from the beginning."""
        await self._database.write(partial(statements.begin_whole_round, registry=registry, now=now))
