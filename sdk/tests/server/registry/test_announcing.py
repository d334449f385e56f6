"""A node brings its card to the registries that the card names, and again when there is a new one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.errors import (
    AddressInvalidError,
    KeyRetiredError,
    LimitExceeded,
    LimitExceededError,
    NodeFaultError,
    SignatureInvalidError,
    UnreachableError,
)
from consilience.nodes import Profile
from consilience.reviews import OpenRecord, PublishOutcome, Record
from consilience.server import Node, Registry
from consilience.server.registry.announcing import AGAIN_SECONDS, Announcer
from consilience.server.registry.peers import Peer
from consilience.units import Digest
from sdk.tests.reviews.specimens import NOW, TestNode, advisory_about, key
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.callers import calling_registry
from sdk.tests.server.registry.offices import Line, LocalRegistry

ANYWHERE = "127.0.0.1:0"
NODE = TestNode.named("node")
OLD, NEW = NODE.card(issued=NOW - timedelta(hours=1)), NODE.card()


class Refusing:
    """A registry that says no."""

    def __init__(self, *refusals: Exception) -> None:
        self.refusals = list(refusals)
        self.brought: list[Digest] = []

    async def publish(self, record: Record) -> PublishOutcome:
        self.brought.append(record.digest)
        if self.refusals:
            raise self.refusals.pop(0)
        return PublishOutcome.STORED

    async def digests(self, cursor: bytes) -> AsyncIterator[tuple[tuple[Digest, ...], bytes]]:
        yield (), cursor

    async def record(self, digest: Digest) -> Record:
        raise AssertionError(digest)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[LocalRegistry]:
    clock = ManualClock()
    clock.now = NOW
    made = LocalRegistry(tmp_path, "registry", clock=clock)
    await made.open()
    yield made
    await made.store.close()


async def test_each_card_is_brought_once(registry: LocalRegistry) -> None:
    cards = [OLD]
    other = Refusing()
    registries: dict[str, Peer] = {"one": Line(registry), "two": other}
    announcer = Announcer(registries, records=lambda: [Record(object=cards[-1].envelope)])
    await announcer.announce()
    await announcer.announce()
    assert other.brought == [OLD.digest]
    cards.append(NODE.card(issued=NOW))
    await announcer.announce()
    assert other.brought == [OLD.digest, cards[-1].digest]
    assert await registry.held() == {cards[-1].digest}


async def test_a_registry_that_lost_its_records_gets_them_again(registry: LocalRegistry, tmp_path: Path) -> None:
    passed = [0.0]
    strict = Refusing(SignatureInvalidError("no"))
    registries: dict[str, Peer] = {"one": Line(registry), "strict": strict}
    announcer = Announcer(registries, records=lambda: [Record(object=NEW.envelope)], elapsed=lambda: passed[0])
    await announcer.announce()
    bare = LocalRegistry(tmp_path, "bare", clock=registry.clock)
    await bare.open()
    registries["one"] = Line(bare)  # the same address, with an empty database
    passed[0] = AGAIN_SECONDS - 1
    await announcer.announce()
    assert (await bare.held(), len(strict.brought)) == (set(), 1)
    passed[0] = AGAIN_SECONDS
    await announcer.announce()
    assert (await bare.held(), len(strict.brought)) == ({NEW.digest}, 2)
    await bare.store.close()


async def test_a_succession_is_brought_before_the_card_of_the_new_key(registry: LocalRegistry) -> None:
    successor = TestNode(root=NODE.next_root, signing=NODE.signing, next_root=key("third"))
    handed_over, card = NODE.succession(at=NOW - timedelta(minutes=1), card=OLD), successor.card(issued=NOW)
    await registry.bring(OpenRecord(object=OLD))
    away = Refusing(UnreachableError("away"))
    registries: dict[str, Peer] = {"one": Line(registry), "away": away}
    announcer = Announcer(registries, records=lambda: [handed_over.record, Record(object=card.envelope)])
    for _ in range(3):
        await announcer.announce()
    assert away.brought == [handed_over.digest, handed_over.digest, card.digest]
    assert await registry.held() == {OLD.digest, handed_over.digest, card.digest}
    late = OpenRecord(object=NODE.card(issued=NOW))
    assert await registry.bring(late) == [KeyRetiredError]


async def test_who_cannot_be_reached_or_has_no_time_is_tried_again_and_who_refuses_is_not() -> None:
    away = Refusing(UnreachableError("away"), UnreachableError("away"))
    busy = Refusing(LimitExceededError("too often", retry_after=timedelta(seconds=3)))
    strict = Refusing(SignatureInvalidError("no"), SignatureInvalidError("no"))
    announcer = Announcer({"away": away, "busy": busy, "strict": strict}, records=lambda: [Record(object=NEW.envelope)])
    for _ in range(4):
        await announcer.announce()
    assert [len(each.brought) for each in (away, busy, strict)] == [3, 2, 1]


async def test_a_registry_that_fails_is_tried_again_until_it_does_not() -> None:
    failing = Refusing(NodeFaultError("its log says why"), NodeFaultError("its log says why"))
    announcer = Announcer({"failing": failing}, records=lambda: [Record(object=NEW.envelope)])
    for _ in range(4):
        await announcer.announce()
    assert len(failing.brought) == 3


async def test_what_time_lifts_is_tried_again_until_it_is_lifted(tmp_path: Path) -> None:
    clock = ManualClock()
    clock.now = NOW - timedelta(hours=2)
    behind, full = (LocalRegistry(tmp_path, name, clock=clock, max_records=1) for name in ("behind", "full"))
    large = LimitExceededError("too large", detail=LimitExceeded(limit="record_bytes", maximum=1, requested=2))
    narrow = Refusing(large, large)
    registries: dict[str, Peer] = {"behind": Line(behind), "full": Line(full), "narrow": narrow}
    announcer = Announcer(registries, records=lambda: [Record(object=NEW.envelope)])
    for registry in (behind, full):
        await registry.open()
    await full.bring(advisory_about(bytes(32), author=key("author"), at=clock.now, days=1))
    await announcer.announce()
    assert await behind.held() == set()
    clock.now = NOW
    await announcer.announce()
    assert await behind.held() == {NEW.digest}
    assert NEW.digest not in await full.held()
    clock.now = NOW + timedelta(days=2)
    await full.intake.count()
    await announcer.announce()
    assert await full.held() == {NEW.digest}
    assert len(narrow.brought) == 1
    for registry in (behind, full):
        await registry.store.close()


async def test_a_running_node_is_found_at_the_registry_that_it_names(node: Node, tmp_path: Path) -> None:
    there = Node("registry", key=tmp_path / "key", registry=Registry(store=f"sqlite:////{tmp_path}/records.db"))
    async with there.serving(ANYWHERE) as running, calling_registry(running) as caller:
        node = Node("desk", key=tmp_path / "desk", registries=[running.address], peers=lambda _: caller)
        node.skill("echo")(_echo)
        async with node.serving(ANYWHERE) as desk:
            assert desk.card.value.registries == (running.address,)
            assert Profile.REGISTRY not in desk.card.value.profiles
            for _ in range(1000):
                if desk.card.digest in {digest for taken, _ in await caller.feed() for digest in taken}:
                    return
                await asyncio.sleep(0.02)
    raise AssertionError("the card did not come")


async def _echo(_: object) -> AsyncIterator[str]:
    yield "echo"


def test_a_card_names_registries_by_addresses_that_can_be_called(tmp_path: Path) -> None:
    nowhere = Node("desk", key=tmp_path / "desk", registries=["nowhere"])
    nowhere.skill("echo")(_echo)
    with pytest.raises(AddressInvalidError):
        nowhere.serving(ANYWHERE)
