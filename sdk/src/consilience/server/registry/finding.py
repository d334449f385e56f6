"""Finding: which cards fit, in the order of the ring, at a cost that does not grow with what is kept.

Everything wanted is a list of nodes in the order of the ring. The one that comes by most rarely is gone along, and for
each node on it the others are looked up. Which one that is, and how far a bounded number of steps leads, is told by the
lists themselves: from any place on, by where the node stands that is so many steps away. No statistics are kept, and
none that the database keeps decide how a question is gone about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    CursorResult,
    Dialect,
    FromClause,
    Integer,
    Row,
    ScalarSelect,
    Subquery,
    bindparam,
    exists,
    literal_column,
    select,
)
from sqlalchemy.engine import Compiled

from consilience._wire import convert
from consilience._wire import records as wire
from consilience.nodes import NodeCard
from consilience.reviews import NodeQuery, Record, card_fits
from consilience.server.registry.contract import Found
from consilience.server.registry.offers import Wanted, has_last, is_one, wanted_by
from consilience.server.registry.ring import Arc
from consilience.server.registry.schema import NUMBERS, RECORDS, TERMS
from consilience.server.store.schema import UtcTime

STEPS = 500
"""How far one look goes along a list."""

MOST_OF_A_CARD = 65
"""How often a card stands on the lists of one thing wanted: with each of 64 models or tariffs, and as a free one."""

MAX_LOOKED_UP = 16
"""Things wanted that the database looks up; whether a card has the others, the card tells."""

_STATEMENTS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How a question is gone about: along a list, as far as some place, looking up the others.

    Attributes:
        along: The rarest thing wanted; None: any card will do.
        others: The rest, the rarest first among those of one shape: so few statements do for all questions.
        until: How far.
    """

    along: Wanted | None
    others: tuple[Wanted, ...]
    until: int


@dataclass(frozen=True, slots=True, order=True)
class _Shape:
    """What a statement has to know of a thing wanted, beside its parameters."""

    bounded: bool
    terms: int

    @classmethod
    def of(cls, wanted: Wanted) -> _Shape:
        return cls(wanted.bounds is not None, len(wanted.terms))

    @property
    def table(self) -> FromClause:
        return NUMBERS if self.bounded else TERMS


def fitting(connection: Connection, query: NodeQuery, *, arc: Arc, limit: int, now: datetime) -> Found:
    """Returns the cards of nodes of which a skill fits; see `RecordStore.fitting`."""
    wanted = wanted_by(query)
    way = _way(connection, wanted[:MAX_LOOKED_UP], arc=arc)
    rows = _searched(connection, way, after=arc.after, limit=limit, now=now).all()
    cards: dict[int, Record] = {}
    for row in rows:
        record = wire.from_bytes(row.record)
        decided = len(wanted) <= MAX_LOOKED_UP and _is_decided(row, way)
        if decided or card_fits(convert.parse(record.object.payload, NodeCard), query):
            cards.setdefault(row.place, record)
    return Found(cards=tuple(cards.items()), until=way.until if len(rows) < limit else rows[-1].place)


def _way(connection: Connection, wanted: Sequence[Wanted], *, arc: Arc) -> _Way:
    """Looks how far the steps lead on each list; what leads farthest comes by most rarely."""
    if not wanted:
        return _Way(along=None, others=(), until=arc.until)
    compiled = _ends(connection.dialect, tuple(map(_Shape.of, wanted)), steps=STEPS)
    told = iter(_execute(connection, compiled, _values(wanted) | {"after": arc.after, "until": arc.until}).one())
    reached = [min(arc.until if (end := next(told)) is None else end for _ in one.terms) for one in wanted]
    rarest, *others = sorted(range(len(wanted)), key=lambda index: -reached[index])
    others.sort(key=lambda index: _Shape.of(wanted[index]))
    return _Way(along=wanted[rarest], others=tuple(wanted[index] for index in others), until=reached[rarest])


def _searched(connection: Connection, way: _Way, *, after: int, limit: int, now: datetime) -> CursorResult[Any]:
    """Returns records with their places and, where there is a list, with the skills that made them stand on it."""
    wanted = () if way.along is None else (way.along, *way.others)
    compiled = _search(connection.dialect, tuple(map(_Shape.of, wanted)), limit=limit, steps=STEPS)
    stored_now = UtcTime().process_bind_param(now, connection.dialect)
    return _execute(connection, compiled, _values(wanted) | {"after": after, "until": way.until, "now": stored_now})


