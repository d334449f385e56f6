"""The other vectors can fail too: a lenient or careless implementation of a rule fails the vectors of that rule."""

import base64
import hashlib
import unicodedata
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from consilience.v1.ask_pb2 import AnswerEvent
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience.v1.node_pb2 import NodeCard
from consilience_conformance import vectors
from consilience_conformance.envelopes import envelope_digest

Test = dict[str, Any]


def _tests(name: str, group_type: str) -> list[Test]:
    groups = vectors.load(name)["testGroups"]
    return [{**group, **test} for group in groups if group["type"] == group_type for test in group["tests"]]


def _flags(tests: Sequence[Test]) -> set[str]:
    return {flag for test in tests for flag in test["flags"]}


def _node_id(text: str, *, lenient: Callable[[str], str], checks_spare_bits: bool = True) -> str | None:
    """Returns the key in hexadecimal, or None; `lenient` is what a careless reader does to the text first."""
    text = lenient(text)
    body = text.removeprefix("cn1")
    try:
        key = base64.b32decode(body.upper() + "====") if body != text and len(body) == 52 else b""
    except ValueError:
        return None
    canonical = base64.b32encode(key).decode().rstrip("=").lower() == body
    return key.hex() if len(key) == 32 and (canonical or not checks_spare_bits) else None


def _wrong_node_ids(lenient: Callable[[str], str], *, checks_spare_bits: bool = True) -> list[Test]:
    return [
        test
        for test in _tests("node_ids", "NodeIdText")
        if _node_id(test["text"], lenient=lenient, checks_spare_bits=checks_spare_bits) != test.get("publicKey")
    ]


def test_a_careful_reader_of_node_ids_passes() -> None:
    assert _wrong_node_ids(lambda text: text) == []


@pytest.mark.parametrize(
    "lenient", [str.lower, str.strip, lambda text: text.rstrip("="), lambda text: unicodedata.normalize("NFKC", text)]
)
def test_a_lenient_reader_of_node_ids_fails(lenient: Callable[[str], str]) -> None:
    assert _flags(_wrong_node_ids(lenient)) == {"SecondForm"}


def test_a_reader_that_ignores_spare_bits_fails() -> None:
    comments = [test["comment"] for test in _wrong_node_ids(str, checks_spare_bits=False)]
    assert any("spare bits" in comment for comment in comments)


def _wrong_winners(rank: Callable[[SignedEnvelope], tuple[int, bytes]]) -> list[Test]:
    wrong = []
    for test in _tests("cards", "CardSelection"):
        ranks = [rank(SignedEnvelope.FromString(bytes.fromhex(card))) for card in test["cards"]]
        if ranks.index(max(ranks)) != test["winner"]:
            wrong.append(test)
    return wrong


def _sequence(envelope: SignedEnvelope) -> int:
    return NodeCard.FromString(envelope.payload).sequence


def _inverted(data: bytes) -> bytes:
    return bytes(255 - byte for byte in data)


def test_a_careful_choice_of_cards_passes() -> None:
    assert _wrong_winners(lambda card: (_sequence(card), _inverted(envelope_digest(card)))) == []


@pytest.mark.parametrize(
    ("rank", "flags"),
    [
        (lambda card: (_sequence(card), envelope_digest(card)), {"Tie"}),
        (lambda card: (_sequence(card), _inverted(hashlib.sha256(card.payload).digest())), {"Tie"}),
        (lambda card: (-_sequence(card), _inverted(envelope_digest(card))), {"Sequence"}),
        (lambda card: (NodeCard.FromString(card.payload).expire_time.seconds, b""), {"Sequence", "Tie"}),
    ],
)
def test_a_careless_choice_of_cards_fails(rank: Callable[[SignedEnvelope], tuple[int, bytes]], flags: set[str]) -> None:
    assert _flags(_wrong_winners(rank)) == flags


def _wrong_transcripts(digest: Callable[[list[str]], bytes]) -> list[Test]:
    return [
        test
        for test in _tests("transcripts", "TranscriptFraming")
        if digest(_pieces(test["events"])).hex() != test["transcriptDigest"]
    ]


def _pieces(events: Sequence[str]) -> list[str]:
    decoded = [AnswerEvent.FromString(bytes.fromhex(event)) for event in events]
    return [event.text_delta.text for event in decoded if event.HasField("text_delta")]


def test_a_careful_transcript_passes() -> None:
    assert _wrong_transcripts(lambda pieces: hashlib.sha256("".join(pieces).encode()).digest()) == []


@pytest.mark.parametrize(
    "digest",
    [
        lambda pieces: hashlib.sha256("\n".join(pieces).encode()).digest(),
        lambda pieces: hashlib.sha256(b"".join(hashlib.sha256(piece.encode()).digest() for piece in pieces)).digest(),
        lambda pieces: hashlib.sha256("".join(pieces).encode("utf-16-le")).digest(),
        lambda pieces: hashlib.sha256("".join(pieces).replace("\r\n", "\n").encode()).digest(),
        lambda pieces: hashlib.sha256(unicodedata.normalize("NFC", "".join(pieces)).encode()).digest(),
        lambda pieces: hashlib.sha256("".join(pieces).strip("\ufeff").encode()).digest(),
        lambda pieces: hashlib.sha256("".join(piece.split("\0")[0] for piece in pieces).encode()).digest(),
    ],
)
def test_a_careless_transcript_fails(digest: Callable[[list[str]], bytes]) -> None:
    assert _wrong_transcripts(digest)


def _wrong_times(*, late: timedelta, early: timedelta) -> list[Test]:
    wrong = []
    for test in _tests("headers", "CallHeaderCheck"):
        header, now = CallHeader.FromString(bytes.fromhex(test["encodedHeader"])), datetime.fromisoformat(test["now"])
        begin = header.issue_time.ToDatetime(tzinfo=now.tzinfo) - early
        end = header.expire_time.ToDatetime(tzinfo=now.tzinfo) + late
        reason = "CALL_EXPIRED" if now > end else "CALL_NOT_YET_VALID" if now < begin else ""
        if "Time" in test["flags"] and reason != test.get("reason", ""):
            wrong.append(test)
    return wrong


_SKEW, _MICROSECOND = timedelta(seconds=30), timedelta(microseconds=1)


def test_a_clock_that_allows_the_skew_passes() -> None:
    assert _wrong_times(late=_SKEW, early=_SKEW) == []


@pytest.mark.parametrize(
    ("late", "early"),
    [
        (timedelta(0), _SKEW),
        (_SKEW, timedelta(0)),
        (_SKEW - _MICROSECOND, _SKEW),
        (_SKEW + _MICROSECOND, _SKEW),
        (_SKEW, _SKEW - _MICROSECOND),
        (_SKEW, _SKEW + _MICROSECOND),
        (timedelta(days=2), _SKEW),
    ],
)
def test_a_clock_that_allows_more_or_less_fails(late: timedelta, early: timedelta) -> None:
    assert _wrong_times(late=late, early=early)
