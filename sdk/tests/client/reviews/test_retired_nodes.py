"""Nodes that have gone over to another root key, where one registry knows that and another does not yet."""

from datetime import datetime

import pytest

from consilience._wire import registries as wire
from consilience.client import Client
from consilience.client.reviews import Fault, FaultKind
from consilience.envelopes import Signed
from consilience.errors import KeyRetiredError, WrongKeyError
from consilience.identity import next_root_digest
from consilience.nodes import NodeCard, Skill
from consilience.reviews import OpenRecord
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import House
from sdk.tests.reviews.specimens import HOUR, TestNode, key, review_of

NOW = utc_now()
NODE = TestNode.named("node")
NEW = TestNode(root=NODE.next_root, signing=NODE.signing, next_root=key("third"))
REVIEWER = key("reviewer")


def card(node: TestNode, *, at: datetime) -> Signed[NodeCard]:
    return node.card(issued=at, skills=(Skill(id="law.answer", domains=("law",)),))


FIRST_CARD = card(NODE, at=NOW - 4 * HOUR)
OLD_CARD, NEW_CARD = OpenRecord(object=FIRST_CARD), OpenRecord(object=card(NEW, at=NOW - HOUR))
LATER_CARD = OpenRecord(object=card(NODE, at=NOW - 2 * HOUR))
SUCCESSION = NODE.succession(at=NOW - 3 * HOUR, card=FIRST_CARD)


def kinds(faults: tuple[Fault, ...]) -> list[tuple[str, FaultKind]]:
    return [(fault.registry, fault.kind) for fault in faults]


@pytest.mark.parametrize("served", [OLD_CARD, LATER_CARD], ids=["before", "after"])
async def test_a_node_that_one_registry_knows_to_be_retired_is_not_found(
    client: Client, houses: tuple[House, ...], served: OpenRecord
) -> None:
    knowing, behind = houses
    await knowing.bring(OLD_CARD, SUCCESSION, NEW_CARD)
    await behind.bring(served, NEW_CARD)
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [NEW_CARD.digest]
    assert kinds(found.faults) == [(behind.address, FaultKind.BEHIND)]
    assert found.faults[0].digest == served.digest
    assert "another root key" in str(found.faults[0])
    assert (await client.locate(NODE.root.public_key, registries=[knowing.address])).digest == NEW_CARD.digest


async def test_a_node_whose_hand_over_was_followed_is_found_no_more(client: Client, houses: tuple[House, ...]) -> None:
    knowing, behind = houses
    await knowing.bring(OLD_CARD, SUCCESSION, NEW_CARD)
    await behind.bring(LATER_CARD)
    await client.locate(NODE.root.public_key, registries=[knowing.address])
    found = await client.find(domain="law", registries=[behind.address])
    assert found.nodes == ()
    assert kinds(found.faults) == [(behind.address, FaultKind.BEHIND)]


async def test_a_node_that_has_handed_over_is_told_that_it_answers_no_review_of_before(
    client: Client, houses: tuple[House, ...]
) -> None:
    before = NOW - 50 * HOUR
    ticket = NODE.ticket(reviewer=REVIEWER, salt=b"salt 0".ljust(32, b"."), at=before)
    review = review_of(NODE, reviewer=REVIEWER, ticket=ticket, at=before, card=NODE.card(issued=before))
    for house in houses:
        await house.bring(OLD_CARD, SUCCESSION, review)
    with pytest.raises(KeyRetiredError) as refused:
        await client.reviews.rebut(review.record, comment="It was right.", signer=NODE.root)
    assert "answered by nobody any more" in refused.value.remedy
    with pytest.raises(WrongKeyError):
        await client.reviews.rebut(review.record, comment="It was right.", signer=NEW.root)


async def test_a_review_by_a_ticket_of_a_retired_key_does_not_count(client: Client, houses: tuple[House, ...]) -> None:
    knowing, behind = houses
    first = card(NODE, at=NOW - 50 * HOUR)
    await knowing.bring(NODE.succession(at=NOW - 49 * HOUR, card=first))
    ticket = NODE.ticket(reviewer=REVIEWER, salt=b"salt 0".ljust(32, b"."), at=NOW)
    review = review_of(NODE, reviewer=REVIEWER, ticket=ticket, at=NOW, card=NODE.card(issued=NOW - HOUR))
    await behind.bring(review)
    said = await client.reviews.about(NODE.root.public_key)
    assert said.reviews == ()
    assert kinds(said.faults) == [(behind.address, FaultKind.BEHIND)]
    assert said.faults[0].digest == review.digest


@pytest.mark.parametrize(
    ("served", "kind"), [(OLD_CARD, FaultKind.SILENT), (LATER_CARD, FaultKind.REFUSING)], ids=["before", "after"]
)
async def test_who_shows_no_succession_does_not_hide_a_node(
    client: Client, houses: tuple[House, ...], served: OpenRecord, kind: FaultKind
) -> None:
    mute, honest = houses
    await mute.bring(OLD_CARD, SUCCESSION)
    mute.between.bends["ListRecords"] = lambda *_: wire.encode_records([], next_page_token=b"")
    await honest.bring(served)
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [served.digest]
    assert kinds(found.faults) == [(mute.address, kind)]


@pytest.mark.parametrize("hours", [5, 3.5], ids=["older", "newer"])
async def test_a_succession_does_not_hide_a_node_whose_card_commits_to_another_key(
    client: Client, houses: tuple[House, ...], hours: float
) -> None:
    robbed, honest = houses
    thief = key("thief")
    stolen = NODE.card(issued=NOW - hours * HOUR, next_root_digest=next_root_digest(thief.public_key))
    await robbed.bring(NODE.succession(to=thief, at=NOW - 3 * HOUR, card=stolen), OLD_CARD)
    await honest.bring(OLD_CARD)
    found = await client.find(domain="law")
    assert [node.card.digest for node in found.nodes] == [OLD_CARD.digest]
    assert kinds(found.faults) == [(robbed.address, FaultKind.SILENT)]


async def test_a_later_card_that_was_found_alone_does_not_stop_a_hand_over(
    client: Client, houses: tuple[House, ...]
) -> None:
    knowing, behind = houses
    await knowing.bring(OLD_CARD, SUCCESSION, NEW_CARD)
    await behind.bring(LATER_CARD)
    assert (await client.find(domain="law", registries=[behind.address])).nodes
    assert (await client.locate(NODE.root.public_key, registries=[knowing.address])).digest == NEW_CARD.digest
