"""What is listed of a subject or an author is found along an index, however much there is of another type."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from consilience.reviews import RecordQuery, RecordType
from consilience.server.registry import reading
from consilience.server.registry.databases import SqliteDatabase
from consilience.server.registry.store import SqlRecordStore
from consilience.units import Digest
from sdk.tests.reviews.specimens import (
    NOW,
    TestNode,
    advisory_about,
    card_record,
    key,
    placed,
    retraction_of,
    review_of,
)

NODE, REVIEWER = TestNode.named("node"), key("reviewer")
SUBJECT, AUTHOR = NODE.root.public_key, REVIEWER.public_key
MANY = 400
"""To look through so many takes more than a thousand instructions of SQLite."""


class _Steps:
    """Counts thousands of instructions."""

    count = 0

    def __call__(self) -> int:
        self.count += 1
        return 0


def _steps_of(connection: Connection, query: RecordQuery) -> tuple[int, tuple[Any, ...]]:
    steps, raw = _Steps(), connection.connection.driver_connection
    assert raw is not None
    raw.set_progress_handler(steps, 1000)
    found = reading.about(connection, query, before=None, limit=32, now=NOW)
    raw.set_progress_handler(None, 0)
    return steps.count, found


@pytest.mark.parametrize(
    "query",
    [
        RecordQuery(subject=SUBJECT, types=(RecordType.REBUTTAL,)),
        RecordQuery(subject=SUBJECT, types=(RecordType.REBUTTAL, RecordType.KEY_SUCCESSION)),
        RecordQuery(subject=SUBJECT, author=key("nobody").public_key),
        RecordQuery(subject=SUBJECT, author=key("nobody").public_key, types=(RecordType.ADVISORY,)),
    ],
)
async def test_nothing_is_looked_through_that_does_not_fit(tmp_path: Path, query: RecordQuery) -> None:
    store = SqlRecordStore(SqliteDatabase(tmp_path / "records.db"))
    await store.open()
    said = [advisory_about(SUBJECT, author=key(f"author {number}")) for number in range(MANY)]
    await store.admit([placed(record) for record in said], now=NOW)
    steps, found = await store._database.write(lambda connection: _steps_of(connection, query))
    await store.close()
    assert (steps, found) == (0, ())


async def test_records_of_several_types_are_listed_in_the_order_of_arrival(store: SqlRecordStore) -> None:
    said = [
        card_record(NODE),
        *(review_of(NODE, reviewer=REVIEWER, number=number) for number in range(3)),
        advisory_about(SUBJECT, author=REVIEWER),
        review_of(NODE, reviewer=key("another")),
    ]
    said.insert(2, retraction_of(said[1], author=REVIEWER))
    await store.admit([placed(record) for record in said], now=NOW)
    there = [record.digest for record in reversed(said) if record is not said[1]]
    for limit in (1, 2, 5):
        pages: list[Digest] = []
        before = None
        while page := await store.about(RecordQuery(subject=SUBJECT), before=before, limit=limit, now=NOW):
            pages += [entry.record.digest for entry in page]
            before = page[-1].serial
        assert pages == there
    types = (RecordType.RETRACTION, RecordType.ADVISORY)
    some = await store.about(RecordQuery(subject=SUBJECT, author=AUTHOR, types=types), before=None, limit=9, now=NOW)
    assert [entry.record.digest for entry in some] == [said[5].digest, said[2].digest]
