"""Makes transcripts.json: one text in many framings, and the rules of the log."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from consilience.v1 import ask_pb2
from consilience.v1.ask_pb2 import AnswerEvent
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages
from consilience_conformance.vectors.generator.actors import SIGNING_KEY
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, Refused, VectorFile

_TEXTS = {
    "nothing": "",
    "letters": "a heisenbug changes when it is looked at",
    "characters of one to four bytes": "aé€😀 zß水𝄞",
    "a letter and a combining accent, which are not the same as the accented letter": "e\u0301 is not é",
    "an emoji of several code points": "👩‍👩‍👧 🇩🇪",
    "line ends of three kinds, a NUL and a byte order mark": "a\r\nb\rc\nd\0\ufeff",
}
_NOTES = {
    "Framing": Note(bug_type=BugType.DATA_LOSS, description="However the text is cut, it has the same digest."),
    "Merged": Note(bug_type=BugType.DATA_LOSS, description="A delta that stands for several of the log."),
    "EmptyDelta": Note(bug_type=BugType.BASIC, description="A delta without text has a sequence all the same."),
    "Utf8": Note(bug_type=BugType.DISAGREEMENT, description="A delta that is cut within a character is not UTF-8."),
    "Log": Note(bug_type=BugType.BASIC, description="A log that keeps the rules."),
    "Sequence": Note(bug_type=BugType.DATA_LOSS, description="Events are missing, doubled or in the wrong order."),
    "Opening": Note(bug_type=BugType.MISSING_CHECK, description="Accepted is the first event and no other."),
    "Ending": Note(bug_type=BugType.MISSING_CHECK, description="Final is the last event."),
    "Unknown": Note(bug_type=BugType.MISSING_CHECK, description="An event of a kind from the future is skipped."),
    "Gap": Note(bug_type=BugType.DATA_LOSS, description="Events that are lost are said to be lost."),
}
_DIGEST = hashlib.sha256(b"an ask").digest()


def make() -> VectorFile:
    """Returns the file."""
    framings = [
        Group(
            type="TranscriptFraming",
            comment=f"A text of {name}",
            shared={"text": text, "utf8": text.encode().hex()},
            cases=[*_framings(text)],
        )
        for name, text in _TEXTS.items()
    ]
    return VectorFile(
        name="transcripts",
        subject="The log of an answer: the text that its deltas make, and the order of its events.",
        spec="docs/spec/2-asks.md",
        notes=_NOTES,
        groups=[*framings, Group(type="EventLog", comment="Logs as a reader gets them", cases=[*_logs()])],
    )


def _framings(text: str) -> Iterator[Case]:
    """Cuts a text in many ways; the last ones are what a slow or a resumed reader gets of the same log."""
    whole, characters = [text], list(text)
    yield _framing("in one delta", _log(whole), text)
    if not text:
        return
    yield _framing("a delta per code point", _log(characters), text)
    half = len(text) // 2
    yield _framing("in two deltas", _log([text[:half], text[half:]]), text)
    yield _framing("with deltas that are empty", _log(["", text[:half], "", text[half:], ""]), text, "EmptyDelta")
    log = _log(characters)
    accepted, deltas = log[0], log[1:]
    yield _framing("all merged", [accepted, messages.merged(deltas)], text, "Merged")
    pairs = [messages.merged(deltas[start : start + 2]) for start in range(0, len(deltas), 2)]
    yield _framing("merged in pairs", [accepted, *pairs], text, "Merged")
    middle = messages.merged(deltas[1:-1])
    yield _framing("its middle merged", [accepted, deltas[0], middle, deltas[-1]], text, "Merged")


def _log(pieces: Sequence[str]) -> list[AnswerEvent]:
    deltas = [AnswerEvent(text_delta=ask_pb2.TextDelta(text=piece)) for piece in pieces]
    return messages.numbered([_accepted(), *deltas])


def _accepted() -> AnswerEvent:
    return messages.log_before_final(ask_digest=_DIGEST, pieces=())[0]


def _framing(comment: str, events: Sequence[AnswerEvent], text: str, *flags: str) -> Case:
    inputs = {
        "events": _encoded(events),
        "transcriptDigest": hashlib.sha256(text.encode()).hexdigest(),
        "transcriptBytes": len(text.encode()),
        "lastSequence": events[-1].sequence,
    }
    return Case(comment=comment, flags=["Framing", *flags], inputs=inputs)


def _encoded(events: Sequence[AnswerEvent]) -> list[str]:
    return [event.SerializeToString(deterministic=True).hex() for event in events]


def _case(comment: str, flag: str, events: Sequence[AnswerEvent], requirement: str = "") -> Case:
    refused = Refused(requirement=requirement) if requirement else None
    return Case(comment=comment, flags=[flag], inputs={"events": _encoded(events)}, refused=refused)


def _logs() -> Iterator[Case]:
    log = [*messages.log_before_final(ask_digest=_DIGEST)]
    end = _final(log)
    full = [*log, end]
    yield _case("Accepted, deltas, a citation, Final", "Log", full)
    yield _case("not ended yet", "Log", log)
    yield _case("Accepted and Final alone", "Log", [log[0], _final(log[:1])])
    yield from _misnumbered(log, end)
    yield from _misplaced(log, end)
    yield from _lossy(log)
    yield from _cut_within_a_character()


def _misnumbered(log: Sequence[AnswerEvent], end: AnswerEvent) -> Iterator[Case]:
    flag, requirement = "Sequence", "STRM-LOG-001"
    yield _case("a delta is missing", flag, [*log[:2], *log[3:], end], requirement)
    yield _case("a delta comes twice", flag, [*log[:3], log[2], *log[3:], end], requirement)
    yield _case("two deltas change places", flag, [log[0], log[2], log[1], *log[3:], end], requirement)
    from_zero = _renumbered(log, by=-1)
    yield _case("counted from zero", flag, from_zero, requirement)
    again = [*log[:3], messages.merged(log[2:4]), *log[4:], end]
    yield _case("a merged delta begins with one that came before", flag, again, requirement)
    hole = [*log[:2], messages.merged(log[3:5]), *log[5:], end]
    yield _case("a merged delta begins behind a hole", flag, hole, requirement)
    backwards = messages.merged(log[1:3])
    backwards.sequence = 1
    yield _case("a merged delta ends before it begins", flag, [log[0], backwards, *log[2:], end], requirement)
    yield _case("the Final leaves a hole", flag, [*log, _renumbered([end], by=1)[0]], requirement)


def _misplaced(log: Sequence[AnswerEvent], end: AnswerEvent) -> Iterator[Case]:
    yield _case("no Accepted", "Opening", _renumbered(log[1:], by=-1), "STRM-LOG-002")
    twice = messages.numbered([*map(_copy, log), _accepted()])
    yield _case("Accepted twice", "Opening", twice, "STRM-LOG-002")
    after = [*log, end, _renumbered(log[1:2], by=end.sequence - 1)[0]]
    yield _case("a delta after Final", "Ending", after, "STRM-LOG-003")
    yield _case("Final twice", "Ending", [*log, end, _renumbered([end], by=1)[0]], "STRM-LOG-003")
    unknown = AnswerEvent.FromString(bytes([0x08, len(log) + 1, 0xFA, 0x3F, 0x02, 0x08, 0x01]))
    yield _case("an event of an unknown kind", "Unknown", [*log, unknown, *_renumbered([end], by=1)])


def _lossy(log: Sequence[AnswerEvent]) -> Iterator[Case]:
    gap = AnswerEvent(sequence=4, gap=ask_pb2.Gap(first_sequence=3, detail="lost in a restart"))
    yield _case("a Gap in the place of two deltas", "Gap", [*log[:2], gap, *log[4:]])
    short = AnswerEvent(sequence=4, gap=ask_pb2.Gap(first_sequence=4))
    yield _case("a Gap that leaves a hole", "Gap", [*log[:2], short, *log[4:]], "STRM-LOG-001")


def _cut_within_a_character() -> Iterator[Case]:
    log = _log(["ab", "cd"])
    euro = "€".encode()
    for size in (1, 2):
        events = _encoded(log)
        for position, old, new in ((1, b"ab", euro[:size]), (2, b"cd", euro[size:])):
            events[position] = _with_text(log[position], old=old, new=new).hex()
        yield Case(
            comment=f"cut behind byte {size} of a character of three",
            flags=["Utf8"],
            inputs={"events": events},
            refused=Refused(requirement="STRM-TXT-001"),
        )


def _with_text(event: AnswerEvent, *, old: bytes, new: bytes) -> bytes:
    """Returns the encoding of a delta with other bytes for its text, which need not be UTF-8."""
    sequence, delta = event.sequence, event.text_delta.first_sequence
    body = bytes([0x08, delta, 0x12, len(new)]) + new
    encoded = bytes([0x08, sequence, 0x1A, len(body)]) + body
    same = bytes([0x08, sequence, 0x1A, len(body) - len(new) + len(old), 0x08, delta, 0x12, len(old)]) + old
    if same != event.SerializeToString(deterministic=True):
        raise ValueError("the fields of TextDelta have changed")
    return encoded


def _final(log: Sequence[AnswerEvent]) -> AnswerEvent:
    card_digest = envelopes.envelope_digest(messages.sealed_card())
    answer = messages.answer(card_digest=card_digest, ask_digest=_DIGEST, log=log)
    return messages.final(envelopes.seal(answer, seed=SIGNING_KEY.seed), sequence=log[-1].sequence + 1)


def _copy(event: AnswerEvent) -> AnswerEvent:
    copy = AnswerEvent()
    copy.CopyFrom(event)
    return copy


def _renumbered(events: Sequence[AnswerEvent], *, by: int) -> list[AnswerEvent]:
    """Returns copies of events whose sequences are moved."""
    copies = [*map(_copy, events)]
    for copy in copies:
        copy.sequence += by
        if copy.HasField("text_delta"):
            copy.text_delta.first_sequence += by
    return copies
