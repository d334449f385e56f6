"""Asks: an answer as it arrives, and what there is of it in the end (spec chapter 2)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Self

from consilience.asks import Accepted, Answer, AnswerEvent, Final, Outcome, TextDelta
from consilience.client.caller import Caller
from consilience.client.exchanges import Exchange
from consilience.client.outages import Setback, seconds_to
from consilience.client.readers import LogReader
from consilience.client.results import AskResult
from consilience.client.shapes import AnswerShape
from consilience.client.tickets import HeldTicket
from consilience.client.watches import Watch
from consilience.envelopes import Signed
from consilience.errors import ConsilienceError, ProtocolError, RefusedError, Stake, TransportError, UsageError
from consilience.nodes import NodeCard
from consilience.payments import Amount
from consilience.units import RequestId

if TYPE_CHECKING:  # a free ask does without
    from consilience.client.payments.payer import Payer

_LOGGER = logging.getLogger(__name__)

END_SECONDS = 1.0
"""How long after Final the node may take to end the stream."""


class AnswerStream:
    """An answer as it arrives. Enter it, and read text, or events, or wait for the end.

    Leaving the block before the end cancels the ask at its node, whether by `break`, by an error, by the cancellation
    of the task or by Ctrl-C; `detach` leaves without that. A connection that breaks is not seen: the stream goes on
    where it was.

    >>> async with client.stream("What is a heisenbug?", node=node) as stream:
    ...     async for text in stream:
    ...         print(text, end="")
    ...     print((await stream.final()).confidence)
    """

    def __init__(
        self,
        reader: LogReader,
        *,
        caller: Caller,
        watch: Watch,
        shape: AnswerShape | None,
        payer: Payer | None = None,
    ) -> None:
        self._reader = reader
        self._caller = caller
        self._payer = payer
        self._watch = watch
        self._shape = shape
        self._first: AnswerEvent | None = None
        self._failure: ConsilienceError | None = None
        self._result: AskResult | None = None
        self._abandoning: asyncio.Task[None] | None = None
        self._entered = False
        self._entered_at = 0.0
        self._has_text = False
        self._ended = False
        self._detached = False
        self._settled = False
        self._ticket: HeldTicket | None = None

    @property
    def request_id(self) -> RequestId:
        """Names the ask, for `Client.resume`, `get` and `cancel`."""
        return self._reader.request_id

    @property
    def card(self) -> Signed[NodeCard]:
        """The card of the node that answers."""
        return self._reader.card

    @property
    def text(self) -> str:
        """The text that has arrived."""
        return self._reader.transcript.text

    @property
    def ticket(self) -> HeldTicket | None:
        """What the answer can be reviewed with, also where it never ends; None: nothing."""
        return self._ticket

    @property
    def cost(self) -> Amount | None:
        """What the answer costs so far, as the node has counted it and that was checked; None: it is free."""
        return self._reader.payment.cost if self._reader.payment else None

    @property
    def stake(self) -> Stake | None:
        """What the ask may have cost, were it left now, what was sent ahead of it and left behind; None: nothing."""
        stake, left = self._charge_or_deposit(), self._reader.left
        return stake if left is None else replace(stake or left, left=left.left)

    @property
    def setback(self) -> Setback | None:
        """What keeps the next event away, while the stream goes on trying; None: nothing that is known."""
        if not self._entered or self._ended or self._failure is not None:
            return None
        route, ends_at = self._reader.route, self._watch.ends_at
        if route is None:
            return Setback(cause=None, seconds_left=seconds_to(self._entered_at + self._caller.call_seconds, ends_at))
        return self._reader.outage.setback(is_up=route.connection.is_up, ends_at=ends_at)

    async def __aenter__(self) -> Self:
        """Sends the ask and waits until the node has accepted it.

        Raises:
            DataClassForbiddenError: The node may not read the question; nothing was sent.
            RefusedError: The node said no.
            ProtocolError: The node broke a rule.
            TransportError: The node did not answer in time.
        """
        self._entered, self._entered_at = True, time.monotonic()
        self._watch.start(self._reader.interrupt)
        try:
            self._first = await self._read()
        except BaseException:
            await self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Cancels the ask at its node, unless it has ended or the stream is detached."""
        await self._leave()

    def __aiter__(self) -> Self:
        """Iterates over the text as it arrives."""
        return self

    async def __anext__(self) -> str:
        """Returns the next text; raises as `__aenter__`."""
        while (entry := await self._next()) is not None:
            event = entry.event
            if type(event) is TextDelta and event.text:
                return event.text
        raise StopAsyncIteration

    async def events(self) -> AsyncIterator[AnswerEvent]:
        """Iterates over everything that arrives: text, citations, progress, and the end."""
        while (entry := await self._next()) is not None:
            yield entry

    async def final(self) -> AskResult:
        """Reads to the end and returns everything about the answer.

        Raises:
            AnswerShapeError: The answer does not fit the model or schema that was asked for.
            RefusedError, ProtocolError, TransportError: As `__aenter__`.
        """
        while await self._next() is not None:
            pass
        if self._result is None:
            self._result = self._make_result()
        return self._result

    async def cancel(self) -> Signed[Answer]:
        """Stops the work, and returns how the answer ended; the stream goes on to its end.

        Raises:
            AnswerUnknownError: The node does not have the answer any more.
        """
        route = self._reader.route
        if route is None:
            raise UsageError("nothing was asked yet: enter the stream first")
        return await self._caller.cancel(self.request_id, route=route, asked=self.card.value)

    def detach(self) -> RequestId:
        """Lets the work go on when the block is left, and returns the name under which it can be resumed."""
        self._detached = True
        return self.request_id

    async def _next(self) -> AnswerEvent | None:
        if self._first is not None:
            entry, self._first = self._first, None
            return entry
        return await self._read()

    async def _read(self) -> AnswerEvent | None:
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return None
        if not self._entered:
            raise UsageError("enter the stream first: async with client.stream(…) as stream")
        self._watch.go_on()
        try:
            entry = await self._reader.read()
            if entry is not None:
                await self._note(entry)
        except ConsilienceError as error:
            self._fail(error)
            raise
        finally:
            self._watch.rest()
        return entry

    async def _note(self, entry: AnswerEvent) -> None:
        match entry.event:
            case Accepted() as accepted:
                await self._keep(self._reader.ticket_of(accepted))
            case TextDelta() if not self._has_text:
                self._has_text = True
                self._watch.text_came()
                self._reader.trace.first_text()
            case Final(answer=answer) as final:
                self._ended = True
                self._watch.stop()
                await self._reader.read_end(seconds=END_SECONDS)
                await self._settle()
                await self._keep(self._ticket and self._ticket.ended(final))
                self._reader.trace.finished(answer.value)

    async def _keep(self, ticket: HeldTicket | None) -> None:
        """Keeps the ticket, in the book of the client as well, where it has one."""
        self._ticket = ticket
        book = self._caller.ticket_book
        if book is not None and ticket is not None:
            try:
                await asyncio.to_thread(book.keep, ticket)
            except UsageError as error:
                _LOGGER.warning("a ticket is not kept: %s; %s", error, error.remedy)

    async def _settle(self) -> None:
        """Keeps the receipt before anybody is told of the answer."""
        payment, route = self._reader.payment, self._reader.route
        if self._payer is not None and payment is not None and route is not None:
            await self._payer.settle(payment, route=route)
            self._settled = True

    async def _let_go_of_payment(self) -> None:
        """Has it found out what an answer costs whose receipt did not come, or notes that it costs nothing."""
        payment, route = self._reader.payment, self._reader.route
        if self._settled or self._payer is None or payment is None or route is None:
            return
        self._settled = True
        if self._reader.is_bound:
            self._payer.abandoned(payment, stopping=self._abandoning, route=route)
        else:
            await self._payer.dropped(payment)

    def _fail(self, error: ConsilienceError) -> None:
        self._failure = error
        if isinstance(error, (TransportError, ProtocolError, RefusedError)) or self._reader.left is not None:
            error.stake = self.stake
        self._reader.trace.failed(error)
        self._watch.stop()
        self._abandon()

    def _charge_or_deposit(self) -> Stake | None:
        payment, route = self._reader.payment, self._reader.route
        if payment is not None:
            return payment.stake if self._reader.is_bound else Stake(asset=payment.asset)
        if self._payer is None or route is None:
            return None
        moving = self._payer.deposits.moving_to(route.card.value.node_id)
        return None if moving is None else Stake(asset=moving.asset, deposit=moving.value)

    def _abandon(self) -> None:
        """Has the work stopped at the node, where it may be going on."""
        route = self._reader.route
        if self._abandoning is None and route is not None and self._reader.may_be_running:
            self._abandoning = self._caller.abandon(self.request_id, route=route)
        self._reader.interrupt()

    async def _leave(self) -> None:
        self._watch.stop()
        self._reader.trace.abandoned()
        if self._detached:
            self._reader.interrupt()
        else:
            self._abandon()
        self._ended = True
        await self._let_go_of_payment()
        if self._abandoning is not None:
            # A second cancellation ends the wait alone: the client closes after the node was told.
            await asyncio.shield(self._abandoning)

    def _make_result(self) -> AskResult:
        reader = self._reader
        final = reader.transcript.final
        if final is None:
            raise UsageError("the stream was left before the answer ended")
        answered = final.answer.value.outcome is Outcome.ANSWERED
        return AskResult(
            text=reader.transcript.text,
            answer=final.answer,
            node=reader.card,
            request_id=reader.request_id,
            exchange=Exchange(
                card=reader.card.envelope,
                ask=reader.ask.envelope if reader.ask else None,
                responses=tuple(reader.responses),
                text=reader.transcript.text,
                answer=final.answer.envelope,
            ),
            parsed=self._shape.parse(reader.transcript.text) if self._shape and answered else None,
            receipt=reader.payment.receipt if reader.payment else None,
            ticket=self._ticket,
        )
