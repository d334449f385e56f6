"""However much one publisher brings, it takes up what its quota allows, and each record costs what the first did."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from sqlalchemy import Engine, Table, event, func, select

from consilience import nodes
from consilience.reviews import NodeQuery, OpenRecord, PublishOutcome, RecordQuery
from consilience.server.registry import Arc
from consilience.server.registry.schema import NUMBERS, RECORDS, TERMS
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from sdk.tests.reviews.specimens import NOW, TestNode, card_record
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.registry.offices import Line, LocalRegistry

CARDS = 10_000
AT_ONCE = 500
TABLES = (RECORDS, TERMS, NUMBERS)
NODE = TestNode.named("busy")


def _card(number: int) -> OpenRecord:
    """Returns the card that a node issued so many milliseconds after its first, with words of its own."""
    return card_record(
        NODE,
        issued=NOW - timedelta(hours=1) + timedelta(milliseconds=number),
        skills=[nodes.Skill(id=f"skill-{number}", description=f"number {number}", tariff_ids=("flat",))],
        tariffs=(Tariff(id="flat", asset="USD/6", prices=(UnitPrice(unit=PricedUnit.REQUEST, price=number + 1),)),),
        rails=(Rail(id="hold.v1", network="test", assets=("USD/6",), backings=(Backing.PREPAID,)),),
        profiles=(nodes.Profile.CORE, nodes.Profile.PAY),
    )


@contextmanager
def _statements() -> Iterator[list[str]]:
    """Collects what is executed meanwhile, on whatever database."""
    executed: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        executed.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(Engine, "before_cursor_execute", note)


async def _rows(registry: LocalRegistry) -> dict[str, int]:
    def count(table: Table) -> int:
        engine = registry.store._database._engine  # type: ignore[attr-defined]  # what lies on the disk
        with engine.connect() as connection:
            number: int = connection.execute(select(func.count()).select_from(table)).scalar_one()
        return number

    return {table.name: count(table) for table in TABLES}


async def test_ten_thousand_cards_of_one_node_take_up_what_one_does(tmp_path: Path) -> None:
    clock = ManualClock()
    clock.now = NOW
    registry, follower = LocalRegistry(tmp_path, "one", clock=clock), LocalRegistry(tmp_path, "two", clock=clock)
    await registry.open()
    await follower.open()
    await registry.bring(_card(0))
    with _statements() as early:
        await registry.bring(_card(1))
    rows = await _rows(registry)
    for first in range(2, CARDS, AT_ONCE):
        outcomes = await registry.bring(*map(_card, range(first, min(first + AT_ONCE, CARDS - 1))))
        assert set(outcomes) == {PublishOutcome.STORED}
    with _statements() as late:
        assert await registry.bring(_card(CARDS - 1)) == [PublishOutcome.STORED]
    assert late == early
    assert await _rows(registry) == rows

    last = _card(CARDS - 1)
    assert await registry.held() == {last.digest}
    about = await registry.store.about(
        RecordQuery(author=NODE.root.public_key), before=None, limit=CARDS, now=clock.now
    )
    assert [entry.record for entry in about] == [last.record]
    found = await registry.store.fitting(NodeQuery(text="number"), arc=Arc(), limit=CARDS, now=clock.now)
    assert [record for _, record in found.cards] == [last.record]
    line = Line(registry)
    assert await follower.follow(line) == 1
    assert line.fetched == [last.digest]
    await registry.store.close()
    await follower.store.close()
