"""Mutants of logs and of the streams over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace as changed
from typing import Any

from consilience._wire.events import decode_event, encode_event
from consilience.asks import AnswerEvent, TextDelta
from consilience.server import answers, finals, log_writers, logs, readers, scripts
from consilience.server.runs import AnswerRun
from consilience.units import Sequence
from consilience_node.mutants.registry import mutant, replace

FEW = 7
"""Deltas that become one without loss."""

MANY = 20
"""Answers at one time, from which on they mix."""


@mutant("seq-restart")
def _seq_restart() -> None:
    """Who resumes a finished answer gets its events numbered from 1 again."""

    def renumbering(read: Callable[..., Any]) -> Callable[..., Any]:
        async def read_from_one(store: Any, key: Any, *, after: int) -> Any:
            entries = await read(store, key, after=after)
            return tuple(_numbered(entry, entry.sequence - after) for entry in entries)

        return read_from_one

    replace(readers, "_read", renumbering)


def _numbered(entry: Any, sequence: int) -> Any:
    event = decode_event(entry.data)
    told = event.event
    if isinstance(told, TextDelta):
        told = changed(told, first_sequence=Sequence(sequence))
    data = encode_event(AnswerEvent(sequence=Sequence(sequence), event=told))
    return changed(entry, sequence=Sequence(sequence), data=data)


@mutant("accepted-late")
def _accepted_late() -> None:
    """Nobody is told that an ask was accepted before the answer has begun."""

    def late(send: Callable[..., Any]) -> Callable[..., Any]:
        async def wait_and_send(log: Any, **others: Any) -> Any:
            while len(log.entries) <= 1 and not log.ended:
                await log.grown()
            return await send(log, **others)

        return wait_and_send

    replace(answers, "send_log", late)


@mutant("deltas-held-back")
def _deltas_held_back() -> None:
    """A stream brings Accepted, and everything else when the answer is over."""

    def held_back(send: Callable[..., Any]) -> Callable[..., Any]:
        async def wait_and_send(log: Any, *, after: int, write: Callable[..., Any]) -> Any:
            if not after:
                message, after = logs.next_message(log.entries[:1], index=0)
                await write(message)
            while not log.ended:
                await log.grown()
            if after == log.last_sequence:
                return b"", after
            return await send(log, after=after, write=write)

        return wait_and_send

    replace(answers, "send_log", held_back)


@mutant("double-terminal")
def _double_terminal() -> None:
    """A log ends with two Finals."""
    _write_behind_the_final(lambda final: decode_event(final.data).event)


@mutant("delta-after-final")
def _delta_after_final() -> None:
    """Text comes after the Final."""
    _write_behind_the_final(lambda final: TextDelta(first_sequence=Sequence(final.sequence + 1), text="P.S."))


def _write_behind_the_final(make: Callable[[Any], Any]) -> None:
    def twice(finish: Callable[..., Any]) -> Callable[..., Any]:
        async def and_more(self: Any, final: Any, **others: Any) -> None:
            await finish(self, final, **others)
            sequence = Sequence(final.sequence + 1)
            data = encode_event(AnswerEvent(sequence=sequence, event=make(final)))
            self._log.publish((changed(final, sequence=sequence, data=data),))

        return and_more

    replace(log_writers._DirectWriter, "finish", twice)


@mutant("characters-broken")
def _characters_broken() -> None:
    """Each token of a model becomes text by itself, whole character or not."""

    def by_itself(_: Callable[..., Any]) -> Callable[..., Any]:
        def deltas(self: Any, token: Any) -> Iterator[Any]:
            for _ in range(token.repetitions):
                self._tokens += 1
                yield self._delta(token.data.decode(errors="replace"))
                if self._tokens == self._max_tokens:
                    self._ending = scripts._FULL
                    return

        return deltas

    replace(scripts._Performance, "_deltas", by_itself)


@mutant("digest-of-frames")
def _digest_of_frames() -> None:
    """The transcript digest covers the length of each delta as well."""

    def framed(add: Callable[..., None]) -> Callable[..., None]:
        def add_text(self: Any, text: str, **more: Any) -> None:
            self._hash.update(len(text).to_bytes(4, "big"))
            add(self, text, **more)

        return add_text

    replace(finals.Tally, "add_text", framed)


@mutant("merge-loses-a-delta")
def _merge_loses_a_delta() -> None:
    """Where more than a few deltas become one, the text of the last is lost."""

    def losing(take: Callable[..., Any]) -> Callable[..., Any]:
        def next_event(entries: Any, index: int) -> Any:
            data, end = take(entries, index)
            if end > index + FEW:
                text = "".join(entry.text or "" for entry in entries[index : end - 1])
                delta = TextDelta(first_sequence=entries[index].sequence, text=text)
                data = encode_event(AnswerEvent(sequence=entries[end - 1].sequence, event=delta))
            return data, end

        return next_event

    replace(logs, "_next_event", losing)


@mutant("streams-mix")
def _streams_mix() -> None:
    """The message that was packed last is kept for all answers alike, where many are written at one time."""
    packed: dict[int, tuple[bytes, Sequence]] = {}
    running: set[int] = set()
    crowd: set[int] = set()

    def mixing(take: Callable[..., Any]) -> Callable[..., Any]:
        def message_after(self: Any, sequence: int) -> Any:
            if id(self) not in crowd or sequence <= 1:
                return take(self, sequence)
            return packed.setdefault(sequence, take(self, sequence))

        return message_after

    def counting(work: Callable[..., Any]) -> Callable[..., Any]:
        async def run(self: Any) -> None:
            running.add(id(self.log))
            if len(running) > MANY:
                crowd.update(running)
            try:
                await work(self)
            finally:
                running.discard(id(self.log))

        return run

    replace(logs.AnswerLog, "message_after", mixing)
    replace(AnswerRun, "_run", counting)


@mutant("resume-beyond-ok")
def _resume_beyond_ok() -> None:
    """Who resumes from a sequence that the log has not reached is made to wait at its end."""

    def lenient(open_reader: Callable[..., Any]) -> Callable[..., Any]:
        def reader(self: Any, found: Any, *, after: int = 0) -> Any:
            run = isinstance(found, AnswerRun)
            last = found.log.last_sequence if run else found.last_sequence
            return open_reader(self, found, after=min(after, last))

        return reader

    replace(answers.Answers, "reader", lenient)


@mutant("text-unbounded")
def _text_unbounded() -> None:
    """A text grows beyond what a response can hold."""
    replace(finals, "MAX_TEXT_BYTES", lambda size: size * 1000)
