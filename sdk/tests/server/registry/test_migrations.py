"""A database that an earlier version made is brought to the present one when it is opened, and keeps all it holds."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, inspect, select, text

from consilience import nodes
from consilience.reviews import NodeQuery, RecordType
from consilience.server.registry import Arc
from consilience.server.registry.migrations import SCHEMA_VERSION
from consilience.server.registry.schema import NUMBERS, RECORDS, REGISTRY, TERMS
from consilience.server.registry.store import SqlRecordStore
from consilience.server.store.contract import SchemaTooNewError
from sdk.tests.reviews.specimens import NOW, TestNode, card_record, key, placed, review_of
from sdk.tests.server.registry.conftest import MakeDatabase

NODE, RETIRED = TestNode.named("node"), TestNode.named("retired")
MODELS = (nodes.Model(id="large", parameter_count=7_000_000_000),)
LARGE = nodes.Skill(id="law", domains=("units",), model_ids=("large",))
FIRST_SCHEMA = (
    "ALTER TABLE followed DROP COLUMN whole_time",
    "DROP INDEX records_of_author",
    "DROP INDEX records_about",
    "CREATE INDEX records_of_author ON records (author, serial)",
    "CREATE INDEX records_about ON records (subject, serial)",
    "DROP INDEX records_on_ring",
    "ALTER TABLE records DROP COLUMN place",
    "DROP TABLE terms",
    "DROP TABLE numbers",
    "CREATE TABLE offers (serial BIGINT NOT NULL REFERENCES records, number INTEGER NOT NULL, data_class INTEGER)",
    "CREATE TABLE terms (serial BIGINT NOT NULL REFERENCES records, number INTEGER NOT NULL, term BIGINT)",
    "CREATE TABLE numbers (serial BIGINT NOT NULL REFERENCES records, number INTEGER NOT NULL, value BIGINT)",
    "INSERT INTO offers SELECT serial, 1, 2 FROM records",
    "UPDATE registry SET schema_version = 1",
)


async def test_a_database_of_the_first_schema_is_searched_along_the_ring(make_database: MakeDatabase) -> None:
    store = SqlRecordStore(make_database())
    await store.open()
    card, review = card_record(NODE), review_of(NODE, reviewer=key("reviewer"))
    ended = card_record(TestNode.named("ended"), issued=NOW - timedelta(days=8))
    await store.admit([placed(ended, now=NOW - timedelta(days=8))], now=NOW - timedelta(days=8))
    await store.forget(now=NOW)
    records = [card, review, card_record(RETIRED), RETIRED.succession(card=RETIRED.card())]
    await store.admit([placed(record) for record in records], now=NOW)
    await store.note_cursor("https://a.example:7341", b"cursor")
    identity, feed = store.identity, await store.taken_in(after=0, limit=9, now=NOW)
    await store._database.write(_as_in_the_first_schema)
    await store.close()

    again = SqlRecordStore(make_database())
    await again.open()
    assert again.identity == identity
    assert await again.taken_in(after=0, limit=9, now=NOW) == feed
    found = await again.fitting(NodeQuery(domain="units"), arc=Arc(), limit=9, now=NOW)
    assert [record for _, record in found.cards] == [card.record]
    assert await again.cursor_of("https://a.example:7341") == b"cursor"
    assert await again.whole_round_of("https://a.example:7341") is None
    newer = card_record(NODE, issued=NOW, skills=[nodes.Skill(id="cook")])
    await again.admit([placed(newer)], now=NOW)
    assert (await again.fitting(NodeQuery(domain="units"), arc=Arc(), limit=9, now=NOW)).cards == ()
    assert await again._database.read(_version) == SCHEMA_VERSION
    assert await again._database.read(_indexed) == {
        "records_of_author": ["author", "type", "serial"],
        "records_about": ["subject", "type", "serial"],
    }
    await again.close()


async def test_a_card_that_has_lost_what_it_is_found_by_is_found_again(make_database: MakeDatabase) -> None:
    store = SqlRecordStore(make_database())
    await store.open()
    whole, broken = card_record(TestNode.named("whole"), models=MODELS, skills=[LARGE]), card_record(NODE)
    await store.admit([placed(whole), placed(broken)], now=NOW)
    rows = await store._database.read(_shelved)
    await store._database.write(_as_when_a_card_was_dropped_and_renewed_at_once)
    await store.close()

    again = SqlRecordStore(make_database())
    await again.open()
    assert await again._database.read(_shelved) == rows
    found = await again.fitting(NodeQuery(domain="units"), arc=Arc(), limit=9, now=NOW)
    assert {record.digest for _, record in found.cards} == {whole.digest, broken.digest}
    assert await again._database.read(_version) == SCHEMA_VERSION
    await again.close()


async def test_a_database_of_a_later_version_is_left_alone(make_database: MakeDatabase) -> None:
    store = SqlRecordStore(make_database())
    await store.open()
    await store._database.write(_as_in_a_later_schema)
    await store.close()
    with pytest.raises(SchemaTooNewError):
        await SqlRecordStore(make_database()).open()


def _as_in_the_first_schema(connection: Connection) -> None:
    cards = select(RECORDS.c.serial).where(RECORDS.c.type == int(RecordType.NODE_CARD))
    assert len(connection.execute(cards).all()) == 3
    for statement in FIRST_SCHEMA:
        connection.execute(text(statement))


def _shelved(connection: Connection) -> tuple[set[Any], set[Any]]:
    return set(connection.execute(select(TERMS)).all()), set(connection.execute(select(NUMBERS)).all())


def _as_when_a_card_was_dropped_and_renewed_at_once(connection: Connection) -> None:
    place = select(RECORDS.c.place).where(RECORDS.c.author == NODE.root.public_key).scalar_subquery()
    for table in (TERMS, NUMBERS):
        assert connection.execute(table.delete().where(table.c.place == place)).rowcount > 0
    connection.execute(text("ALTER TABLE followed DROP COLUMN whole_time"))
    connection.execute(REGISTRY.update().values(schema_version=3))


def _as_in_a_later_schema(connection: Connection) -> None:
    connection.execute(REGISTRY.update().values(schema_version=SCHEMA_VERSION + 1))


def _indexed(connection: Connection) -> dict[str | None, list[str | None]]:
    """Returns the columns of the indexes by which records are listed."""
    found = inspect(connection).get_indexes("records")
    names = ("records_of_author", "records_about")
    return {index["name"]: index["column_names"] for index in found if index["name"] in names}


def _version(connection: Connection) -> int:
    version: int = connection.execute(select(REGISTRY.c.schema_version)).scalar_one()
    return version