def _is_decided(row: Row[Any], way: _Way) -> bool:
    """Tells whether the statement has decided that one and the same skill has all that is wanted.

    It looked whether each other thing is had by a skill that has the first. Of two things that is all, and of any
    number if that skill is the only one.
    """
    match way.others:
        case ():
            return True
        case (_,):
            return not has_last(row.skills)
        case _:
            return is_one(row.skills)


def _values(wanted: Sequence[Wanted]) -> dict[str, int]:
    """Returns the parameters of things wanted."""
    values: dict[str, int] = {}
    for number, one in enumerate(wanted):
        values |= {f"term_{number}_{which}": term for which, term in enumerate(one.terms)}
        if one.bounds is not None:
            values |= {f"least_{number}": one.bounds[0], f"most_{number}": one.bounds[1]}
    return values


def _execute(connection: Connection, compiled: Compiled, values: Mapping[str, Any]) -> CursorResult[Any]:
    """Executes what was compiled; to have SQLAlchemy find it among what it compiled takes longer than most searches."""
    named, order = compiled.params | dict(values), getattr(compiled, "positiontup", None)
    parameters = named if order is None else tuple(named[name] for name in order)
    return connection.exec_driver_sql(str(compiled), parameters)


@lru_cache(maxsize=_STATEMENTS)
def _ends(dialect: Dialect, shapes: tuple[_Shape, ...], *, steps: int) -> Compiled:
    """Returns what tells where the last of so many steps leads, on each of the lists of each thing wanted."""
    ends: list[ScalarSelect[Any]] = []
    for number, shape in enumerate(shapes):
        for which in range(shape.terms):
            table = shape.table.alias()
            on_list = (table.c.term == bindparam(f"term_{number}_{which}"), *_on_arc(table))
            places = select(table.c.place).where(*on_list).order_by(table.c.place)
            ends.append(places.offset(_number(steps - 1)).limit(_number(1)).scalar_subquery())
    return select(*ends).compile(dialect=dialect)


@lru_cache(maxsize=_STATEMENTS)
def _search(dialect: Dialect, shapes: tuple[_Shape, ...], *, limit: int, steps: int) -> Compiled:
    """Returns what goes along the list of the first thing wanted, and looks the others up."""
    found = select(RECORDS.c.place, RECORDS.c.record).where(RECORDS.c.end_time > bindparam("now"))
    if shapes:
        listed = _list(shapes[0], steps=steps)
        looked_up = (_looked_up(shape, number, listed=listed) for number, shape in enumerate(shapes) if number)
        found = found.add_columns(listed.c.skills).join(listed, RECORDS.c.place == listed.c.place)
        found = found.where(*looked_up).order_by(listed.c.place)
    else:
        found = found.where(*_on_arc(RECORDS)).order_by(RECORDS.c.place)
    return found.limit(_number(limit)).compile(dialect=dialect)


def _list(shape: _Shape, *, steps: int) -> Subquery:
    """Returns a list in the order of the ring, with all of its last card.

    It is no longer than the limit, which tells that to the database: so many steps on each list, and the rest of a card
    that the last of them stands on.
    """
    table = shape.table
    nodes = select(table.c.place, table.c.skills).where(*_has(table, shape, 0), *_on_arc(table))
    return nodes.order_by(table.c.place).limit(_number(steps * shape.terms + MOST_OF_A_CARD)).subquery()


def _looked_up(shape: _Shape, number: int, *, listed: FromClause) -> ColumnElement[bool]:
    """Tells whether a skill has a thing wanted. By the offset the database knows not to go about it the other way."""
    table = shape.table.alias()
    shared = table.c.skills.bitwise_and(listed.c.skills) != _number(0)
    there = select(table.c.place).where(*_has(table, shape, number), table.c.place == listed.c.place, shared)
    return exists(there.offset(_number(0)))


def _has(table: FromClause, shape: _Shape, number: int) -> list[ColumnElement[bool]]:
    terms: list[BindParameter[int]] = [bindparam(f"term_{number}_{which}") for which in range(shape.terms)]
    has: list[ColumnElement[bool]] = [table.c.term == terms[0] if shape.terms == 1 else table.c.term.in_(terms)]
    if shape.bounded:
        has.append(table.c.value.between(bindparam(f"least_{number}"), bindparam(f"most_{number}")))
    return has


def _on_arc(table: FromClause) -> tuple[ColumnElement[bool], ...]:
    return table.c.place > bindparam("after"), table.c.place <= bindparam("until")


def _number(value: int) -> ColumnElement[int]:
    """Returns a number that stands in the statement itself, so that the database plans with it."""
    return literal_column(str(value), Integer)
