"""The log of an answer as a reader takes it, and the answer that ends it."""

import dataclasses
import hashlib
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.asks import (
    Accepted,
    Answer,
    AnswerEvent,
    Citation,
    Final,
    Gap,
    Outcome,
    Progress,
    StopReason,
    TextDelta,
    Transcript,
    UnknownEvent,
    Usage,
    check_answer,
)
from consilience.asks.logs import Event
from consilience.envelopes import Envelope, Signed
from consilience.errors import ProtocolError
from consilience.units import Digest, PublicKey, Sequence

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_ASK, _CARD, _NODE = Digest(b"a" * 32), Digest(b"c" * 32), PublicKey(b"n" * 32)
_SOURCE = Citation(origin=Digest(b"s" * 32))


def _entry(sequence: int, event: Event) -> AnswerEvent:
    return AnswerEvent(sequence=Sequence(sequence), event=event)


def _accepted() -> AnswerEvent:
    return _entry(1, Accepted(ask_digest=_ASK, accept_time=_NOW))


def _delta(sequence: int, text: str, *, first: int | None = None) -> AnswerEvent:
    return _entry(sequence, TextDelta(first_sequence=Sequence(first or sequence), text=text))


def _answer(*, text: str = "", sequence: int = 2, citations: tuple[Citation, ...] = ()) -> Signed[Answer]:
    encoded = text.encode()
    answer = Answer(
        node_id=_NODE,
        signing_key=_NODE,
        card_digest=_CARD,
        ask_digest=_ASK,
        outcome=Outcome.ANSWERED,
        stop_reason=StopReason.COMPLETE,
        transcript_digest=Digest(hashlib.sha256(encoded).digest()),
        transcript_bytes=len(encoded),
        final_sequence=Sequence(sequence),
        usage=Usage(output_bytes=len(encoded)),
        accept_time=_NOW,
        finish_time=_NOW,
        citations=citations,
    )
    return _signed(answer)


def _signed(answer: Answer) -> Signed[Answer]:
    envelope = Envelope(payload_type="consilience.v1.Answer", payload=b"", public_key=_NODE, signature=b"")
    return Signed(value=answer, envelope=envelope)


def _final(sequence: int) -> AnswerEvent:
    return _entry(sequence, Final(answer=_answer(sequence=sequence)))


def _transcript(*entries: AnswerEvent) -> Transcript:
    transcript = Transcript()
    for entry in entries:
        transcript.append(entry)
    return transcript


def test_a_new_transcript_is_empty() -> None:
    transcript = Transcript()
    assert (transcript.text, transcript.size_bytes, transcript.last_sequence) == ("", 0, 0)
    assert transcript.digest == hashlib.sha256(b"").digest()
    assert transcript.final is None


def test_a_transcript_gathers_text_sources_and_the_end() -> None:
    transcript = _transcript(
        _accepted(),
        _delta(2, "zwölf "),
        _entry(3, Progress(message="…")),
        _entry(4, _SOURCE),
        _delta(5, "Zoll"),
        _final(6),
    )
    assert transcript.text == "zwölf Zoll"
    assert transcript.size_bytes == len("zwölf Zoll".encode())
    assert transcript.citations == [_SOURCE]
    assert transcript.final is not None
    assert transcript.last_sequence == 6


def test_the_text_can_be_read_while_it_grows() -> None:
    transcript = _transcript(_accepted(), _delta(2, "a"), _delta(3, "b"))
    assert transcript.text == "ab"
    transcript.append(_delta(4, "c"))
    assert transcript.text == "abc"


@given(pieces=st.lists(st.text(max_size=5), max_size=8), cuts=st.sets(st.integers(0, 8)))
def test_merging_neighbours_changes_neither_text_nor_digest(pieces: list[str], cuts: set[int]) -> None:
    plain = _transcript(_accepted(), *(_delta(place, piece) for place, piece in enumerate(pieces, start=2)))
    merged, start = _transcript(_accepted()), 0
    for end in [*sorted(cut for cut in cuts if 0 < cut < len(pieces)), len(pieces)]:
        if end > start:
            merged.append(_delta(end + 1, "".join(pieces[start:end]), first=start + 2))
            start = end
    assert merged.text == plain.text == "".join(pieces)
    assert merged.digest == plain.digest == hashlib.sha256("".join(pieces).encode()).digest()
    assert merged.last_sequence == plain.last_sequence


def test_an_event_of_an_unknown_kind_counts_and_says_nothing() -> None:
    transcript = _transcript(_accepted(), _entry(2, UnknownEvent()), _delta(3, "a"))
    assert (transcript.text, transcript.last_sequence) == ("a", 3)


def test_a_gap_stands_for_what_is_lost() -> None:
    transcript = _transcript(_accepted(), _entry(4, Gap(first_sequence=Sequence(2))), _delta(5, "a"))
    assert transcript.last_sequence == 5
    assert transcript.gaps == [Gap(first_sequence=Sequence(2))]


