"""The statement book: the same words are the same record at all registries, and other words are what they are there."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience.client import AskResult, Client
from consilience.client.reviews import Publication, StatementBook, default_statement_file
from consilience.errors import ProtocolError, RecordNotYetValidError, TransportError, UsageError
from consilience.identity import KeyPair
from consilience.reviews import AdvisoryCategory, PublishOutcome, Severity, Verdict, VerificationMethod
from consilience.server import Node, RunningNode
from consilience.units import utc_now
from sdk.tests.client.reviews.registries import House
from sdk.tests.server.specimens import echo

STORED, KNOWN = PublishOutcome.STORED, PublishOutcome.KNOWN
NODE_KEY, AUTHOR = KeyPair.generate(), KeyPair.generate()


@pytest.fixture
async def running() -> AsyncIterator[RunningNode]:
    node = Node("feet", key=NODE_KEY)
    node.skill("echo", domains=["units"])(echo)
    async with node.serving("127.0.0.1:0") as serving:
        yield serving


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "statements.sqlite"


@pytest.fixture
async def client(houses: tuple[House, ...], card_file: Path, path: Path) -> AsyncIterator[Client]:
    addresses = [house.address for house in houses]
    async with Client(AUTHOR, card_file=card_file, registries=addresses, statement_file=path) as client:
        yield client


@pytest.fixture
async def result(client: Client, running: RunningNode) -> AskResult:
    return await client.ask("say", node=running.card)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


async def warned(client: Client, house: House, *, summary: str = "It lies.", days: int = 90) -> Publication:
    return await client.reviews.warn(
        node=NODE_KEY.public_key,
        category=AdvisoryCategory.FRAUD,
        severity=Severity.LOW,
        summary=summary,
        lifetime=timedelta(days=days),
        registries=[house.address],
    )


async def test_a_review_that_is_written_again_is_the_same_at_another_registry(
    client: Client, result: AskResult, houses: tuple[House, ...], card_file: Path, path: Path
) -> None:
    one, other = (house.address for house in houses)
    first = await client.reviews.review(result, verdict=Verdict.WRONG, comment="No.", registries=[one])
    async with Client(AUTHOR, card_file=card_file, statement_file=path) as later:
        again = await later.reviews.review(result, verdict=Verdict.WRONG, comment="No.", registries=[one, other])
    assert again.record == first.record
    assert (first.was_said, again.was_said) == (False, True)
    assert again.outcomes == {one: KNOWN, other: STORED}
    opinions = await client.reviews.about(NODE_KEY.public_key)
    assert (len(opinions.reviews), opinions.faults) == (1, ())


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ({"verdict": Verdict.CORRECT}, "verdict wrong"),
        ({"method": VerificationMethod.GROUND_TRUTH}, "method human"),
        ({"comment": "Yes.", "score_milli": 1}, "score none, comment 'No.'"),
        ({"domain": ""}, "domain 'units'"),
    ],
)
async def test_other_words_about_a_reviewed_answer_are_refused_before_they_are_sent(
    client: Client, result: AskResult, houses: tuple[House, ...], words: dict[str, object], told: str
) -> None:
    one, other = (house.address for house in houses)
    usual: dict[str, Any] = {"verdict": Verdict.WRONG, "comment": "No."}
    said = await client.reviews.review(result, **usual, registries=[one])
    with pytest.raises(UsageError, match=f"by the record {said.record.digest.hex()}, which says {told}: "):
        await client.reviews.review(result, **usual | words, registries=[other])
    assert "PublishRecord" not in houses[1].between.methods


async def test_what_no_registry_took_binds_nobody(client: Client, result: AskResult, houses: tuple[House, ...]) -> None:
    with pytest.raises(TransportError):
        await client.reviews.review(result, verdict=Verdict.WRONG, registries=["127.0.0.1:1"])
    said = await client.reviews.review(result, verdict=Verdict.CORRECT)
    assert not said.was_said
    with pytest.raises(UsageError, match="which says verdict correct"):
        await client.reviews.review(result, verdict=Verdict.WRONG)


async def test_a_review_that_was_taken_though_its_answer_was_lost_is_known_the_second_time(
    client: Client, result: AskResult, houses: tuple[House, ...]
) -> None:
    between = houses[0].between
    between.bends["PublishRecord"] = lambda *_: b"\xff"
    with pytest.raises(ProtocolError):
        await client.reviews.review(result, verdict=Verdict.WRONG, registries=[between.address])
    del between.bends["PublishRecord"]
    again = await client.reviews.review(result, verdict=Verdict.WRONG, registries=[between.address])
    assert (again.was_said, again.outcomes) == (True, {between.address: KNOWN})


async def test_a_review_that_was_taken_back_is_not_brought_to_another_registry(
    client: Client, result: AskResult, houses: tuple[House, ...]
) -> None:
    one, other = (house.address for house in houses)
    said = await client.reviews.review(result, verdict=Verdict.WRONG, registries=[one])
    await client.reviews.retract(said.record, registries=[one])
    with pytest.raises(UsageError, match="taken back"):
        await client.reviews.review(result, verdict=Verdict.WRONG, registries=[other])


async def test_a_warning_in_the_same_words_is_one_warning_until_it_is_taken_back(
    client: Client, houses: tuple[House, ...]
) -> None:
    first = await warned(client, houses[0])
    assert (await warned(client, houses[1])).record == first.record
    opinions = await client.reviews.about(NODE_KEY.public_key)
    assert (len(opinions.advisories), opinions.faults) == (1, ())

    taken_back = await client.reviews.retract(first.record, registries=[houses[0].address])
    everywhere = await client.reviews.retract(first.record)
    assert everywhere.record == taken_back.record
    assert not (await warned(client, houses[0])).was_said
    opinions = await client.reviews.about(NODE_KEY.public_key)
    assert len(opinions.advisories) == 1


async def test_a_warning_in_other_words_or_for_longer_is_another(client: Client, houses: tuple[House, ...]) -> None:
    said = [
        await warned(client, houses[0]),
        await warned(client, houses[0], summary="It lies now and then."),
        await warned(client, houses[0], days=91),
    ]
    assert [one.was_said for one in said] == [False, False, False]


async def test_the_words_of_a_node_are_one_record_until_it_finds_others(
    client: Client, houses: tuple[House, ...], card_file: Path, path: Path
) -> None:
    warning = (await warned(client, houses[0])).record
    async with Client(NODE_KEY, card_file=card_file, statement_file=path) as node:

        async def rebutted(comment: str, house: House) -> Publication:
            return await node.reviews.rebut(warning, comment=comment, registries=[house.address])

        first = await rebutted("No.", houses[0])
        assert (await rebutted("No.", houses[1])).record == first.record
        await rebutted("Never.", houses[0])
        assert not (await rebutted("No.", houses[0])).was_said
    (opinion,) = (await client.reviews.about(NODE_KEY.public_key)).advisories
    assert opinion.rebuttal is not None
    assert opinion.rebuttal.comment == "No."


async def test_what_a_clock_that_was_ahead_signed_is_not_said_again(
    client: Client, houses: tuple[House, ...], card_file: Path, path: Path
) -> None:
    def ahead() -> object:
        return utc_now() + timedelta(hours=1)

    async with Client(AUTHOR, card_file=card_file, statement_file=path, clock=ahead) as early:  # type: ignore[arg-type]
        with pytest.raises(RecordNotYetValidError):
            await warned(early, houses[0])
    assert (await warned(client, houses[0])).outcomes == {houses[0].address: STORED}


async def test_without_a_file_each_review_is_a_new_one(
    running: RunningNode, houses: tuple[House, ...], card_file: Path
) -> None:
    async with Client(AUTHOR, card_file=card_file) as client:
        first, other = [await warned(client, house) for house in houses]
    assert first.record != other.record


async def test_a_file_that_is_no_database_is_told_of_with_what_to_do(
    client: Client, houses: tuple[House, ...], path: Path
) -> None:
    await warned(client, houses[0])
    overwrite(path)
    with pytest.raises(UsageError, match=r"not a database.*Move it away"):
        await warned(client, houses[0])
    assert houses[0].between.methods.count("PublishRecord") == 1


def overwrite(path: Path) -> None:
    path.write_text("A shopping list, long enough to be looked at as a database.")


async def test_the_file_is_for_its_owner_alone(client: Client, houses: tuple[House, ...], path: Path) -> None:
    await warned(client, houses[0])
    assert mode_of(path) == 0o600


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE statements SET record = x'00'", "is damaged"),
        ("PRAGMA user_version = 99", "newer version"),
        ("ALTER TABLE statements DROP COLUMN is_taken", "cannot be read or written"),
    ],
)
async def test_a_file_that_is_no_such_book_is_told_of_before_anything_is_sent(
    client: Client, houses: tuple[House, ...], path: Path, change: str, told: str
) -> None:
    await warned(client, houses[0])
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(change)
    with pytest.raises(UsageError, match=told):
        await warned(client, houses[0])
    assert houses[0].between.methods.count("PublishRecord") == 1


def test_it_lies_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_statement_file() == tmp_path / "consilience" / "statements.sqlite"
    StatementBook(default_statement_file())
    assert not default_statement_file().exists()
