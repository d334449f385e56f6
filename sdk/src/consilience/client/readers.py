"""Readers: one unbroken log of an answer, however often the connection breaks (spec sections 2.3 and 2.4).

    ask --> events --> Final --> end            a stream without trouble: one call
     |        |
     |        `- broken: resume behind the last event that arrived, as often as it takes
     `- broken before the first event: the very same bytes again, for the node to attach; once they have expired,
        resume from the beginning, and where the node knows of no such answer, nothing was bound: sign anew

Whatever is sent again goes out under the request id of the ask, so that the work is done once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from grpc.aio import AioRpcError, UnaryStreamCall

from consilience._wire.errors import error_from_rpc
from consilience.asks import ASK_METHOD, RESUME_METHOD, Accepted, AnswerEvent, Ask
from consilience.client.arrivals import Arrivals
from consilience.client.backoff import ATTEMPTS_BEFORE_PROGRESS, FIRST_PAUSE_SECONDS, Backoff
from consilience.client.caller import Caller
from consilience.client.cards import NodeReference
from consilience.client.connections import Connection
from consilience.client.openings import Opening
from consilience.client.outages import EndedTooSoonError, Outage
from consilience.client.questions import Question
from consilience.client.routes import Route
from consilience.client.tickets import HeldTicket
from consilience.client.watches import LONGEST_CALL_SECONDS, Watch
from consilience.envelopes import Signed
from consilience.errors import (
    AnswerUnknownError,
    AudienceWrongError,
    CallExpiredError,
    ConsilienceError,
    LimitExceededError,
    NodeFaultError,
    ProtocolError,
    RefusedError,
    SequenceUnknownError,
    Stake,
    StaleCardError,
    TransportError,
    UnreachableError,
    WrongReplicaError,
)
from consilience.nodes import NodeCard
from consilience.payments import CardOutdatedError
from consilience.telemetry import AskTrace
from consilience.units import RequestId

if TYPE_CHECKING:  # a free ask does without
    from consilience.client.payments.paid_asks import PaidAsk
    from consilience.client.payments.payer import Payer

_LAST_MOMENT = timedelta(seconds=1)
"""How long before its expiry an ask is not sent any more."""

T = TypeVar("T")


class LogReader:
    """Reads the log of one answer, verifies each event, and goes on behind the last one when a connection breaks.

    Args:
        caller: Who asks.
        node: Whom.
        request_id: The name of the ask.
        question: What is asked; None to read an answer that was asked for before.
        watch: Bounds all of it.
        payer: Pays for it; None: nobody.
    """

    def __init__(
        self,
        caller: Caller,
        *,
        node: NodeReference,
        request_id: RequestId,
        question: Question | None,
        watch: Watch,
        payer: Payer | None = None,
    ) -> None:
        self.request_id = request_id
        self._opening = Opening(caller, payer=payer, request_id=request_id, question=question)
        self._arrivals = Arrivals(self._opening, max_bytes=caller.max_answer_bytes)
        self.transcript = self._arrivals.transcript
        self.responses = self._arrivals.responses
        self._caller = caller
        self._node = node
        self._watch = watch
        self._backoff = Backoff()
        self.outage = Outage(request_id)
        self._route: Route | None = None
        self._card: Signed[NodeCard] | None = None
        self._connection: Connection | None = None
        self._call: UnaryStreamCall[bytes, bytes] | None = None
        self._sent = False  # an attempt may have reached the node
        self._refused = False
        self._looking = False  # for an answer of which it is not known whether it was bound
        self._card_renewed = False

    @property
    def card(self) -> Signed[NodeCard]:
        """The card that the ask relies on. There is one once the first event was read."""
        if self._card is None:
            raise RuntimeError("no card was fetched yet")
        return self._card

    @property
    def ask(self) -> Signed[Ask] | None:
        """The ask as it was signed here; None: it was not."""
        return self._opening.ask

    @property
    def payment(self) -> PaidAsk | None:
        """What the answer is paid by; None: it is free, or it is not known here."""
        return self._opening.payment

    @property
    def left(self) -> Stake | None:
        """What lies in sessions that were given up for the ask; None: there were none."""
        return self._opening.left

    @property
    def trace(self) -> AskTrace:
        """Follows the ask."""
        return self._opening.trace

    @property
    def route(self) -> Route | None:
        """The way to the node, once there is one."""
        return self._route

    @property
    def may_be_running(self) -> bool:
        """Whether the node may be at work on the answer still."""
        reached = self._call is not None or self._sent
        return reached and not self._refused and self.transcript.final is None

    @property
    def is_bound(self) -> bool:
        """Whether the node has taken the ask, or may have."""
        return self._began or self.may_be_running

    @property
    def _began(self) -> bool:
        return self.transcript.last_sequence > 0

    @property
    def _may_renew_card(self) -> bool:
        is_held = self._opening.is_question and self._card is not None
        return is_held and not self._began and not self._card_renewed

    async def read(self) -> AnswerEvent | None:
        """Returns the next event, or None behind Final.

        Raises:
            RefusedError: The node will not take the ask, or does not have the answer.
            ProtocolError: The node broke the rules of the log.
            TransportError: The connection broke and did not come back, or the watch ran out.
        """
        while not self._arrivals.ready:
            try:
                call = self._call or await self._open()
            except (CardOutdatedError, RefusedError) as unready:  # of what comes before the ask: it was not sent
                await self._recover(unready)
                continue
            try:
                received = await call.read()
            except AioRpcError as error:
                failure = error_from_rpc(error)
                failure.__cause__ = error
            except asyncio.CancelledError:
                # The watch and the payment cancel the call, and others the task that waits for it.
                stopped = self._stopped
                if stopped is None or _is_being_cancelled():
                    raise
                raise stopped from None
            else:
                if isinstance(received, bytes):
                    self._take(received)
                    continue
                failure = EndedTooSoonError("the node ended the stream before the answer")
            self._call = None
            if self.transcript.final is not None:
                return None
            if (stopped := self._stopped) is not None:
                raise stopped from failure
            await self._recover(failure)
        return self._arrivals.ready.popleft()

    def ticket_of(self, accepted: Accepted) -> HeldTicket | None:
        """Returns the ticket of an ask that was signed here; see `Opening.ticket_of`."""
        return self._opening.ticket_of(accepted, card=self.card)

    async def read_end(self, *, seconds: float) -> None:
        """Makes sure that nothing follows Final, unless the node takes longer than this to end the stream.

        Raises:
            ProtocolError: Something does (STRM-LOG-003).
        """
        call, self._call = self._call, None
        if call is None:
            return
        # The end mostly comes together with Final and is noticed in this turn of the loop: no need to read on.
        await asyncio.sleep(0)
        if call.done():
            return
        timer = asyncio.get_running_loop().call_later(seconds, call.cancel)
        try:
            received = await call.read()
        except AioRpcError:
            return  # the log is whole; how the connection ended does not matter
        except asyncio.CancelledError:
            if _is_being_cancelled():
                raise
            return
        finally:
            timer.cancel()
        if isinstance(received, bytes):
            call.cancel()
            self._take(received)

    def interrupt(self) -> None:
        """Ends the call that is being read."""
        if self._call is not None:
            self._call.cancel()

    def _take(self, received: bytes) -> None:
        """Verifies what arrived, as a whole, and makes it ready to be read."""
        self._arrivals.take(received, card=self.card.value)
        if self._sent and self._backoff.failures:
            self.trace.reconnected()
        self._backoff.progress()
        self.outage.end()

    async def _open(self) -> UnaryStreamCall[bytes, bytes]:
        """Starts the call that brings the next events."""
        if self._watch.error is not None:
            raise self._out_of_time(self._watch.error)
        route = self._route or self._caller.cards.cached(self._node)
        if route is None:
            route = await self._in_time(self._caller.cards.refreshed(self._node))
        self._route = route
        connection = self._connection = self._connection or route.connection
        method, request = await self._request(route, connection)
        self._call = connection.stream(method, request, seconds=LONGEST_CALL_SECONDS, metadata=self.trace.metadata)
        return self._call

    async def _request(self, route: Route, connection: Connection) -> tuple[str, bytes]:
        """Returns what to send next: the ask while nothing came of it, else the wish to read on."""
        opening = self._opening
        if self.ask is not None and self._caller.clock() > self.ask.value.header.expire_time - _LAST_MOMENT:
            self._looking = True
        if not opening.is_question or self._looking or self._began:
            await self._in_time(opening.resume(route))
            self._card = self._card or (self.payment.card if self.payment else route.card)
            request = self._caller.resume_request(
                self.request_id, card=route.card.value, after=self.transcript.last_sequence
            )
            method = RESUME_METHOD
        else:
            if self.ask is None:
                signing = self._sign(route, connection)
                waits = self.payment is not None or opening.costs(route.card.value)
                await (self._in_time(signing) if waits else signing)
            method, request = ASK_METHOD, opening.request()
        if self.payment is not None:
            self.payment.on_breach = self._stop_paying
        return method, request

    async def _sign(self, route: Route, connection: Connection) -> None:
        """Signs the ask, after it was made ready to be paid; what is signed is written down before it is sent."""
        self._card = route.card
        if self._opening.costs(route.card.value):
            await self._opening.pay(route)
        ask = self._opening.sign(route, authority=connection.endpoint.authority, seconds_left=self._watch.seconds_left)
        if self.payment is not None:
            await self.payment.bind(ask)

    def _stop_paying(self, _: ProtocolError) -> None:
        self.interrupt()

    async def _recover(self, failure: ConsilienceError) -> None:
        """Makes ready for another attempt after a failed one, or raises why there is none."""
        match failure:
            case WrongReplicaError():
                await self._turn_to_replica(failure)
            case StaleCardError() | AudienceWrongError() | CardOutdatedError() if self._may_renew_card:
                await self._renew_card(failure)
            case CallExpiredError() if self.ask and self._sent and not (self._began or self._looking):
                self._looking = True
            case AnswerUnknownError() if self._looking or self._began:
                self._begin_anew(failure)
            case RefusedError() if self._route and not self._began and self._opening.may_pay_otherwise(failure):
                await self._in_time(self._opening.pay_otherwise(failure, route=self._route))
            case SequenceUnknownError():
                raise ProtocolError("the node lost events that it had sent", requirement="STRM-LOG-001") from failure
            case RefusedError(retry_after=timedelta() as pause):
                await self._wait(pause.total_seconds(), failure)
            case LimitExceededError() | NodeFaultError() if self._began:
                await self._pause(failure)
            case TransportError():
                await self._reconnect(failure)
            case _:
                self._refused = isinstance(failure, RefusedError)
                raise self._opening.explained(failure)

    def _begin_anew(self, failure: AnswerUnknownError) -> None:
        """Has the ask signed anew where nothing came of it; an answer that had begun is lost."""
        if self._began:
            self._refused = True
            raise self.outage.answer_lost(last=self.transcript.last_sequence) from failure
        self._looking = False
        self._opening.drop(failure)

    async def _turn_to_replica(self, failure: WrongReplicaError) -> None:
        if self._route is None:
            raise failure
        if self._backoff.failures:
            await self._pause(failure)
        self._backoff.failure()
        self._connection = await self._in_time(self._route.redirected(failure))

    async def _pause(self, failure: RefusedError) -> None:
        """Waits a little: the node counts the reader whose connection broke until it notices, or caught a fault."""
        if self._backoff.failure().is_hopeless:
            raise failure
        await self._in_time(asyncio.sleep(self._backoff.pause_seconds))

    async def _renew_card(self, failure: ConsilienceError) -> None:
        """Fetches the card again; the ask is signed anew under the same request id, of which nothing is bound."""
        route = await self._in_time(self._caller.cards.refreshed(self._node))
        self._card_renewed = True
        if route.card.digest == self.card.digest:
            self._refused = True
            raise self._opening.explained(failure)
        self._route, self._connection = route, None
        self._opening.drop(failure)
        await self._in_time(self._opening.drop_payment())

    async def _wait(self, seconds: float, failure: RefusedError) -> None:
        """Waits as long as the node asks for, and not less than a moment, if the user waits that long."""
        self.outage.told_to_wait(failure)
        seconds = max(seconds, FIRST_PAUSE_SECONDS)
        left = self._watch.seconds_left
        if seconds >= left if left is not None else not self._backoff.may_wait(seconds):
            self._refused = True
            raise failure
        await self._in_time(asyncio.sleep(seconds))

    async def _reconnect(self, failure: TransportError) -> None:
        """Waits a little and finds another connection."""
        route, connection = self._route, self._connection
        if route is None or connection is None:
            raise failure
        self._sent = self._sent or not connection.is_down
        self.outage.broke(failure)
        if self._backoff.failure().is_hopeless:
            raise self.outage.given_up(failure, connection, sent=self._sent) from failure
        if isinstance(failure, EndedTooSoonError) and self._backoff.failures >= ATTEMPTS_BEFORE_PROGRESS:
            raise ProtocolError(str(failure), requirement="STRM-LOG-003")
        await self._in_time(asyncio.sleep(self._backoff.pause_seconds))
        self._connection = None
        try:
            await self._in_time(route.recover(connection))
        except ProtocolError:
            # The certificate changed beyond what the card allows: perhaps there is a newer card.
            with contextlib.suppress(UnreachableError):
                self._route = await self._in_time(self._caller.cards.refreshed(self._node))

    @property
    def _stopped(self) -> ConsilienceError | None:
        """Why reading has ended: the node is not paid any more, or nobody waits any longer."""
        if self.payment is not None and self.payment.breach is not None:
            return self.payment.breach
        return None if self._watch.error is None else self._out_of_time(self._watch.error)

    def _out_of_time(self, expired: TransportError) -> ConsilienceError:
        connection = self._connection or (self._route.connection if self._route else None)
        return self.outage.out_of_time(expired, connection, sent=self._sent)

    async def _in_time(self, work: Awaitable[T]) -> T:
        """Waits for something no longer than the watch allows."""
        try:
            async with asyncio.timeout_at(self._watch.ends_at):
                return await work
        except TimeoutError as error:
            raise self._out_of_time(self._watch.expired()) from error


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
