"""Authors that say more than a registry keeps of them: what it drops for that is not held against it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.identity import KeyPair
from consilience.reviews import QUOTAS, RecordType
from consilience.server import Node, Registry
from consilience.server.registry.databases import SqliteDatabase
from consilience.server.registry.store import SqlRecordStore
from consilience.units import utc_now
from sdk.tests.reviews.specimens import advisory_about, digests, key
from sdk.tests.server.registry.callers import RegistryCaller, calling_registry

AUTHOR, SUBJECT = key("author"), key("judged").public_key
QUOTA = 2


@pytest.fixture
async def callers(tmp_path: Path) -> AsyncIterator[dict[str, RegistryCaller]]:
    """Registries that keep two warnings of an author, by their addresses."""
    async with AsyncExitStack() as stack:
        serving = {}
        for number in range(2):
            database = SqliteDatabase(tmp_path / f"records-{number}.db")
            store = SqlRecordStore(database, quotas={**QUOTAS, RecordType.ADVISORY: QUOTA})
            node = Node(f"registry {number}", key=KeyPair.generate(), registry=Registry(store=store))
            running = await stack.enter_async_context(node.serving("127.0.0.1:0"))
            serving[running.address] = await stack.enter_async_context(calling_registry(running))
        yield serving


async def test_a_registry_is_not_blamed_for_what_its_author_has_too_much_of(
    callers: dict[str, RegistryCaller], card_file: Path
) -> None:
    now = utc_now()
    first, *more = (advisory_about(SUBJECT, author=AUTHOR, at=now, days=days) for days in (3, 10, 11))
    full, other = callers.values()
    await full.bring([first, *more])
    await other.bring([first])
    async with Client(KeyPair.generate(), card_file=card_file, registries=callers) as client:
        said = await client.reviews.about(SUBJECT)
    assert {opinion.record.place.digest for opinion in said.advisories} == digests([first, *more])
    assert {fault.registry for fault in said.faults} == {list(callers)[1]}
