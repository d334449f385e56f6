"""What a store finds by its indexes is what `reviews.fits` says, whatever the cards and whatever is asked."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from consilience import nodes
from consilience.reviews import NodeQuery, PriceCeiling, card_fits
from consilience.server.registry import Arc, Found, finding, ring
from consilience.server.registry.databases import PostgresDatabase, SqliteDatabase
from consilience.server.registry.finding import STEPS, _search, _Shape, _values, _way
from consilience.server.registry.offers import wanted_by
from consilience.server.registry.ring import END, place_on_ring
from consilience.server.registry.schema import NUMBERS, RECORDS, TERMS
from consilience.server.registry.store import SqlRecordStore
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from consilience.units import Digest
from sdk.tests.reviews.specimens import DAY, NOW, TestNode, card_record, placed
from sdk.tests.server.registry.conftest import MakeDatabase

RING = Arc()
PAY = (nodes.Profile.CORE, nodes.Profile.PAY)
HOLD = Rail(id="hold.v1", network="test", assets=("USD/6",), backings=(Backing.PREPAID,))
CARDS: list[dict[str, Any]] = [
    {"skills": [nodes.Skill(id="units.convert", domains=("units",), languages=("en", "de-CH"))]},
    {"skills": [nodes.Skill(id="cook", description="Straßenküche, 12 ways", domains=("food.fast", "units.odd"))]},
    {
        "name": "Lawyer of units",
        "skills": [
            nodes.Skill(id="law", domains=("law.de.rent",), languages=("de",), tariff_ids=("dear", "cheap")),
            nodes.Skill(id="free", model_ids=("large",), input_media_types=("image/png",)),
        ],
        "models": (nodes.Model(id="large", parameter_count=7_000_000_000),),
        "tariffs": (
            Tariff(id="dear", asset="USD/6", prices=(UnitPrice(unit=PricedUnit.REQUEST, price=900),)),
            Tariff(id="cheap", asset="USD/6", prices=(UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1, per=2),)),
        ),
        "rails": (HOLD,),
        "profiles": PAY,
        "data_policy": nodes.DataPolicy(max_data_class=nodes.DataClass.RESTRICTED),
    },
    {
        "description": "Small models, cheap words.",
        "skills": [
            nodes.Skill(id="chat", model_ids=("tiny", "large"), tariff_ids=("token",)),
            nodes.Skill(id="secret", model_ids=("tiny",), max_data_class=nodes.DataClass.PUBLIC),
        ],
        "models": (
            nodes.Model(id="tiny", parameter_count=135_000_000),
            nodes.Model(id="large", parameter_count=1_000_000_000),
            nodes.Model(id="unused", parameter_count=1),
        ),
        "tariffs": (
            Tariff(
                id="token",
                asset="BTC/11",
                prices=(UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=2),),
                tokenizer="SmolLM2",
            ),
        ),
        "rails": (replace(HOLD, assets=("BTC/11",)),),
        "profiles": PAY,
        "data_policy": nodes.DataPolicy(max_data_class=nodes.DataClass.CONFIDENTIAL),
    },
    {"skills": [], "profiles": (nodes.Profile.CORE, nodes.Profile.REGISTRY), "name": "units of a registry"},
]
ASKED: list[dict[str, Any]] = [
    {},
    {"skill_id": "cook"},
    {"domain": "units"},
    {"domain": "law"},
    {"domain": "law.de"},
    {"domain": "la"},
    {"language": "de"},
    {"language": "DE-ch"},
    {"language": "fr"},
    {"input_media_type": "image/png"},
    {"input_media_type": "text/plain"},
    {"data_class": nodes.DataClass.PUBLIC},
    {"data_class": nodes.DataClass.CONFIDENTIAL},
    {"data_class": nodes.DataClass.RESTRICTED},
    {"price": PriceCeiling(asset="USD/6", max_cost=500)},
    {"price": PriceCeiling(asset="USD/6", max_cost=499)},
    {"price": PriceCeiling(asset="BTC/11", max_cost=500), "skill_id": "chat"},
    {"price": PriceCeiling(asset="BTC/11", max_cost=499), "skill_id": "chat"},
    {"rail_id": "hold.v1"},
    {"rail_id": "hold.v1", "language": "de"},
    {"profiles": (nodes.Profile.PAY,)},
    {"profiles": (nodes.Profile.PAY, nodes.Profile.DURABLE)},
    {"min_parameter_count": 1},
    {"min_parameter_count": 10**9},
    {"max_parameter_count": 10**9},
    {"min_parameter_count": 136_000_000, "max_parameter_count": 999_999_999},
    {"min_parameter_count": 9, "max_parameter_count": 8},
    {"min_parameter_count": 1000, "max_parameter_count": 10},
    {"min_parameter_count": 2**63 - 1, "max_parameter_count": 1, "text": "cheap"},
    {"text": "UNITS"},
    {"text": "units law"},
    {"text": "strassenküche 12"},
    {"text": "word cheap"},
    {"text": "words cheap", "max_parameter_count": 135_000_000, "data_class": nodes.DataClass.INTERNAL},
    {"text": "... --"},
    {"skill_id": "free", "domain": "law"},
]


def _records() -> list[Any]:
    return [card_record(TestNode.named(f"node {number}"), **card) for number, card in enumerate(CARDS)]


@pytest.fixture
async def filled(store: SqlRecordStore) -> SqlRecordStore:
    await store.admit([placed(record) for record in _records()], now=NOW)
    return store


async def _found(store: SqlRecordStore, query: NodeQuery, *, arc: Arc = RING, limit: int = 99) -> list[Digest]:
    found = await store.fitting(query, arc=arc, limit=limit, now=NOW)
    return [record.digest for _, record in found.cards]


async def test_what_is_found_is_what_fits(filled: SqlRecordStore) -> None:
    cards = [record.object for record in _records()]
    for asked in ASKED:
        query = NodeQuery(**asked)
        fitting = {card.digest for card in cards if card_fits(card.value, query)}
        found = await _found(filled, query)
        assert set(found) == fitting, asked
        assert len(found) == len(fitting), asked


def test_the_questions_tell_the_cards_apart() -> None:
    """So that the test above cannot pass by finding all, or nothing."""
    fitting = {frozenset(number for number, card in enumerate(CARDS) if _card_fits(number, asked)) for asked in ASKED}
    assert len(fitting) >= 8


def _card_fits(number: int, asked: dict[str, Any]) -> bool:
    return card_fits(_records()[number].object.value, NodeQuery(**asked))


async def test_cards_come_by_node_id_and_pages_go_once_round_the_ring(filled: SqlRecordStore) -> None:
    places = sorted(place_on_ring(record.object.value.node_id) for record in _records() if record.object.value.skills)
    whole = await _found(filled, NodeQuery())
    first = await _found(filled, NodeQuery(), limit=3)
    assert first == whole[:3]
    assert await _found(filled, NodeQuery(), arc=Arc(after=places[2])) == whole[3:]
    assert await _found(filled, NodeQuery(), arc=Arc(until=places[2])) == whole[:3]


async def test_a_newer_card_is_found_by_what_it_says_alone(filled: SqlRecordStore) -> None:
    node = TestNode.named("node 0")
    newer = card_record(node, issued=NOW, skills=[nodes.Skill(id="paint")])
    await filled.admit([placed(newer)], now=NOW)
    assert await _found(filled, NodeQuery(skill_id="units.convert")) == []
    assert await _found(filled, NodeQuery(skill_id="paint")) == [newer.digest]


async def test_a_node_that_went_over_to_another_key_is_found_no_longer(filled: SqlRecordStore) -> None:
    node = TestNode.named("node 0")
    await filled.admit([placed(node.succession(card=_records()[0].object))], now=NOW)
    assert await _found(filled, NodeQuery(skill_id="units.convert")) == []
    await filled.admit([placed(card_record(node, issued=NOW))], now=NOW)
    assert await _found(filled, NodeQuery(skill_id="units.convert")) == []


async def test_a_card_that_has_ended_is_not_found(filled: SqlRecordStore) -> None:
    later = NOW + 8 * DAY
    assert await filled.fitting(NodeQuery(), arc=RING, limit=9, now=later) == Found(cards=(), until=END)
    await filled.forget(now=later)
    assert await _found(filled, NodeQuery()) == []


def _engine(store: SqlRecordStore) -> Engine:
    database = store._database
    assert isinstance(database, (SqliteDatabase, PostgresDatabase))
    assert database._engine is not None
    return database._engine


def _statements(engine: Engine) -> list[str]:
    said: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *arguments: said.append(arguments[2]))
    return said


async def test_thousands_of_cards_by_one_publisher_take_the_room_and_the_work_of_one(store: SqlRecordStore) -> None:
    node = TestNode.named("restless")
    engine, counts = _engine(store), []
    said = _statements(engine)
    for number in range(300):
        said.clear()
        await store.admit([placed(card_record(node, issued=NOW - DAY + number * (DAY / 1000)))], now=NOW)
        counts.append(len(said))
    assert len(set(counts[2:])) == 1
    assert await _rows(store) == {"records": 1, "terms": 9, "numbers": 1}


async def _rows(store: SqlRecordStore) -> dict[str, int]:
    tables = {"records": RECORDS, "terms": TERMS, "numbers": NUMBERS}

    def count(connection: Any) -> dict[str, int]:
        return {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in tables.items()
        }

    return await store._database.read(count)


async def test_what_is_wanted_is_had_by_one_and_the_same_skill(store: SqlRecordStore) -> None:
    """Three things of which any two are had by one skill, and all of them by none."""
    pairs = [("one two", "a"), ("two three", "b"), ("three one", "c")]
    apart = [nodes.Skill(id=name, description=words) for words, name in pairs]
    await store.admit([placed(card_record(TestNode.named("apart"), skills=apart))], now=NOW)
    together = card_record(TestNode.named("one"), skills=[*apart, nodes.Skill(id="d", description="one two three")])
    assert await _found(store, NodeQuery(text="one two three")) == []
    await store.admit([placed(together)], now=NOW)
    assert await _found(store, NodeQuery(text="one two three")) == [together.digest]


async def test_all_of_256_skills_are_found_each_for_itself(store: SqlRecordStore) -> None:
    skills = [nodes.Skill(id=f"skill-{number}", domains=(f"d{number}",)) for number in range(256)]
    card = card_record(TestNode.named("many"), skills=skills, description="of all")
    await store.admit([placed(card)], now=NOW)
    for number in (0, 62, 63, 64, 255):
        for text in ("", "of", "of all"):
            assert await _found(store, NodeQuery(skill_id=f"skill-{number}", text=text)) == [card.digest]
            assert await _found(store, NodeQuery(skill_id=f"skill-{number}", domain="d64", text=text)) == (
                [card.digest] if number == 64 else []
            )


async def test_as_many_words_as_fit_into_a_question_are_looked_for(filled: SqlRecordStore) -> None:
    """Databases join no more than so many tables, and nest no deeper than so far."""
    words = [f"w{number}" for number in range(60)]
    card = card_record(TestNode.named("wordy"), description=" ".join(words), skills=[nodes.Skill(id="w0")])
    await filled.admit([placed(card)], now=NOW)
    assert await _found(filled, NodeQuery(text=" ".join(words))) == [card.digest]
    assert await _found(filled, NodeQuery(text=" ".join((*words, "cook")))) == []


async def test_two_nodes_whose_ids_begin_alike_are_both_found(
    store: SqlRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such ids take 2^63 tries, so they are made alike here."""
    monkeypatch.setattr(ring, "place_on_ring", lambda _: 7)
    cards = [card_record(TestNode.named(f"node {number}")) for number in range(3)]
    await store.admit([placed(card) for card in cards], now=NOW)
    renewed = [card_record(TestNode.named(f"node {number}"), issued=NOW, name="renewed") for number in range(3)]
    await store.admit([placed(card) for card in renewed[:2]], now=NOW)
    assert set(await _found(store, NodeQuery(domain="units"))) == {card.digest for card in (*renewed[:2], cards[2])}
    assert set(await _found(store, NodeQuery(text="renewed"))) == {card.digest for card in renewed[:2]}


