"""Registries that answer each call in time, and never come to an end: no question waits, or fills memory, for ever."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience._wire import registries as wire
from consilience.client import Client
from consilience.client.reviews import Fault, FaultKind
from consilience.client.reviews import registries as reading
from consilience.client.reviews.gathering import MAX_HANDED_IN
from consilience.identity import KeyPair
from consilience.nodes import Skill
from consilience.reviews import OpenRecord, PublishOutcome
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import House, registries
from sdk.tests.reviews.specimens import HOUR, TestNode, advisory_about, card_record, key

NODE = TestNode.named("law")
CALL_SECONDS = 2.0
SLOW_SECONDS = 0.5
LONG_SECONDS = 60.0
"""Far above what a question may take, and far below what these registries would have it take."""


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[tuple[House, ...]]:
    async with registries(tmp_path, clocks=(utc_now, utc_now, utc_now)) as serving:
        yield serving


@pytest.fixture
async def client(houses: tuple[House, ...], card_file: Path) -> AsyncIterator[Client]:
    addresses = [house.address for house in houses[:2]]
    async with Client(
        KeyPair.generate(), card_file=card_file, registries=addresses, call_timeout=CALL_SECONDS
    ) as client:
        for house in houses:
            await client.card(house.address)
        yield client


def card(node: TestNode, *, description: str = "") -> OpenRecord:
    skill = Skill(id="law.answer", domains=("law",), description=description)
    return card_record(node, issued=utc_now() - HOUR, skills=(skill,))


def kinds(faults: tuple[Fault, ...]) -> set[tuple[str, FaultKind]]:
    return {(fault.registry, fault.kind) for fault in faults}


async def endless_cards(_: bytes) -> bytes:
    await asyncio.sleep(SLOW_SECONDS)
    return wire.encode_cards([], next_page_token=os.urandom(16))


async def endless_records(_: bytes) -> bytes:
    await asyncio.sleep(SLOW_SECONDS)
    return wire.encode_records([], next_page_token=os.urandom(16))


async def test_pages_without_end_hold_no_question_up(client: Client, houses: tuple[House, ...]) -> None:
    honest, slow = houses[:2]
    jurist, warning = card(NODE), advisory_about(NODE.root.public_key, author=key("author"), at=utc_now())
    await honest.bring(jurist, warning)
    slow.between.answers = {"FindNodes": endless_cards, "ListRecords": endless_records}
    async with asyncio.timeout(LONG_SECONDS):
        found = await client.find(domain="law")
        said = await client.reviews.about(NODE.root.public_key)
    assert [node.card.digest for node in found.nodes] == [jurist.digest]
    assert len(said.advisories) == 1
    for faults in (found.faults, said.faults):
        assert kinds(faults) == {(slow.address, FaultKind.PARTIAL)}
        assert "one question" in faults[0].detail
    assert "PublishRecord" not in slow.between.methods


async def test_what_came_before_a_registry_was_broken_off_is_used(client: Client, houses: tuple[House, ...]) -> None:
    honest, slow = houses[:2]
    here, there = card(NODE), card(TestNode.named("other"))
    await honest.bring(here)

    async def one_page(request: bytes) -> bytes:
        if wire.decode_node_query(request).page_token:
            return await endless_cards(request)
        return wire.encode_cards([there.object.envelope], next_page_token=b"further")

    slow.between.answers["FindNodes"] = one_page
    async with asyncio.timeout(LONG_SECONDS):
        found = await client.find(domain="law")
    assert {node.card.digest for node in found.nodes} == {here.digest, there.digest}
    assert (slow.address, FaultKind.PARTIAL) in kinds(found.faults)
    assert "PublishRecord" not in slow.between.methods


async def test_a_registry_is_handed_what_it_takes_in_within_the_time_of_a_question(
    client: Client, houses: tuple[House, ...]
) -> None:
    full, slow = houses[:2]
    many = [card(TestNode.named(f"jurist {number}")) for number in range(MAX_HANDED_IN)]
    await full.bring(*many)

    async def taken_in(_: bytes) -> bytes:
        await asyncio.sleep(SLOW_SECONDS)
        return wire.encode_outcome(PublishOutcome.STORED)

    slow.between.answers["PublishRecord"] = taken_in
    async with asyncio.timeout(LONG_SECONDS):
        found = await client.find(domain="law")
    assert len(found.nodes) == MAX_HANDED_IN
    assert slow.between.methods.count("PublishRecord") < MAX_HANDED_IN
    assert kinds(found.faults) == {(slow.address, FaultKind.BEHIND), (slow.address, FaultKind.UNREACHABLE)}


async def test_registries_are_handed_what_they_lack_at_once(client: Client, houses: tuple[House, ...]) -> None:
    full, *lacking = houses
    await full.bring(card(NODE))
    brought, inside = asyncio.Barrier(len(lacking)), [0]

    async def taken_in(_: bytes) -> bytes:
        inside.append(inside[-1] + 1)
        try:
            await brought.wait()
            return wire.encode_outcome(PublishOutcome.STORED)
        finally:
            inside.append(inside[-1] - 1)

    for house in lacking:
        house.between.answers["PublishRecord"] = taken_in
    found = await client.find(domain="law", registries=[house.address for house in houses])
    assert kinds(found.faults) == {(house.address, FaultKind.BEHIND) for house in lacking}
    assert max(inside) == len(lacking)


async def test_what_a_registry_says_to_have_is_not_waited_for_without_end(
    client: Client, houses: tuple[House, ...]
) -> None:
    honest, slow = houses[:2]
    jurist = card(NODE)
    await honest.bring(jurist)

    async def superseded(_: bytes) -> bytes:
        return wire.encode_outcome(PublishOutcome.SUPERSEDED)

    slow.between.answers = {"PublishRecord": superseded, "ListRecords": endless_records}
    async with asyncio.timeout(LONG_SECONDS):
        found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [jurist.digest]
    (fault,) = found.faults
    assert fault.registry == slow.address


async def test_a_registry_is_read_up_to_a_number_of_bytes(
    client: Client, houses: tuple[House, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", 100_000)
    honest, large = houses[:2]
    jurist = card(NODE)
    await honest.bring(jurist)
    bulk = "x" * 1000
    page = [card(TestNode.named(f"jurist {number}"), description=bulk).object.envelope for number in range(8)]

    async def full(_: bytes) -> bytes:
        return wire.encode_cards(page, next_page_token=os.urandom(16))

    large.between.answers["FindNodes"] = full
    found = await client.find(domain="law")
    assert {node.card.digest for node in found.nodes} == {jurist.digest, *(one.digest for one in page)}
    assert (large.address, FaultKind.PARTIAL) in kinds(found.faults)
    size = sum(len(wire.encode_cards([one], next_page_token=b"")) for one in page)
    assert large.between.methods.count("FindNodes") <= 100_000 // size + 1
    assert "PublishRecord" not in large.between.methods