def test_a_log_whose_beginning_is_lost_opens_with_a_gap() -> None:
    assert _transcript(_entry(4, Gap(first_sequence=Sequence(1))), _delta(5, "a")).text == "a"


@pytest.mark.parametrize(
    ("read", "entry", "requirement"),
    [
        ([], _delta(2, "a"), "STRM-LOG-001"),
        ([], _delta(1, "a"), "STRM-LOG-002"),
        ([], _entry(1, UnknownEvent()), "STRM-LOG-002"),
        ([_accepted()], _accepted(), "STRM-LOG-001"),
        ([_accepted()], _entry(2, Accepted(ask_digest=_ASK, accept_time=_NOW)), "STRM-LOG-002"),
        ([_accepted()], _delta(3, "a"), "STRM-LOG-001"),
        ([_accepted(), _delta(2, "a")], _delta(2, "a"), "STRM-LOG-001"),
        ([_accepted(), _delta(2, "a")], _delta(4, "b", first=2), "STRM-LOG-001"),
        ([_accepted(), _delta(2, "a")], _delta(5, "b", first=4), "STRM-LOG-001"),
        ([_accepted(), _delta(2, "a")], _delta(2, "b", first=3), "STRM-LOG-001"),
        ([_accepted()], _entry(3, Gap(first_sequence=Sequence(3))), "STRM-LOG-001"),
        ([_accepted(), _final(2)], _delta(3, "a"), "STRM-LOG-003"),
        ([_accepted(), _final(2)], _final(3), "STRM-LOG-003"),
    ],
)
def test_an_event_that_breaks_the_log_is_refused(read: list[AnswerEvent], entry: AnswerEvent, requirement: str) -> None:
    transcript = _transcript(*read)
    before = (transcript.text, transcript.last_sequence, transcript.digest)
    with pytest.raises(ProtocolError) as caught:
        transcript.append(entry)
    assert caught.value.requirement == requirement
    assert (transcript.text, transcript.last_sequence, transcript.digest) == before


def test_text_that_is_no_unicode_cannot_be_taken() -> None:
    transcript = _transcript(_accepted())
    with pytest.raises(UnicodeEncodeError):
        transcript.append(_delta(2, "\ud800"))


def test_an_event_knows_the_first_that_it_stands_for() -> None:
    assert _delta(9, "a", first=4).first_sequence == 4
    assert _entry(9, Gap(first_sequence=Sequence(4))).first_sequence == 4
    assert _entry(9, Progress(message="…")).first_sequence == 9


def _check(answer: Signed[Answer], transcript: Transcript) -> None:
    check_answer(answer, transcript=transcript, ask_digest=_ASK, card_digest=_CARD, node_id=_NODE)


@pytest.fixture
def read() -> Transcript:
    """A log that was read to its end."""
    return _transcript(_accepted(), _delta(2, "12 inches"), _entry(3, _SOURCE), _final(4))


@pytest.fixture
def answer() -> Signed[Answer]:
    """The answer that fits it."""
    return _answer(text="12 inches", sequence=4, citations=(_SOURCE,))


def test_an_answer_that_fits_its_log_passes(answer: Signed[Answer], read: Transcript) -> None:
    _check(answer, read)


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"ask_digest": Digest(b"x" * 32)}, "ASK-ANS-002"),
        ({"card_digest": Digest(b"x" * 32)}, "ASK-ANS-002"),
        ({"node_id": PublicKey(b"x" * 32)}, "ASK-ANS-002"),
        ({"final_sequence": Sequence(5)}, "STRM-LOG-003"),
        ({"usage": Usage(output_bytes=8)}, "ASK-ANS-003"),
        ({"transcript_digest": Digest(b"x" * 32)}, "STRM-TXT-002"),
        ({"transcript_bytes": 8, "usage": Usage(output_bytes=8)}, "STRM-TXT-002"),
        ({"citations": ()}, "ASK-ANS-004"),
        ({"citations": (_SOURCE, _SOURCE)}, "ASK-ANS-004"),
    ],
)
def test_an_answer_that_does_not_fit_is_refused(
    answer: Signed[Answer], read: Transcript, changes: dict[str, object], requirement: str
) -> None:
    changed = dataclasses.replace(answer.value, **changes)  # type: ignore[arg-type]
    with pytest.raises(ProtocolError) as caught:
        _check(_signed(changed), read)
    assert caught.value.requirement == requirement


def test_where_text_was_lost_the_rest_is_checked_all_the_same() -> None:
    lossy = _transcript(_accepted(), _entry(3, Gap(first_sequence=Sequence(2))), _final(4))
    _check(_answer(text="what was lost", sequence=4, citations=(_SOURCE,)), lossy)
    with pytest.raises(ProtocolError, match="STRM-LOG-003"):
        _check(_answer(text="what was lost", sequence=5), lossy)
