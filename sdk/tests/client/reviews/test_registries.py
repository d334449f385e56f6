"""Registries as another one reaches them, and what is held against them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.reviews import FaultKind, Registries
from consilience.errors import (
    AddressInvalidError,
    CursorInvalidError,
    NoRegistryError,
    ProtocolError,
    RecordUnknownError,
    TransportError,
)
from consilience.reviews import PublishOutcome
from consilience.server import Node, Registry, RunningNode
from consilience.units import Digest, utc_now
from sdk.tests.client.reviews.registries import GoBetween
from sdk.tests.reviews.specimens import TestNode, advisory_about, key

WARNING = advisory_about(TestNode.named("node").root.public_key, author=key("author"), at=utc_now())


@pytest.fixture
async def registries(tmp_path: Path) -> AsyncIterator[Registries]:
    async with Registries(card_file=tmp_path / "cards") as made:
        yield made


def _registry(folder: Path) -> Node:
    store = Registry(store=f"sqlite:////{folder}/records.db")
    return Node("registry", key=folder / "key", registry=store)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningNode]:
    async with _registry(tmp_path).serving("127.0.0.1:0") as serving:
        yield serving


async def test_a_registry_without_a_skill_is_reached(running: RunningNode, registries: Registries) -> None:
    peer = registries(running.address)
    assert await peer.publish(WARNING.record) is PublishOutcome.STORED
    ((digests, cursor),) = [response async for response in peer.digests(b"")]
    assert digests == (running.card.digest, WARNING.digest)
    assert [response async for response in peer.digests(cursor)] == []
    assert await peer.record(WARNING.digest) == WARNING.record
    with pytest.raises(RecordUnknownError):
        await peer.record(Digest(bytes(32)))
    with pytest.raises(CursorInvalidError):
        [response async for response in peer.digests(b"another's")]


async def test_a_registry_that_was_away_is_looked_at_again(tmp_path: Path, registries: Registries) -> None:
    async with _registry(tmp_path).serving("127.0.0.1:0") as running:
        peer, port = registries(running.address), running.port
        await peer.publish(WARNING.record)
    with pytest.raises(TransportError):
        await peer.record(WARNING.digest)
    async with _registry(tmp_path).serving(f"127.0.0.1:{port}"):
        for _ in range(200):  # a channel that failed waits up to a second before it connects again
            with suppress(TransportError):
                assert await peer.record(WARNING.digest) == WARNING.record
                return
            await asyncio.sleep(0.05)
    raise AssertionError("it was not reached again")


async def test_a_node_that_is_no_registry_is_told_to_be_none(tmp_path: Path, registries: Registries) -> None:
    node = Node("desk", key=tmp_path / "key")
    node.skill("echo")(_echo)
    async with node.serving("127.0.0.1:0") as running:
        peer = registries(running.address)
        with pytest.raises(NoRegistryError, match=running.address):
            await peer.publish(WARNING.record)
        with pytest.raises(NoRegistryError, match=running.address):
            [response async for response in peer.digests(b"")]


async def test_a_question_goes_on_without_a_node_that_is_no_registry(
    tmp_path: Path, card_file: Path, running: RunningNode
) -> None:
    node = Node("desk", key=tmp_path / "desk")
    node.skill("echo")(_echo)
    async with (
        node.serving("127.0.0.1:0") as desk,
        Client(tmp_path / "desk", card_file=card_file, registries=[desk.address, running.address]) as client,
    ):
        said = await client.reviews.publish(WARNING.record)
        assert list(said.outcomes) == [running.address]
        assert isinstance(said.failures[desk.address], NoRegistryError)
        assert (await client.reviews.get(WARNING.digest)) == WARNING.record
        opinions = await client.reviews.about(TestNode.named("node").root.public_key)
        assert len(opinions.advisories) == 1
        (fault,) = opinions.faults
        assert fault.kind is FaultKind.NO_REGISTRY
        assert str(fault) == f"{desk.address} is no registry: it keeps no records"


async def test_a_registry_that_does_not_serve_what_its_card_declares_breaks_the_protocol(
    running: RunningNode, registries: Registries
) -> None:
    async with GoBetween(target=running.port, unserved={"PublishRecord"}) as between:
        with pytest.raises(ProtocolError, match="NODE-PROF-001"):
            await registries(between.address).publish(WARNING.record)


async def _echo(_: object) -> AsyncIterator[str]:
    yield "echo"


def test_what_is_no_address_is_told_at_once(registries: Registries) -> None:
    with pytest.raises(AddressInvalidError):
        registries("registry.example:7341")
