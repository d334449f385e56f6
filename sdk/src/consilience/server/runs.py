"""Runs: the work on one answer, from Accepted to Final, as one task (spec section 2.3).

The task drives the handler of the skill into the log. What stops it comes from outside and is always told in a signed
Final: the caller's CancelAnswer, the deadline, the loss of the last reader where the ask says so, the end of the node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import replace

from consilience.asks import OnDisconnect, Outcome, StopReason
from consilience.asks.claims import MAX_DETAIL_CHARACTERS
from consilience.errors import RefusedError
from consilience.server.conclusions import Conclusion
from consilience.server.deliveries import Delivery, DeliveryStoppedError
from consilience.server.endings import FAILURE, Ending
from consilience.server.faults import log_fault
from consilience.server.finals import Tally, broken_promise
from consilience.server.log_writers import log_writer
from consilience.server.logs import AnswerLog
from consilience.server.payments.metering import Bill, PaidAsk
from consilience.server.skills import IncomingAsk, Item, ServedSkill
from consilience.server.store.contract import (
    AskKey,
    LeaseLostError,
    LogEntry,
    StoredAsk,
)
from consilience.server.workplaces import Workplace
from consilience.telemetry import SILENT_TRACE, AskTrace
from consilience.units import Digest

BURST = 32
"""Events after which a run that never waits gives way to the others."""

_ENDINGS = {
    StopReason.CANCELLED: Outcome.CANCELLED,
    StopReason.DEADLINE: Outcome.CANCELLED,
    StopReason.DISCONNECTED: Outcome.CANCELLED,
    StopReason.INTERRUPTED: Outcome.FAILED,
    StopReason.OUTPUT_LIMIT: Outcome.TRUNCATED,
    StopReason.UNPAID: Outcome.TRUNCATED,
    StopReason.CHARGE_LIMIT: Outcome.TRUNCATED,
}
_LOGGER = logging.getLogger(__name__)


class AnswerRun:
    """The work on one answer in this process.

    Attributes:
        ask: The ask as it was bound.
        log: What readers read.
    """

    __slots__ = (
        "_asset",
        "_bill",
        "_delivery",
        "_incoming",
        "_on_end",
        "_readers",
        "_served",
        "_started",
        "_stop_reason",
        "_task",
        "_timer",
        "_trace",
        "_working",
        "_workplace",
        "_writer",
        "ask",
        "log",
    )

    def __init__(
        self,
        ask: StoredAsk,
        *,
        accepted: LogEntry,
        incoming: IncomingAsk,
        served: ServedSkill,
        workplace: Workplace,
        on_end: Callable[[AnswerRun], None],
        paid: PaidAsk | None = None,
        ticket_digest: Digest | None = None,
        trace: AskTrace = SILENT_TRACE,
    ) -> None:
        """Takes over an ask that was bound just now; `on_end` is called once, when the work is over."""
        self.ask = ask
        self.log = AnswerLog()
        self.log.publish((accepted,))
        self._incoming = incoming
        self._served = served
        self._workplace = workplace
        self._on_end = on_end
        self._trace = trace
        self._writer = log_writer(ask, store=workplace.store, log=self.log)
        tally = Tally()
        self._asset = None if paid is None else paid.tariff.asset
        self._bill = None if paid is None else Bill(ask, paid=paid, tally=tally, ticket_digest=ticket_digest)
        self._delivery = Delivery(
            writer=self._writer, tally=tally, on_first_text=self._tell_first_text, charge=self._bill
        )
        self._readers = 0
        self._started = False
        self._working = True
        self._stop_reason: StopReason | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def key(self) -> AskKey:
        """Caller and request id."""
        return self.ask.key

    def _is_stopped(self) -> bool:
        return self._stop_reason is not None

    def start(self) -> None:
        """Begins the work."""
        loop = asyncio.get_running_loop()
        left = (self._incoming.deadline - self._workplace.clock()).total_seconds()
        self._task = loop.create_task(self._run())
        self._timer = loop.call_later(max(left, 0.0), self.stop, StopReason.DEADLINE)
        self._workplace.observer.accepted(skill_id=self._served.skill.id)
        self._trace.accepted()

    def stop(self, reason: StopReason) -> None:
        """Stops the work; the Final that says so comes once the handler has let go. The first reason counts."""
        if self._is_stopped() or not self._working:
            return
        self._stop_reason = reason
        # A task that is cancelled before its first step would never take any.
        if self._started and self._task is not None:
            self._task.cancel()

    def kill(self) -> None:
        """Drops the work without a Final, because the process ends or another one has taken over.

        Whoever claims the answer from a durable store ends it.
        """
        self._writer.abort()
        if self._task is not None:
            self._task.cancel()

    async def check_lease(self) -> None:
        """Drops the work where another replica has taken it over; readers then read on from the store."""
        try:
            await self._workplace.store.append(self.key, (), epoch=self.ask.epoch)
        except LeaseLostError:
            if not self.log.ended:
                self.kill()

    async def ended(self) -> None:
        """Returns when the work is over."""
        while not self.log.ended:
            await self.log.grown()

    def reader_came(self) -> None:
        """Counts a stream that reads the answer."""
        self._readers += 1

    def reader_left(self) -> None:
        """Counts it off; where it was the last one and the asker wants that, the work stops (ASK-STOP-003)."""
        self._readers -= 1
        if not self._readers and self._incoming.ask.on_disconnect is OnDisconnect.CANCEL:
            self.stop(StopReason.DISCONNECTED)

    async def _run(self) -> None:
        self._started = True
        lost = True
        try:
            with self._trace.active():
                conclusion = await self._work()
            await self._finish(conclusion)
            lost = False
        except LeaseLostError:
            _LOGGER.warning("another replica has taken over an answer of %s", self._served.skill.id)
        except asyncio.CancelledError:
            _LOGGER.warning("an answer of %s is dropped without a Final", self._served.skill.id)
        except Exception as error:  # noqa: BLE001 - a run that fails takes nothing with it
            log_fault(_LOGGER, f"an answer of {self._served.skill.id} could not be ended", error=error)
            self._trace.failed(error)
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._trace.abandoned()  # where it has not ended
            self._on_end(self)
            self.log.end(lost=lost)

    async def _work(self) -> Conclusion:
        """Drives the handler, and returns how it ended."""
        conclusion: Conclusion | None = None
        if not self._is_stopped():
            items = self._served.handler(self._incoming)
            try:
                conclusion = await self._consume(items)
            except asyncio.CancelledError as error:
                if self._is_stopped():
                    _absorb_cancellation()
                    conclusion = await _last_words(items)
                elif _is_cancelled():
                    raise
                else:
                    # Something that the handler waited for was cancelled, and not the handler.
                    log_fault(_LOGGER, f"the handler of {self._served.skill.id} failed", error=error)
                    conclusion = FAILURE
            except LeaseLostError:
                raise
            except RefusedError as refusal:
                # Made to be read by the asker; it came too late to be a status.
                conclusion = replace(FAILURE, detail=str(refusal)[:MAX_DETAIL_CHARACTERS])
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is told in the Final
                log_fault(_LOGGER, f"the handler of {self._served.skill.id} failed", error=error)
                conclusion = FAILURE
            finally:
                self._working = False
                await _close(items)
        self._working = False
        if self._stop_reason is not None:
            outcome = _ENDINGS[self._stop_reason]
            return replace(conclusion or Conclusion(), outcome=outcome, stop_reason=self._stop_reason, detail="")
        return conclusion or Conclusion()

    async def _consume(self, items: AsyncIterator[Item]) -> Conclusion | None:
        """Writes what the handler yields, until it ends, concludes or was stopped."""
        burst = 0
        async for item in items:
            if isinstance(item, Conclusion):
                return item
            if self._is_stopped():
                return None
            try:
                await self._delivery.deliver(item)
            except DeliveryStoppedError as stopped:
                self.stop(stopped.reason)
                await asyncio.sleep(0)  # where the stop arrives
            burst += 1
            if burst == BURST:
                burst = 0
                await asyncio.sleep(0)
        return None

    def _tell_first_text(self) -> None:
        delay = self._workplace.clock() - self.ask.accept_time
        self._workplace.observer.first_delta(skill_id=self._served.skill.id, delay=delay)
        self._trace.first_text()

    async def _finish(self, conclusion: Conclusion) -> None:
        """Signs the Final, stores it and shows it."""
        place = self._workplace
        if missing := broken_promise(self._served.skill, conclusion=conclusion, tally=self._delivery.tally):
            _LOGGER.error("the handler of %s did not give %s, which the card promises", self._served.skill.id, missing)
            conclusion = replace(FAILURE, detail=f"the answer lacks {missing}, which the card promises")
        ending = Ending(
            ask=self.ask,
            place=place,
            tally=self._delivery.tally,
            bill=self._bill,
            writer=self._writer,
            trace=self._trace,
        )
        answer, charge = await ending.write(conclusion)
        skill_id = self._served.skill.id
        if self._asset is not None:
            place.observer.charged(skill_id=skill_id, asset=self._asset, amount=charge)
        place.observer.finished(
            skill_id=skill_id, outcome=answer.outcome, stop_reason=answer.stop_reason, usage=answer.usage
        )
        self._trace.finished(answer)


def _absorb_cancellation() -> None:
    """Takes the cancellation of `AnswerRun.stop` as dealt with, so that the task can go on to write the Final."""
    task = asyncio.current_task()
    if task is not None and task.uncancel():
        raise asyncio.CancelledError


def _is_cancelled() -> bool:
    """Tells whether the present task was cancelled from outside and that is not dealt with."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _last_words(items: AsyncIterator[Item]) -> Conclusion | None:
    """Tells a handler that waits at a `yield` that it is stopped, and returns what it still has to say.

    One that waited at an `await` was told there; where it let the cancellation pass, it is over.
    """
    if not isinstance(items, AsyncGenerator):
        return None
    try:
        item = await items.athrow(asyncio.CancelledError())
    except asyncio.CancelledError:
        if _is_cancelled():
            raise
        return None
    except StopAsyncIteration:
        return None
    except Exception as error:  # noqa: BLE001 - it is being stopped, and that is what the Final says
        log_fault(_LOGGER, "a handler failed while it was stopped", error=error)
        return None
    return item if isinstance(item, Conclusion) else None


async def _close(items: AsyncIterator[Item]) -> None:
    if isinstance(items, AsyncGenerator):
        try:
            await items.aclose()
        except Exception as error:  # noqa: BLE001 - it has said everything
            log_fault(_LOGGER, "a handler failed while it was closed", error=error)
