"""AskService: the four methods of the noun ask (spec chapter 2), thin over `admission` and `answers`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from consilience._wire import services
from consilience.asks import Ask, CancelAnswerCall, GetAnswerCall, ResumeAnswerCall
from consilience.calls import check_freshness
from consilience.envelopes import Signed
from consilience.errors import AnswerUnknownError, NodeDrainingError, RequestIdReusedError, StaleCardError
from consilience.server.admission import House, OpenedAsk, admit, open_ask, open_call
from consilience.server.answers import AnswerReader, Answers
from consilience.server.cards import CardIssuer
from consilience.server.load import Load
from consilience.server.payments.admission import PaidAdmission, uncovered
from consilience.server.readers import Write
from consilience.server.runs import AnswerRun
from consilience.server.skills import SkillBook
from consilience.server.store.contract import AskKey, StoredAsk, StoreError
from consilience.telemetry import AskTrace, ReceivedMetadata, TracedAsk, Tracer


@dataclass(slots=True, kw_only=True)
class AskService:
    """Takes questions and streams answers.

    Attributes:
        house: The rules of the node.
        skills: What it can be asked.
        cards: Tells which cards are honoured.
        answers: Those there are.
        load: Counts the running ones.
        clock: Tells the aware UTC time.
        retry_after: How long a caller is asked to wait while the node drains.
        tracer: Follows the asks.
        payments: Takes the money for asks; None: all are free.
        draining: Whether new asks are refused.
    """

    house: House
    skills: SkillBook
    cards: CardIssuer
    answers: Answers
    load: Load
    clock: Callable[[], datetime]
    retry_after: timedelta
    tracer: Tracer
    payments: PaidAdmission | None = None
    draining: bool = False

    async def ask(self, request: bytes, write: Write, metadata: ReceivedMetadata) -> bytes:
        """Starts the work on an ask, or attaches to it; streams the log from its beginning, and returns its end."""
        opened = open_ask(request, house=self.house)
        return await _send(self.answers.reader(await self._accept(opened, metadata=metadata)), write)

    async def resume_answer(self, request: bytes, write: Write) -> bytes:
        """Streams the log of an answer from behind a sequence, and returns its end, if there is anything left."""
        call = open_call(request, ResumeAnswerCall, house=self.house).value
        reader = self.answers.reader(await self._answer_of(call), after=call.after_sequence)
        return await _send(reader, write)

    async def get_answer(self, request: bytes) -> bytes:
        """Returns what there is of an answer now."""
        call = open_call(request, GetAnswerCall, house=self.house).value
        return services.encode_snapshot(await self.answers.snapshot(await self._answer_of(call)))

    async def cancel_answer(self, request: bytes) -> bytes:
        """Stops the work on an answer, and returns its Final."""
        call = open_call(request, CancelAnswerCall, house=self.house).value
        return services.encode_cancelled(await self.answers.cancel(await self._answer_of(call)))

    async def _accept(self, opened: OpenedAsk, *, metadata: ReceivedMetadata) -> AnswerRun | StoredAsk:
        """Returns the answer to an ask: the one that its earlier copy started, or a new one.

        Raises:
            RefusedError: For the first reason that holds, in the order of spec section 2.2; nothing is bound.
        """
        signed, header = opened.signed, opened.signed.value.header
        key = AskKey(caller=header.caller, request_id=header.request_id)
        found = await self.answers.find(key)
        if found is not None:
            _check_reuse(found, signed)
        check_freshness(header, now=self.clock())
        if found is not None:
            return found
        trace = self.tracer.answering(TracedAsk.of(signed.value), metadata=metadata)
        self.answers.begin_admission(key)
        admission = self._admit(key, opened, trace=trace)
        started = await (_to_the_end(admission) if self.answers.durable else admission)
        if isinstance(started, StoredAsk):
            # Another replica was quicker to bind the key, to another question even.
            _check_reuse(started, signed)
        return started

    async def _admit(self, key: AskKey, opened: OpenedAsk, *, trace: AskTrace) -> AnswerRun | StoredAsk:
        try:
            return await self._start(opened, trace=trace)
        except Exception as error:
            trace.failed(error)
            raise
        except asyncio.CancelledError:
            trace.abandoned()
            raise
        finally:
            self.answers.end_admission(key)

    async def _start(self, opened: OpenedAsk, *, trace: AskTrace) -> AnswerRun | StoredAsk:
        """Admits and starts an ask that nothing is known of."""
        signed, ask, now = opened.signed, opened.signed.value, self.clock()
        self._check_draining()
        if not await self.cards.honours(ask.card_digest, now=now):
            raise StaleCardError("the card that the ask relies on is not honoured here any more")
        incoming, served = admit(signed, house=self.house, skills=self.skills, now=now)
        place = self.load.take(ask.header.caller, skill=served.skill, limits=self.house.limits)
        try:
            if served.check is not None:
                await served.check(incoming)
            paid = None if self.payments is None else await self.payments.admit(opened, skill=served.skill, now=now)
            self._check_draining()  # which may have begun during one of the waits above
        except BaseException:
            self.load.give_back(place)
            raise
        try:
            return await self.answers.start(
                signed, incoming=incoming, served=served, place=place, trace=trace, paid=paid
            )
        except StoreError as error:
            if (refused := uncovered(error, paid=paid)) is None:
                raise
            raise refused from error

    def _check_draining(self) -> None:
        if self.draining:
            raise NodeDrainingError("the node is shutting down", retry_after=self.retry_after)

    async def _answer_of(self, call: ResumeAnswerCall | GetAnswerCall | CancelAnswerCall) -> AnswerRun | StoredAsk:
        """Returns the answer that a call is about.

        Raises:
            CallExpiredError, CallNotYetValidError: With the time of the node.
            AnswerUnknownError: There is none, or it is somebody else's: the key holds the caller (ASK-OWN-001).
        """
        check_freshness(call.header, now=self.clock())
        found = await self.answers.find(AskKey(caller=call.header.caller, request_id=call.ask_request_id))
        if found is None:
            raise AnswerUnknownError("there is no answer of this caller under this request id")
        return found


def _check_reuse(found: AnswerRun | StoredAsk, signed: Signed[Ask]) -> None:
    """Checks that an ask is a copy of the one that is bound to its request id.

    Raises:
        RequestIdReusedError: It is another ask (ASK-IDEM-002).
    """
    bound = found.ask if isinstance(found, AnswerRun) else found
    if bound.ask_digest != signed.digest:
        raise RequestIdReusedError("the request id is bound to another ask of this caller")


async def _to_the_end(admission: Coroutine[Any, Any, AnswerRun | StoredAsk]) -> AnswerRun | StoredAsk:
    """Carries an admission through though its caller goes away: a database may have bound the ask by then.

    Otherwise an ask could stay behind that is bound and that nobody works on.
    """
    task = asyncio.create_task(admission)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.add_done_callback(_leave)
        raise


def _leave(admission: asyncio.Task[AnswerRun | StoredAsk]) -> None:
    """Tells a run, accepted after its caller had gone, that the caller has gone."""
    if admission.cancelled() or admission.exception() is not None:
        return
    if isinstance(run := admission.result(), AnswerRun):
        run.reader_came()
        run.reader_left()


async def _send(reader: AnswerReader, write: Write) -> bytes:
    try:
        return await reader.send(write)
    finally:
        reader.close()
