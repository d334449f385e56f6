"""A node of which the id alone is known is reached through registries, over the root keys that it committed to."""

from dataclasses import replace
from pathlib import Path

import pytest

from consilience._wire import registries as wire
from consilience.client import Client
from consilience.client.card_memory import CardMemory
from consilience.errors import ProtocolError, RecordUnknownError, UsageError
from consilience.identity import KeyPair, format_node_id, next_root_digest
from consilience.reviews import OpenRecord
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import House
from sdk.tests.reviews.specimens import HOUR, TestNode, key

NOW = utc_now()
OLD = TestNode.named("node")
NEW = TestNode(root=OLD.next_root, signing=OLD.signing, next_root=key("third"))
THIRD = TestNode(root=NEW.next_root, signing=OLD.signing, next_root=key("fourth"))
OLD_CARD = OLD.card(issued=NOW - 4 * HOUR)
NEW_CARD = NEW.card(issued=NOW - 2 * HOUR)
FIRST = OLD.succession(at=NOW - 3 * HOUR, card=OLD_CARD)


async def test_the_newest_card_of_an_id_is_found(client: Client, houses: tuple[House, ...]) -> None:
    newer = OLD.card(issued=NOW - HOUR)
    await houses[0].bring(OpenRecord(object=OLD_CARD))
    await houses[1].bring(OpenRecord(object=newer))
    assert (await client.locate(format_node_id(OLD.root.public_key))).digest == newer.digest
    with pytest.raises(RecordUnknownError):
        await client.locate(NEW.root.public_key)


async def test_a_card_that_was_seen_is_used_where_registries_are_behind(
    client: Client, houses: tuple[House, ...], card_file: Path
) -> None:
    """The node moved while its registries were away, and was reached at its new address since."""
    moved = OLD.card(issued=NOW - HOUR)
    await houses[0].bring(OpenRecord(object=OLD_CARD))
    CardMemory(card_file).keep(moved)
    assert (await client.locate(OLD.root.public_key)).digest == moved.digest


async def test_an_old_id_leads_to_the_present_root_key_over_each_step(
    client: Client, houses: tuple[House, ...]
) -> None:
    second = NEW.succession(at=NOW - HOUR, card=NEW_CARD)
    card = THIRD.card(issued=NOW - HOUR / 2)
    await houses[0].bring(OpenRecord(object=OLD_CARD), FIRST)
    await houses[1].bring(OpenRecord(object=NEW_CARD), second, OpenRecord(object=card))
    for known in (OLD, NEW, THIRD):
        assert (await client.locate(known.root.public_key)).digest == card.digest


async def test_a_hand_over_is_remembered_though_registries_fall_silent_about_it(
    houses: tuple[House, ...], card_file: Path
) -> None:
    honest, silent = houses
    await honest.bring(OpenRecord(object=OLD_CARD), FIRST, OpenRecord(object=NEW_CARD))
    await silent.bring(OpenRecord(object=OLD_CARD), OpenRecord(object=NEW_CARD))
    async with Client(KeyPair.generate(), card_file=card_file, registries=[honest.address]) as first:
        assert (await first.locate(OLD.root.public_key)).digest == NEW_CARD.digest
    async with Client(KeyPair.generate(), card_file=card_file, registries=[silent.address]) as later:
        assert (await later.locate(OLD.root.public_key)).digest == NEW_CARD.digest


@pytest.mark.parametrize(("age", "broken"), [(5, "NODE-KEY-003"), (1, "NODE-KEY-005")])
async def test_a_key_that_no_card_seen_commits_to_is_not_followed(
    houses: tuple[House, ...], card_file: Path, age: int, broken: str
) -> None:
    """A thief of the root key signs a card, older or newer, that commits to a key of his, and hands over to that."""
    thief = key("thief")
    stolen = OLD.card(issued=NOW - age * HOUR, next_root_digest=next_root_digest(thief.public_key))
    theft = OLD.succession(to=thief, at=NOW - age * HOUR, card=stolen)
    await houses[0].bring(OpenRecord(object=OLD_CARD))
    await houses[1].bring(theft)
    async with Client(KeyPair.generate(), card_file=card_file, registries=[houses[0].address]) as seeing:
        await seeing.locate(OLD.root.public_key)
        with pytest.raises(ProtocolError) as caught:
            await seeing.locate(OLD.root.public_key, registries=[houses[1].address])
        assert caught.value.requirement == broken
        assert (await seeing.locate(OLD.root.public_key)).digest == OLD_CARD.digest


@pytest.mark.parametrize("order", [1, -1], ids=["theft first", "theft last"])
@pytest.mark.parametrize("seen", [True, False])
async def test_a_succession_that_does_not_hold_hides_none_that_does(
    houses: tuple[House, ...], card_file: Path, order: int, *, seen: bool
) -> None:
    thief = key("thief")
    stolen = OLD.card(issued=NOW - 5 * HOUR, next_root_digest=next_root_digest(thief.public_key))
    await houses[0].bring(OLD.succession(to=thief, at=NOW - 3 * HOUR, card=stolen))
    await houses[1].bring(OpenRecord(object=OLD_CARD), FIRST, OpenRecord(object=NEW_CARD))
    if seen:
        CardMemory(card_file).keep(OLD_CARD)
    addresses = [house.address for house in houses][::order]
    async with Client(KeyPair.generate(), card_file=card_file, registries=addresses) as client:
        assert (await client.locate(OLD.root.public_key)).digest == NEW_CARD.digest


async def test_a_succession_that_rests_on_no_card_is_not_believed(client: Client, houses: tuple[House, ...]) -> None:
    await houses[0].bring(OpenRecord(object=OLD_CARD), FIRST)

    def bare(_: bytes, __: bytes) -> bytes:
        return wire.encode_records([replace(FIRST.record, card=NEW_CARD.envelope)], next_page_token=b"")

    for house in houses:
        house.between.bends["ListRecords"] = bare
    with pytest.raises(RecordUnknownError):
        await client.locate(OLD.root.public_key)


async def test_who_names_no_registry_is_told(card_file: Path) -> None:
    async with Client(KeyPair.generate(), card_file=card_file) as client:
        with pytest.raises(UsageError, match="registry"):
            await client.locate(OLD.root.public_key)
