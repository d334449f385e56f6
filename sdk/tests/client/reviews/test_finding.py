"""Finding: several registries are asked at once, none is believed, and none learns what the asker wants to know."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from consilience._wire import registries as wire
from consilience.client import Client
from consilience.client.reviews import Fault, FaultKind
from consilience.client.reviews.finding import rank
from consilience.errors import ConsilienceError, UsageError
from consilience.identity import KeyPair
from consilience.nodes import DataClass, MeasuredQuality, Profile, Skill
from consilience.reviews import OpenRecord
from consilience.server import Node
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import Bend, House, registries, served_besides, without
from sdk.tests.reviews.specimens import HOUR, TestNode, card_record
from sdk.tests.server.specimens import Counting, serve_test_skills

LAW, UNITS = TestNode.named("law"), TestNode.named("units")
QUESTION = "What is the limitation period for the claim of Mrs Achterberg?"


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[tuple[House, ...]]:
    async with registries(tmp_path) as serving:
        yield serving


@pytest.fixture
async def client(houses: tuple[House, ...], card_file: Path) -> AsyncIterator[Client]:
    addresses = [house.address for house in houses]
    async with Client(KeyPair.generate(), card_file=card_file, registries=addresses) as client:
        yield client


def law(**skill: Any) -> Skill:
    return replace(Skill(id="law.answer", domains=("law.de",), languages=("de",)), **skill)


def card(node: TestNode, *skills: Skill, age: timedelta = HOUR, **changes: Any) -> OpenRecord:
    return card_record(node, issued=utc_now() - age, skills=skills, **changes)


def priced(price: int) -> dict[str, Any]:
    return {
        "tariffs": (Tariff(id="t", asset="TEST/0", prices=(UnitPrice(unit=PricedUnit.REQUEST, price=price),)),),
        "rails": (Rail(id="hold.v1", network="test", assets=("TEST/0",), backings=(Backing.CREDIT,), max_credit=9),),
        "profiles": (Profile.CORE, Profile.PAY),
    }


def kinds(faults: tuple[Fault, ...]) -> list[tuple[str, FaultKind]]:
    return [(fault.registry, fault.kind) for fault in faults]


async def test_nodes_of_all_registries_are_found_once_and_by_what_fits(
    client: Client, houses: tuple[House, ...]
) -> None:
    jurist, other = card(LAW, law()), card(UNITS, Skill(id="units", domains=("units",), languages=("en",)))
    for house in houses:
        await house.bring(jurist, other)
    found = await client.find(domain="law", language="DE")
    assert [node.card.digest for node in found.nodes] == [jurist.digest]
    assert found.nodes[0].skill.id == "law.answer"
    assert found.nodes[0].registries == tuple(house.address for house in houses)
    assert found.faults == ()
    assert {node.card.digest for node in (await client.find()).nodes} == {jurist.digest, other.digest}


async def test_a_registry_that_lacks_a_card_is_told_of_and_handed_it(client: Client, houses: tuple[House, ...]) -> None:
    one, two = houses
    jurist = card(LAW, law())
    await one.bring(jurist)
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [jurist.digest]
    assert kinds(found.faults) == [(two.address, FaultKind.BEHIND)]
    assert await two.nodes() == {jurist.digest}
    assert (await client.find(domain="law")).faults == ()


async def test_a_registry_that_holds_a_card_back_stands_out(client: Client, houses: tuple[House, ...]) -> None:
    jurist = card(LAW, law())
    for house in houses:
        await house.bring(jurist)
    houses[1].between.bends["FindNodes"] = without(jurist.digest)
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [jurist.digest]
    (fault,) = found.faults
    assert (fault.registry, fault.kind, fault.digest) == (houses[1].address, FaultKind.SILENT, jurist.digest)
    assert "law" not in fault.detail
    assert str(fault).startswith(f"{houses[1].address} is silent")


async def test_an_old_card_does_not_outlive_a_new_one_that_fits_no_more(
    client: Client, houses: tuple[House, ...]
) -> None:
    fresh, stale = houses
    await stale.bring(card(LAW, law(), age=2 * HOUR))
    await fresh.bring(card(LAW, Skill(id="units.convert", domains=("units",))))
    found = await client.find(domain="law")
    assert found.nodes == ()
    assert kinds(found.faults) == [(stale.address, FaultKind.BEHIND)]


async def test_of_two_cards_that_fit_the_newer_is_found(client: Client, houses: tuple[House, ...]) -> None:
    old, new = card(LAW, law(), age=2 * HOUR), card(LAW, law())
    await houses[0].bring(old)
    await houses[1].bring(new)
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [new.digest]
    assert kinds(found.faults) == [(houses[0].address, FaultKind.BEHIND)]
    assert await houses[0].nodes() == {new.digest}


async def test_a_card_that_loses_to_one_that_was_seen_before_is_not_found(
    client: Client, houses: tuple[House, ...]
) -> None:
    old, new = card(LAW, law(), age=2 * HOUR), card(LAW, law())
    for house in houses:
        await house.bring(new)
    assert [node.card.digest for node in (await client.find(domain="law")).nodes] == [new.digest]
    for house in houses:
        house.between.bends["FindNodes"] = replayed(old)
    found = await client.find(domain="law")
    assert found.nodes == ()
    assert kinds(found.faults) == [(house.address, FaultKind.BEHIND) for house in houses]
    assert old.digest in {fault.digest for fault in found.faults}


async def test_in_the_place_of_an_old_card_the_one_is_found_that_the_node_has_shown(
    client: Client, houses: tuple[House, ...], tmp_path: Path
) -> None:
    node = Node("law", key=KeyPair.generate())
    serve_test_skills(node, Counting())
    async with node.serving("127.0.0.1:0") as first:
        old = first.card
    for house in houses:
        await house.bring(OpenRecord(object=old))
    async with node.serving("127.0.0.1:0") as second:
        shown = await client.card(f"127.0.0.1:{second.port}")
    assert shown.digest != old.digest
    found = await client.find(skill="echo")
    assert [(node.card.digest, node.registries) for node in found.nodes] == [(shown.digest, ())]
    assert kinds(found.faults) == [(house.address, FaultKind.BEHIND) for house in houses]


def replayed(old: OpenRecord) -> Bend:
    return lambda *_: wire.encode_cards([old.object.envelope], next_page_token=b"")


def forged(record: OpenRecord) -> OpenRecord:
    envelope = replace(record.object.envelope, signature=bytes(64))
    return replace(record, object=replace(record.object, envelope=envelope))


@pytest.mark.parametrize(
    "bad",
    [
        forged(card(LAW, law())),
        card(LAW, law(), age=timedelta(days=8)),
        card(LAW, Skill(id="units.convert", domains=("units",))),
        card(LAW, law(id="Not an id")),
    ],
    ids=["forged", "expired", "does not fit", "breaks a rule"],
)
async def test_what_no_registry_admits_is_not_found_and_told_of(
    client: Client, houses: tuple[House, ...], bad: OpenRecord
) -> None:
    good = card(UNITS, law())
    for house in houses:
        await house.bring(good)
    houses[0].between.bends["FindNodes"] = served_besides([bad])
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [good.digest]
    assert kinds(found.faults) == [(houses[0].address, FaultKind.INVALID)]


async def test_a_registry_that_cannot_be_reached_is_told_of(client: Client, houses: tuple[House, ...]) -> None:
    good = card(LAW, law())
    await houses[0].bring(good)
    found = await client.find(domain="law", registries=[houses[0].address, "127.0.0.1:1"])
    assert len(found.nodes) == 1
    assert kinds(found.faults) == [("127.0.0.1:1", FaultKind.UNREACHABLE)]
    with pytest.raises(ConsilienceError):
        await client.find(domain="law", registries=["127.0.0.1:1"])


async def test_a_registry_whose_pages_never_end_is_told_of(client: Client, houses: tuple[House, ...]) -> None:
    good = card(LAW, law())
    for house in houses:
        await house.bring(good)

    def circle(_: bytes, honest: bytes) -> bytes:
        cards, _ = wire.decode_cards(honest)
        return wire.encode_cards(cards, next_page_token=b"again")

    houses[0].between.bends["FindNodes"] = circle
    found = await client.find(domain="law")
    assert [node.registries for node in found.nodes] == [(houses[1].address,)]
    assert kinds(found.faults) == [(houses[0].address, FaultKind.REFUSING)]


async def test_nodes_are_ranked_by_nearness_and_then_by_price(client: Client, houses: tuple[House, ...]) -> None:
    near = card(TestNode.named("near"), law(description="The limitation period.", tariff_ids=("t",)), **priced(9))
    cheap = card(TestNode.named("cheap"), law(tariff_ids=("t",)), **priced(3))
    free = card(TestNode.named("free"), law())
    dear = card(TestNode.named("dear"), law(tariff_ids=("t",)), **priced(10))
    for house in houses:
        await house.bring(near, cheap, free, dear)
    found = await client.find(domain="law", max_price="9 TEST/0", near=QUESTION)
    assert [node.card.digest for node in found.nodes] == [near.digest, free.digest, cheap.digest]
    assert [str(node.price) for node in found.nodes] == ["9 TEST", "None", "3 TEST"]


async def test_who_boasts_of_its_quality_comes_first_no_more_often(client: Client, houses: tuple[House, ...]) -> None:
    measured = MeasuredQuality(dataset_name="d", dataset_digest=bytes(32), sample_count=10**6, score_milli=1000)
    await houses[0].bring(
        card(TestNode.named("boaster"), law(measured_quality=(measured,))), card(TestNode.named("plain"), law())
    )
    found = await client.find(domain="law")
    first = [min(found.nodes, key=partial(rank, chance=bytes([number]))) for number in range(64)]
    boasts = sum(bool(node.skill.measured_quality) for node in first)
    assert 16 < boasts < 48


async def test_registries_learn_what_kind_of_skill_is_wanted_and_nothing_of_the_question(
    client: Client, houses: tuple[House, ...]
) -> None:
    jurist = card(LAW, law(description="Limitation and claim."))
    await houses[0].bring(jurist)
    found = await client.find(domain="law", data_class=DataClass.PUBLIC, near=QUESTION)
    assert found.nodes[0].near == 2
    assert found.faults
    for house in houses:
        recorded = b"".join(request for _, request in house.between.requests)
        for word in QUESTION.split():
            if len(word) > 3 and word.lower() not in ("limitation", "claim"):
                assert word.encode() not in recorded
        asked = [request for method, request in house.between.requests if method == "FindNodes"]
        assert {wire.decode_node_query(request).text for request in asked} == {""}
        assert not house.between.metadata & {"authorization", "traceparent", "consilience-caller"}


async def test_what_cannot_be_asked_for_is_refused_before_anything_is_sent(
    client: Client, houses: tuple[House, ...], card_file: Path
) -> None:
    for wanted in ({"domain": "Not a domain"}, {"colour": "red"}, {"max_price": "cheap"}, {"text": "x" * 300}):
        with pytest.raises(UsageError):
            await client.find(**wanted)  # type: ignore[arg-type]
    async with Client(KeyPair.generate(), card_file=card_file) as alone:
        with pytest.raises(UsageError, match="no registry"):
            await alone.find(domain="law")
    assert [house.between.methods for house in houses] == [[], []]
