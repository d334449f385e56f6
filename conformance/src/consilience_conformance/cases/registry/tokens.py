"""Tokens (spec section 4.5): a page token or a cursor leads on where it was made for, and nowhere else."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

from consilience.v1 import review_pb2
from consilience_conformance.callers import Caller
from consilience_conformance.needs import UntestableError
from consilience_conformance.records.checks import record_check
from consilience_conformance.records.findable_cards import marked, new_word
from consilience_conformance.records.made_up import MadeUpNode, advisory, record_of
from consilience_conformance.records.publishers import Publisher
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.rules.registries import last_cursor, next_page_of
from consilience_conformance.stage import Stage
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding

_CONTROLS = ("control-before", "control-after")
_FORGED = "forged: "
_MOST_BYTES = 256


def _forgeries(token: bytes) -> dict[str, bytes]:
    """Returns what is no token of the registry, by its name."""
    return {
        "drawn by chance": secrets.token_bytes(len(token)),
        "with another first bit": bytes([token[0] ^ 0x80]) + token[1:],
        "with another last bit": token[:-1] + bytes([token[-1] ^ 1]),
        "cut short": token[:-1],
        "a byte alone": b"\1",
        **({"made longer": token + b"\0"} if len(token) < _MOST_BYTES else {}),
    }


async def _two_records(publisher: Publisher, author: Caller) -> None:
    for number in range(2):
        await publisher.publish(f"publish {author.key.hex()} {number}", record_of(author.seal(advisory(author))))


def _needed(token: bytes, *, of: str) -> bytes:
    if not token:
        raise UntestableError(f"the registry leads to no second {of}, though one record was asked for of two")
    return token


async def _list_by_tokens(stage: Stage) -> None:
    publisher, author, other = Publisher(stage), Caller.new(), Caller.new()
    for one in (author, other):
        await _two_records(publisher, one)
    first = await publisher.list("first page", author=author.key, page_size=1)
    token = _needed(next_page_of(first), of="page of records")
    await publisher.list("control-before", author=author.key, page_size=1, page_token=token)
    for name, forged in _forgeries(token).items():
        await publisher.list(f"{_FORGED}{name}", author=author.key, page_size=1, page_token=forged)
    others: dict[str, dict[str, object]] = {
        "of another author": {"author": other.key},
        "of other types": {"author": author.key, "types": [review_pb2.RECORD_TYPE_ADVISORY]},
        "of a subject": {"subject": author.key},
    }
    for name, query in others.items():
        await publisher.list(f"{_FORGED}{name}", page_size=1, page_token=token, **query)
    await publisher.list("control-after", author=author.key, page_size=1, page_token=token)


async def _find_by_tokens(stage: Stage) -> None:
    publisher, word, author = Publisher(stage), new_word(), Caller.new()
    await _two_records(publisher, author)
    for number in range(2):
        card = MadeUpNode.new().sealed_card(**marked(word, {}))  # type: ignore[arg-type]
        await publisher.publish(f"publish card {number}", record_of(card))
    token = _needed(next_page_of(await publisher.find("first page", text=word, page_size=1)), of="page of cards")
    of_records = next_page_of(await publisher.list("first page of records", author=author.key, page_size=1))
    await publisher.find("control-before", text=word, page_size=1, page_token=token)
    for name, forged in {**_forgeries(token), "of a page of records": of_records}.items():
        await publisher.find(f"{_FORGED}{name}", text=word, page_size=1, page_token=forged)
    await publisher.find(f"{_FORGED}of other words", text=f"{word} made", page_size=1, page_token=token)
    await publisher.list(f"{_FORGED}of a page of cards", author=author.key, page_size=1, page_token=token)
    await publisher.find("control-after", text=word, page_size=1, page_token=token)


async def _sync_by_cursors(stage: Stage) -> None:
    publisher, author = Publisher(stage), Caller.new()
    await _two_records(publisher, author)
    cursor = _needed(last_cursor(await publisher.sync("first"), before=b""), of="response of digests")
    token = next_page_of(await publisher.list("first page", author=author.key, page_size=1))
    await publisher.sync("control-before", cursor=cursor)
    for name, forged in {**_forgeries(cursor), "of a page": token}.items():
        await publisher.sync(f"{_FORGED}{name}", cursor=forged)
    await publisher.list(f"{_FORGED}of a response of digests", author=author.key, page_size=1, page_token=cursor)
    await publisher.sync("control-after", cursor=cursor)


def _judge(seen: Transcript) -> Iterator[Finding]:
    for name in _CONTROLS:
        yield from _goes_on(seen[name])
    for exchange in seen.named(_FORGED):
        yield from refused(
            exchange,
            "CURSOR_INVALID",
            requirement="REG-PAGE-001",
            called=f"a token {exchange.name.removeprefix(_FORGED)}",
        )


def _goes_on(exchange: Exchange) -> Iterator[Finding]:
    """Yields that a token of the registry's own does not lead on; behind the last record, rightly, nothing comes."""
    if exchange.code != "OK":
        yield from was_accepted(exchange, requirement="REG-PAGE-001")


CHECKS = (
    record_check(
        name="a-page-of-records-follows-its-own-token",
        title="A token that the registry did not make, or made for another listing, leads to no page of records.",
        requirements=("REG-PAGE-001",),
        drive=_list_by_tokens,
        judge=_judge,
    ),
    record_check(
        name="a-page-of-cards-follows-its-own-token",
        title="A token that the registry did not make, or made for another question, leads to no page of cards.",
        requirements=("REG-PAGE-001",),
        drive=_find_by_tokens,
        judge=_judge,
    ),
    record_check(
        name="digests-follow-their-own-cursor",
        title="A cursor that the registry did not make leads to no digests.",
        requirements=("REG-PAGE-001",),
        drive=_sync_by_cursors,
        judge=_judge,
    ),
)
