"""In which order nodes are found: only what can be compared is, and no price that is unknown counts as none."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience import envelopes
from consilience.client import Client
from consilience.client.reviews import FoundNodes
from consilience.client.reviews.finding import ranked
from consilience.identity import KeyPair
from consilience.nodes import Profile, Skill
from consilience.reviews import OpenRecord, Record
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import utc_now
from consilience.v1 import node_pb2
from sdk.tests.client.reviews.registries import House, registries
from sdk.tests.reviews.specimens import HOUR, TestNode, card_record

LATER_UNIT = 77


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with registries(tmp_path, clocks=(utc_now,)) as (serving,):
        yield serving


@pytest.fixture
async def client(house: House, card_file: Path) -> AsyncIterator[Client]:
    async with Client(KeyPair.generate(), card_file=card_file, registries=[house.address]) as client:
        yield client


def free(name: str) -> OpenRecord:
    return card_record(
        TestNode.named(name), issued=utc_now() - HOUR, name=name, skills=(Skill(id="law", domains=("law",)),)
    )


def priced(name: str, price: int, asset: str) -> OpenRecord:
    return card_record(
        TestNode.named(name),
        issued=utc_now() - HOUR,
        name=name,
        skills=(Skill(id="law", domains=("law",), tariff_ids=("t",)),),
        tariffs=(Tariff(id="t", asset=asset, prices=(UnitPrice(unit=PricedUnit.REQUEST, price=price),)),),
        rails=(Rail(id="hold.v1", network="test", assets=(asset,), backings=(Backing.CREDIT,), max_credit=9),),
        profiles=(Profile.CORE, Profile.PAY),
    )


def in_a_later_unit(card: OpenRecord, *, name: str) -> Record:
    """Returns a card whose prices count what this version does not know."""
    message = node_pb2.NodeCard.FromString(card.object.envelope.payload)
    message.tariffs[0].prices[0].unit = LATER_UNIT  # type: ignore[assignment]  # the stub wants the name of the number
    signer = TestNode.named(name).root
    return Record(
        object=envelopes.seal(message.SerializeToString(), payload_type="consilience.v1.NodeCard", signer=signer)
    )


def names(found: FoundNodes) -> list[str]:
    return [node.card.value.name for node in found.nodes]


async def test_a_price_that_nobody_can_tell_comes_last(client: Client, house: House) -> None:
    await house.bring(free("free"), priced("cheap", 1, "TEST/0"), priced("dear", 10**9, "TEST/0"))
    await house.caller.publish(in_a_later_unit(priced("unknown", 1, "TEST/0"), name="unknown"))
    for _ in range(4):
        found = await client.find(domain="law")
        assert names(found) == ["free", "cheap", "dear", "unknown"]
    assert [str(node.price) for node in found.nodes] == ["None", "1 TEST", "1000000000 TEST", "None"]
    assert [node.is_free for node in found.nodes] == [True, False, False, False]


async def test_prices_in_different_assets_order_nothing(client: Client, house: House) -> None:
    await house.bring(free("free"), priced("1000 EUR", 1000, "EUR/0"), priced("0.001001 EUR", 1001, "EUR/6"))
    await house.caller.publish(in_a_later_unit(priced("unknown", 1, "EUR/0"), name="unknown"))
    found = await client.find(domain="law")
    orders = [ranked(found.nodes, chance=bytes([number])) for number in range(64)]
    assert {order[0].card.value.name for order in orders} == {"free"}
    assert {order[-1].card.value.name for order in orders} == {"unknown"}
    dear_first = sum(order[1].card.value.name == "1000 EUR" for order in orders)
    assert 16 < dear_first < 48
    assert orders == [ranked(found.nodes[::-1], chance=bytes([number])) for number in range(64)]


async def test_within_the_asset_that_is_asked_for_the_cheaper_comes_first(client: Client, house: House) -> None:
    await house.bring(priced("dear", 9, "EUR/0"), priced("cheap", 8, "EUR/0"), priced("other", 1, "EUR/6"))
    for _ in range(4):
        assert names(await client.find(domain="law", max_price="10 EUR/0")) == ["cheap", "dear"]