async def test_a_look_goes_no_farther_than_its_steps_and_all_looks_together_round_the_ring(
    store: SqlRecordStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding, "STEPS", 8)
    cards = list(_many(60))
    await store.admit([placed(card) for card in cards], now=NOW)
    many: list[dict[str, Any]] = [
        {"text": "common"},
        {"text": "common words", "skill_id": "chat"},
        {"text": "none"},
        {},
    ]
    for asked in many:
        query, arc, found = NodeQuery(**asked), RING, list[Digest]()
        while arc.after < arc.until:
            look = await store.fitting(query, arc=arc, limit=5, now=NOW)
            assert len(look.cards) <= 5
            assert look.until > arc.after
            found += [record.digest for _, record in look.cards]
            arc = replace(arc, after=look.until)
        fitting = {card.digest for card in cards if card_fits(card.object.value, query)}
        assert len(found) == len(fitting)
        assert set(found) == fitting, asked


async def test_what_many_have_is_looked_up_for_what_few_have(make_database: MakeDatabase) -> None:
    store = SqlRecordStore(make_database())
    await store.open()
    await store.admit([placed(record) for record in _many(600)], now=NOW)
    way, plan = await store._database.write(_plan)
    await store.close()
    rare, common = wanted_by(NodeQuery(text="rare77 common"))
    assert (way.along, way.others, way.until) == (rare, (common,), END)
    assert "Seq Scan" not in plan
    assert "SCAN terms" not in plan
    assert "SCAN records" not in plan


def _many(count: int) -> Iterable[Any]:
    for number in range(count):
        skill = nodes.Skill(id="chat", description=f"common words rare{number}")
        yield card_record(TestNode.named(f"many {number}"), skills=[skill])


def _plan(connection: Any) -> tuple[Any, str]:
    """Returns how a search for two words, one of which every card has, is gone about, and the plan of the database."""
    way = _way(connection, wanted_by(NodeQuery(text="common rare77")), arc=RING)
    assert way.along is not None
    wanted = (way.along, *way.others)
    compiled = _search(connection.dialect, tuple(map(_Shape.of, wanted)), limit=100, steps=STEPS)
    values: dict[str, Any] = compiled.params | _values(wanted) | {"after": 0, "until": END, "now": 0}
    explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
    order = getattr(compiled, "positiontup", None)
    parameters = values if order is None else tuple(values[name] for name in order)
    rows = connection.exec_driver_sql(f"{explain} {compiled}", parameters)
    return way, "\n".join(str(row) for row in rows)
