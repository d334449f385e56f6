"""Registries that bound how much one address reads: a client waits within its time, and says who was missing."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.client import Client
from consilience.client.reviews import FaultKind, Registries
from consilience.errors import LimitExceededError
from consilience.identity import KeyPair
from consilience.nodes import Skill
from consilience.reviews import NodeQuery
from consilience.server import Node, Registry, RunningNode
from consilience.units import utc_now
from sdk.tests.reviews.specimens import HOUR, TestNode, advisory_about, card_record, key
from sdk.tests.server.registry.callers import RegistryCaller, calling_registry

ANYWHERE = "127.0.0.1:0"
NODE = TestNode.named("law")
CARD = card_record(NODE, issued=utc_now() - HOUR, skills=(Skill(id="law.answer", domains=("law",)),))


@asynccontextmanager
async def serving(folder: Path, name: str, *, reads: int) -> AsyncIterator[tuple[RunningNode, RegistryCaller]]:
    bounded = Registry(store=f"sqlite:////{folder}/{name}.db", reads_per_minute=reads)
    node = Node(name, key=KeyPair.generate(), registry=bounded)
    async with node.serving(ANYWHERE) as running, calling_registry(running) as caller:
        await caller.publish(CARD.record)
        yield running, caller


async def used_up(caller: RegistryCaller) -> None:
    with suppress(LimitExceededError):
        while await caller.nodes(NodeQuery()):
            pass


async def test_a_question_waits_as_long_as_the_registry_likes(tmp_path: Path, card_file: Path) -> None:
    async with (
        serving(tmp_path, "busy", reads=120) as (running, caller),
        Client(KeyPair.generate(), card_file=card_file, registries=[running.address]) as client,
    ):
        for ask in (
            lambda: client.find(domain="law"),
            lambda: client.reviews.about(NODE.root.public_key),
            lambda: client.reviews.get(CARD.digest),
        ):
            await client.card(running.address)
            await used_up(caller)
            began = time.monotonic()
            await ask()
            assert time.monotonic() - began > 0.9


async def test_who_would_have_to_wait_too_long_goes_on_with_the_others(tmp_path: Path, card_file: Path) -> None:
    async with (
        serving(tmp_path, "busy", reads=1) as (busy, caller),
        serving(tmp_path, "idle", reads=0) as (idle, _),
    ):
        await used_up(caller)
        addresses = [busy.address, idle.address]
        async with Client(KeyPair.generate(), card_file=card_file, registries=addresses, call_timeout=5) as client:
            found = await client.find(domain="law")
            assert [node.registries for node in found.nodes] == [(idle.address,)]
            (fault,) = found.faults
            assert (fault.registry, fault.kind) == (busy.address, FaultKind.BUSY)
            assert "max_reads_per_minute" in str(fault)
            with pytest.raises(LimitExceededError) as caught:
                await client.find(domain="law", registries=[busy.address])
            assert caught.value.retry_after is not None
            assert caught.value.retry_after > timedelta(seconds=5)


async def test_a_follower_comes_to_the_end_of_a_registry_that_slows_it(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, "followed", reads=100) as (running, caller),
        Registries(card_file=tmp_path / "cards") as registries,
    ):
        warnings = [
            advisory_about(NODE.root.public_key, author=key(f"author {number}"), at=utc_now()) for number in range(101)
        ]
        await caller.bring(warnings)
        following = Registry(store=f"sqlite:////{tmp_path}/follower.db", follow=(running.address,))
        node = Node("follower", key=KeyPair.generate(), registry=following, peers=registries)
        async with node.serving(ANYWHERE) as follower, calling_registry(follower) as there:
            for _ in range(600):
                if await held(there) >= {warning.digest for warning in warnings}:
                    return
                await asyncio.sleep(0.05)
    raise AssertionError("the follower did not come to the end")


async def held(caller: RegistryCaller) -> set[bytes]:
    return {digest for digests, _ in await caller.feed() for digest in digests}
