"""Clocks that differ by no more than 30 seconds: what they judge differently is held against no registry (section 4.6).

Three clocks stand still: that of the reader, which shows `NOW`, and those of two registries.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import seal
from consilience.client import Client
from consilience.client.reviews import FaultKind, Opinions
from consilience.identity import KeyPair
from consilience.nodes import Skill
from consilience.reviews import Advisory, AdvisoryCategory, OpenRecord, Severity
from consilience.units import MICROSECOND
from sdk.tests.client.reviews.registries import House, registries
from sdk.tests.reviews.specimens import HOUR, NOW, TestNode, card_record, key

NODE, AUTHOR = TestNode.named("node"), key("author")
SKEW, MINUTE, NOTHING = timedelta(seconds=30), timedelta(minutes=1), timedelta(0)


def clock(off: timedelta) -> Callable[[], datetime]:
    return lambda: NOW + off


@asynccontextmanager
async def reading(folder: Path, *, off: tuple[timedelta, ...]) -> AsyncIterator[tuple[Client, tuple[House, ...]]]:
    """Serves registries whose clocks are off by so much, and yields a client of them with its own clock."""
    async with registries(folder, clocks=[clock(each) for each in off]) as houses:
        addresses = [house.address for house in houses]
        cards = folder / "cards"
        async with Client(KeyPair.generate(), card_file=cards, registries=addresses, clock=clock(NOTHING)) as client:
            yield client, houses


def warning(*, issued: datetime = NOW - HOUR, end: datetime = NOW + HOUR) -> OpenRecord:
    advisory = Advisory(
        author=AUTHOR.public_key,
        node_id=NODE.root.public_key,
        category=AdvisoryCategory.UNRELIABLE,
        severity=Severity.LOW,
        summary="It is slow.",
        issue_time=issued,
        expire_time=end,
    )
    return OpenRecord(object=seal(advisory, signer=AUTHOR))


def kinds(opinions: Opinions) -> list[FaultKind]:
    return [fault.kind for fault in opinions.faults]


@pytest.mark.parametrize(
    ("left", "heeded", "told"),
    [
        (MICROSECOND, 1, []),
        (NOTHING, 0, []),
        (MICROSECOND - SKEW, 0, []),
        (-SKEW, 0, [FaultKind.INVALID]),
    ],
)
async def test_what_has_just_ended_is_not_heeded_and_held_against_nobody(
    tmp_path: Path, left: timedelta, heeded: int, told: list[FaultKind]
) -> None:
    async with reading(tmp_path, off=(-MINUTE,)) as (client, (house,)):
        await house.bring(warning(end=NOW + left))
        opinions = await client.reviews.about(NODE.root.public_key)
    assert (len(opinions.advisories), kinds(opinions)) == (heeded, told)


@pytest.mark.parametrize(
    ("issued", "heeded", "told"),
    [(SKEW, 1, []), (SKEW + MICROSECOND, 0, [FaultKind.INVALID])],
)
async def test_what_is_issued_within_the_skew_counts(
    tmp_path: Path, issued: timedelta, heeded: int, told: list[FaultKind]
) -> None:
    async with reading(tmp_path, off=(MICROSECOND,)) as (client, (house,)):
        await house.bring(warning(issued=NOW + issued))
        opinions = await client.reviews.about(NODE.root.public_key)
    assert (len(opinions.advisories), kinds(opinions)) == (heeded, told)


@pytest.mark.parametrize(
    ("off", "record", "told"),
    [
        (SKEW, warning(end=NOW + SKEW), []),
        (SKEW, warning(end=NOW + SKEW + MICROSECOND), [FaultKind.BEHIND]),
        (-SKEW, warning(issued=NOW + MICROSECOND), []),
        (-SKEW, warning(issued=NOW), [FaultKind.BEHIND]),
    ],
    ids=["ended there", "not ended there", "not issued there", "issued there"],
)
async def test_a_registry_need_not_have_what_its_clock_refuses(
    tmp_path: Path, off: timedelta, record: OpenRecord, told: list[FaultKind]
) -> None:
    async with reading(tmp_path, off=(NOTHING, off)) as (client, (one, other)):
        await one.bring(record)
        opinions = await client.reviews.about(NODE.root.public_key)
    assert (len(opinions.advisories), kinds(opinions)) == (1, told)
    assert other.between.methods.count("PublishRecord") == len(told)


@pytest.mark.parametrize(("issued", "told"), [(MICROSECOND, []), (NOTHING, [FaultKind.BEHIND])])
async def test_a_registry_need_not_know_a_card_that_is_not_issued_by_its_clock(
    tmp_path: Path, issued: timedelta, told: list[FaultKind]
) -> None:
    old = card_record(NODE, issued=NOW - HOUR, skills=[Skill(id="law", domains=("law",))])
    new = card_record(NODE, issued=NOW + issued, skills=[Skill(id="units", domains=("units",))])
    async with reading(tmp_path, off=(-SKEW, NOTHING)) as (client, (one, other)):
        await one.bring(old)
        await other.bring(new)
        found = await client.find(domain="law")
    assert (found.nodes, [fault.kind for fault in found.faults]) == ((), told)
