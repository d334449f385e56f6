"""Finding: several registries are asked at once, none is believed, and none learns what the asker wants to know."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience._wire import registries as wire
from consilience.client import Client
from consilience.client.reviews import Fault, FaultKind
from consilience.client.reviews import registries as reading
from consilience.client.reviews.finding import ranked
from consilience.errors import ConsilienceError, UsageError
from consilience.identity import KeyPair
from consilience.nodes import DataClass, MeasuredQuality, Profile, Skill
from consilience.reviews import OpenRecord, PublishOutcome
from consilience.server import Node
from consilience.server.registry import finding as looking
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import Bend, House, served_besides, without
from sdk.tests.reviews.specimens import HOUR, TestNode, card_record
from sdk.tests.server.specimens import Counting, serve_test_skills

LAW, UNITS = TestNode.named("law"), TestNode.named("units")
QUESTION = "What is the limitation period for the claim of Mrs Achterberg?"


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


JURIST, OLD_JURIST = card(LAW, law()), card(LAW, law(), age=2 * HOUR)


@pytest.mark.parametrize(
    ("found_there", "listed"),
    [((), ()), ((), (JURIST,)), ((OLD_JURIST,), ()), ((OLD_JURIST,), (OLD_JURIST,))],
    ids=["nothing", "held back", "old", "old in both"],
)
async def test_a_registry_that_speaks_of_something_newer_has_to_show_it(
    client: Client, houses: tuple[House, ...], found_there: tuple[OpenRecord, ...], listed: tuple[OpenRecord, ...]
) -> None:
    honest, lying = houses
    await honest.bring(JURIST)
    lying.between.bends = {
        "FindNodes": showing(*found_there),
        "PublishRecord": lambda *_: wire.encode_outcome(PublishOutcome.SUPERSEDED),
        "ListRecords": lambda *_: wire.encode_records([one.record for one in listed], next_page_token=b""),
    }
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [JURIST.digest]
    (fault,) = found.faults
    assert (fault.registry, fault.kind, fault.digest) == (lying.address, FaultKind.REFUSING, JURIST.digest)
    assert "shows nothing" in fault.detail


async def test_a_registry_that_fails_as_it_is_looked_at_again_is_told_of(
    client: Client, houses: tuple[House, ...]
) -> None:
    honest, newer = houses
    await honest.bring(OLD_JURIST)
    await newer.bring(card(LAW, Skill(id="units.convert", domains=("units",))))
    newer.between.unserved = {"ListRecords"}
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [OLD_JURIST.digest]
    assert kinds(found.faults) == [(newer.address, FaultKind.REFUSING)]
    assert "NODE-PROF-001" in found.faults[0].detail


async def test_what_was_not_read_of_a_registry_is_not_held_against_it(
    client: Client, houses: tuple[House, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_RECORDS", 10)
    many = [card(TestNode.named(f"jurist {number}"), law()) for number in range(20)]
    for house in houses:
        await house.bring(*many)
    found = await client.find(domain="law")
    assert 10 <= len(found.nodes) <= 20
    assert kinds(found.faults) == [(house.address, FaultKind.PARTIAL) for house in houses]
    assert "PublishRecord" not in (*houses[0].between.methods, *houses[1].between.methods)


async def test_an_old_card_is_held_against_a_registry_however_little_of_it_was_read(
    client: Client, houses: tuple[House, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_RECORDS", 3)
    others = [card(TestNode.named(f"jurist {number}"), law()) for number in range(3)]
    fresh, large = houses
    await fresh.bring(JURIST)
    await large.bring(JURIST, *others)
    large.between.bends["FindNodes"] = showing(OLD_JURIST, *others)
    found = await client.find(domain="law")
    assert JURIST.digest in {node.card.digest for node in found.nodes}
    assert (large.address, FaultKind.PARTIAL) in kinds(found.faults)
    (fault,) = (fault for fault in found.faults if fault.digest == JURIST.digest)
    assert (fault.registry, fault.kind) == (large.address, FaultKind.BEHIND)


async def test_a_registry_of_which_many_pages_are_empty_is_read_in_part(
    client: Client, houses: tuple[House, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_PAGES", 3)
    monkeypatch.setattr(looking, "STEPS", 4)
    apart = (law(), Skill(id="units.convert", domains=("units",)))
    for house in houses:
        await house.bring(*(card(TestNode.named(f"node {number}"), *apart) for number in range(20)))
    found = await client.find(domain="law", text="convert")
    assert found.nodes == ()
    assert kinds(found.faults) == [(house.address, FaultKind.PARTIAL) for house in houses]


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
        house.between.bends["FindNodes"] = showing(old)
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


def showing(*records: OpenRecord) -> Bend:
    return lambda *_: wire.encode_cards([record.object.envelope for record in records], next_page_token=b"")


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
    first = [ranked(found.nodes, chance=bytes([number]))[0] for number in range(64)]
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
    nothing = ({"domain": "Not a domain"}, {"colour": "red"}, {"max_price": "cheap"}, {"text": "x" * 300})
    uncountable = ({"max_price": "9999999999999 USD/6"}, {"max_price": "1 USD/99"}, {"min_parameters": 2**63})
    unnamed = ({"profiles": [profile]} for profile in (Profile.UNKNOWN, Profile.UNSPECIFIED, 77))
    for wanted in (*nothing, *uncountable, *unnamed):
        with pytest.raises(UsageError):
            await client.find(**wanted)  # type: ignore[arg-type]
    async with Client(KeyPair.generate(), card_file=card_file) as alone:
        with pytest.raises(UsageError, match="no registry"):
            await alone.find(domain="law")
    assert [house.between.methods for house in houses] == [[], []]
