"""The ticket book: what was kept is there again, and a file that is none is told of."""

import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from consilience.client import Client, HeldTicket
from consilience.client.reviews import TicketBook, default_ticket_file
from consilience.errors import TicketBookError
from consilience.identity import KeyPair
from consilience.server import Node
from consilience.units import Digest, RequestId
from sdk.tests.reviews.specimens import DAY, NOW, TestNode, key
from sdk.tests.server.specimens import Counting, serve_test_skills

NODE, REVIEWER = TestNode.named("node"), key("reviewer")


def held(number: int, *, at_days: int = 0) -> HeldTicket:
    salt = (b"%d" % number).ljust(32, b".")
    at = NOW + at_days * DAY
    return HeldTicket(
        ticket=NODE.ticket(reviewer=REVIEWER, salt=salt, at=at),
        salt=salt,
        reviewer=REVIEWER.public_key,
        card=NODE.card(),
        request_id=RequestId(bytes([number]) * 16),
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "tickets.sqlite"


@pytest.fixture
def book(path: Path) -> Iterator[TicketBook]:
    opened = TicketBook(path)
    yield opened
    opened.close()


def test_tickets_are_kept_in_a_file_of_their_owner(book: TicketBook, path: Path) -> None:
    first, second = held(1), held(2)
    book.keep(first)
    book.keep(second)
    other = TicketBook(path)
    assert other.latest(limit=5) == (second, first)
    assert other.latest() == (second,)
    other.close()
    assert path.stat().st_mode & 0o077 == 0


def test_how_an_answer_ended_is_noted_in_its_place(book: TicketBook) -> None:
    first = held(1)
    ended = replace(first, answer_digest=Digest(b"a" * 32))
    for ticket in (first, held(2), ended):
        book.keep(ticket)
    assert book.latest(limit=5) == (held(2), ended)


def test_a_ticket_is_named_by_ask_ticket_and_answer(book: TicketBook) -> None:
    first = replace(held(1), answer_digest=Digest(b"a" * 32))
    book.keep(first)
    book.keep(held(2))
    for name in (first.request_id[:4], first.digest[:4], b"aaaa", first.request_id):
        assert book.named(bytes(name)) == (first,)
    assert book.named(b"zzzz") == ()


def test_what_no_registry_would_keep_is_dropped(book: TicketBook) -> None:
    book.keep(held(1))
    book.keep(held(2, at_days=730))
    assert len(book.latest(limit=5)) == 2
    book.keep(held(3, at_days=732))
    assert [ticket.request_id[0] for ticket in book.latest(limit=5)] == [3, 2]


def test_a_newer_book_and_a_damaged_one_are_refused(path: Path, tmp_path: Path) -> None:
    TicketBook(path).close()
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(TicketBookError, match="newer version"):
        TicketBook(path)
    (tmp_path / "text").write_text("this is no database, it is text, and more of it than a header has " * 9)
    with pytest.raises(TicketBookError) as damaged:
        TicketBook(tmp_path / "text")
    assert "move it away if it is damaged" in damaged.value.remedy  # and not: name another, which no command can
    with pytest.raises(TicketBookError):
        TicketBook(tmp_path)


def test_a_book_that_was_tampered_with_gives_out_nothing(book: TicketBook, path: Path) -> None:
    book.keep(held(1))
    with sqlite3.connect(path) as database:
        database.execute("UPDATE tickets SET ticket = card")
    with pytest.raises(TicketBookError, match="damaged"):
        book.latest()


async def test_an_ask_goes_on_where_its_ticket_cannot_be_kept(
    card_file: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node("test", key=KeyPair.generate())
    serve_test_skills(node, Counting())
    async with (
        node.serving("127.0.0.1:0") as running,
        Client(KeyPair.generate(), card_file=card_file, ticket_file=path) as client,
    ):
        with sqlite3.connect(path) as database:
            database.execute("DROP TABLE tickets")
        result = await client.ask("say", node=running.address, skill="echo")
    assert (result.text, result.ticket is not None) == ("say", True)
    assert "a ticket is not kept" in caplog.text


def test_the_book_is_in_the_state_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", os.fspath(tmp_path))
    assert default_ticket_file() == tmp_path / "consilience" / "tickets.sqlite"
