"""Faults in reading a log."""

import dataclasses
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience._wire import events
from consilience.asks import AnswerEvent, Outcome, Transcript, UnknownEvent
from consilience.asks import logs as asks_logs
from consilience.client import Client
from consilience.client.readers import LogReader
from consilience.errors import AnswerTimeoutError, ConsilienceError, EnvelopeMalformedError, ProtocolError

_Append = Callable[[Transcript, AnswerEvent], None]


def _appends(name: str, make: Callable[[_Append], _Append]) -> None:
    fault(name)(lambda: replace(Transcript, "append", make))


def _whatever_the_number(append: _Append) -> _Append:
    def lenient(self: Transcript, entry: AnswerEvent) -> None:
        self.last_sequence = entry.first_sequence - 1  # type: ignore[assignment]
        append(self, entry)

    return lenient


def _forwards(append: _Append) -> _Append:
    def lenient(self: Transcript, entry: AnswerEvent) -> None:
        append(self, dataclasses.replace(entry, sequence=max(entry.sequence, entry.first_sequence)))

    return lenient


def _until_final(append: _Append) -> _Append:
    def lenient(self: Transcript, entry: AnswerEvent) -> None:
        if self.final is None:
            append(self, entry)

    return lenient


_appends("overlooks-sequences", _whatever_the_number)
_appends("overlooks-where-an-event-ends", _forwards)
_appends("overlooks-what-follows-final", _until_final)


@fault("overlooks-accepted")
def _overlooks_accepted() -> None:
    class AsThePlaceWants(type):
        is_first = False

        def __instancecheck__(cls, _: object) -> bool:
            return AsThePlaceWants.is_first

    class Accepted(metaclass=AsThePlaceWants):
        pass

    def make(append: _Append) -> _Append:
        def lenient(self: Transcript, entry: AnswerEvent) -> None:
            AsThePlaceWants.is_first = entry.sequence == 1
            append(self, entry)

        return lenient

    replace(asks_logs, "Accepted", lambda _: Accepted)
    replace(Transcript, "append", make)


@fault("leaves-at-final")
def _leaves_at_final() -> None:
    def make(_: Any) -> Any:
        async def content(_: LogReader, *, seconds: float) -> None:
            del seconds

        return content

    replace(LogReader, "read_end", make)


@fault("refuses-unknown-events")
def _refuses_unknown_events() -> None:
    def make(event: Any) -> Any:
        def strict(message: Any) -> Any:
            if isinstance(found := event(message), UnknownEvent):
                raise EnvelopeMalformedError("there is an event of an unknown kind")
            return found

        return strict

    replace(events, "_event", make)


def _gives_out_what_came(name: str, when: Callable[[ConsilienceError], bool]) -> None:
    """Registers the fault of a client that takes the text so far for an answer."""

    def apply() -> None:
        async def ask(self: Client, question: str, *, node: str, **options: Any) -> Any:
            stream = self.stream(question, node=node, **options)
            try:
                async with stream:
                    return await stream.final()
            except ConsilienceError as error:
                if not when(error):
                    raise
                return SimpleNamespace(text=stream.text, outcome=Outcome.ANSWERED, cost=None)

        replace(Client, "ask", lambda _: ask)

    fault(name)(apply)


_gives_out_what_came("gives-out-what-timed-out", lambda error: isinstance(error, AnswerTimeoutError))
_gives_out_what_came(
    "gives-out-what-has-no-final",
    lambda error: isinstance(error, ProtocolError) and "ended the stream" in str(error),
)
_gives_out_what_came(
    "gives-out-what-came-before-a-hole",
    lambda error: isinstance(error, ProtocolError) and error.requirement == "STRM-LOG-001",
)
