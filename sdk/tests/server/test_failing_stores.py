"""What a node does with a store that fails."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.asks import StopReason
from consilience.errors import NodeFaultError
from consilience.identity import KeyPair
from consilience.server import IncomingAsk, Item, Node
from consilience.server.store.contract import AnswerStore, AskKey, LogEntry, StoredAsk, StoreUnavailableError
from consilience.server.store.sqlite import SqliteStore
from sdk.tests.server.callers import calling
from sdk.tests.server.specimens import Counting, serve_test_skills

ANYWHERE = "127.0.0.1:0"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers.db"


class FailingStore:
    """A store whose medium fails when it is told to: what a full disk looks like from above."""

    durable = True

    def __init__(self, path: Path) -> None:
        self._store: AnswerStore = SqliteStore(path)
        self.full = False
        self.refused = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def bind(self, ask: StoredAsk, **how: object) -> StoredAsk | None:
        self._check()
        return await self._store.bind(ask, **how)  # type: ignore[arg-type]

    async def append(self, key: AskKey, entries: tuple[LogEntry, ...], *, epoch: int) -> None:
        self._check()
        await self._store.append(key, entries, epoch=epoch)

    async def finish(self, key: AskKey, entries: tuple[LogEntry, ...], **how: object) -> None:
        self._check()
        await self._store.finish(key, entries, **how)  # type: ignore[arg-type]

    def _check(self) -> None:
        if self.full:
            self.refused += 1
            raise StoreUnavailableError("the disk is full")


async def test_an_ask_that_cannot_be_stored_is_refused_and_binds_nothing(key: KeyPair, path: Path) -> None:
    store = FailingStore(path)
    node = Node("test", key=key, store=store)  # type: ignore[arg-type]
    serve_test_skills(node, Counting())
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed = caller.sign(caller.question("hello"))
        store.full = True
        with pytest.raises(NodeFaultError):
            await caller.send(signed.envelope).rest()
        assert running.running_asks == 0
        store.full = False
        assert (await caller.send(signed.envelope).rest()).text == "hello"


async def test_an_answer_waits_for_a_disk_that_is_full_and_loses_nothing(key: KeyPair, path: Path) -> None:
    store, go = FailingStore(path), asyncio.Event()
    node = Node("test", key=key, store=store)  # type: ignore[arg-type]

    @node.skill("count")
    async def count(_ask: IncomingAsk) -> AsyncIterator[Item]:
        for number in range(200):
            if number == 50:
                store.full = True
            yield f"{number} "
            await asyncio.sleep(0.0005)
        go.set()

    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await go.wait()
        assert (await caller.get(signed.value.header.request_id)).final is None
        store.full = False
        reading = await call.rest()
    caller.check(signed, reading)
    assert store.refused
    assert reading.text == "".join(f"{number} " for number in range(200))


async def test_a_node_that_is_stopped_while_its_disk_is_full_still_stops(key: KeyPair, path: Path) -> None:
    store = FailingStore(path)
    node, counting = Node("test", key=key, store=store), Counting()  # type: ignore[arg-type]
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        signed, call = caller.open(skill_id="count")
        await counting.has_begun()
        store.full = True
        call.drop()
    # The next life of the node, with room on the disk again, ends what was left.
    node = Node("test", key=key, store=f"sqlite:///{path}", replica=running._endpoints()[0].uri)
    serve_test_skills(node, counting)
    async with node.serving(ANYWHERE) as again, calling(again, key=caller.key) as caller:
        reading = await caller.resume(signed.value.header.request_id).rest()
    assert reading.final.answer.value.stop_reason is StopReason.INTERRUPTED
