"""Answers as they arrive, without `async`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from types import TracebackType
from typing import Self, TypeVar

from consilience import client as asynchronous
from consilience.asks import Answer, AnswerEvent
from consilience.client.outages import Setback
from consilience.client.tickets import HeldTicket
from consilience.envelopes import Signed
from consilience.errors import Stake
from consilience.nodes import NodeCard
from consilience.payments import Amount
from consilience.sync.background import Background
from consilience.units import RequestId

T = TypeVar("T")


class AnswerStream:
    """An answer as it arrives: `consilience.AnswerStream`, entered by `with` and read by `for`."""

    def __init__(self, stream: asynchronous.AnswerStream, *, background: Background) -> None:
        self._stream = stream
        self._background = background

    @property
    def request_id(self) -> RequestId:
        """Names the ask, for `Client.resume`, `get` and `cancel`."""
        return self._stream.request_id

    @property
    def card(self) -> Signed[NodeCard]:
        """The card of the node that answers."""
        return self._stream.card

    @property
    def text(self) -> str:
        """The text that has arrived."""
        return self._stream.text

    @property
    def cost(self) -> Amount | None:
        """What the answer costs so far; None: it is free."""
        return self._stream.cost

    @property
    def stake(self) -> Stake | None:
        """What the ask may have cost, were it left now, or what was sent ahead of it; None: neither."""
        return self._stream.stake

    @property
    def setback(self) -> Setback | None:
        """What keeps the next event away, while the stream goes on trying; None: nothing that is known."""
        return self._stream.setback

    @property
    def ticket(self) -> HeldTicket | None:
        """What the answer can be reviewed with; None: nothing."""
        return self._stream.ticket

    def __enter__(self) -> Self:
        """Sends the ask and waits until the node has accepted it; raises as `consilience.AnswerStream`."""
        try:
            self._background.run(self._stream.__aenter__())
        except BaseException as error:
            # Ctrl-C may come when the ask was accepted already, and no `with` will leave what was not entered.
            self.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancels the ask at its node, unless it has ended or the stream is detached."""
        self._background.run(self._stream.__aexit__(kind, error, trace))

    def __iter__(self) -> Self:
        """Iterates over the text as it arrives."""
        return self

    def __next__(self) -> str:
        """Returns the next text."""
        text = self._background.run(_next(self._stream))
        if text is None:
            raise StopIteration
        return text

    def events(self) -> Iterator[AnswerEvent]:
        """Iterates over everything that arrives: text, citations, progress, and the end."""
        events = self._stream.events()
        while (entry := self._background.run(_next(events))) is not None:
            yield entry

    def final(self) -> asynchronous.AskResult:
        """Reads to the end and returns everything about the answer; raises as `consilience.AnswerStream.final`."""
        return self._background.run(self._stream.final())

    def cancel(self) -> Signed[Answer]:
        """Stops the work, and returns how the answer ended; the stream goes on to its end."""
        return self._background.run(self._stream.cancel())

    def detach(self) -> RequestId:
        """Lets the work go on when the block is left, and returns the name under which it can be resumed."""
        return self._stream.detach()


async def _next(items: AsyncIterator[T]) -> T | None:
    """Returns the next item, or None at the end."""
    return await anext(items, None)
