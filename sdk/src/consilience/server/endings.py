"""Endings: how an answer gets its signed Final, and its receipt, into the log (spec sections 2.5 and 3.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from consilience.asks import Answer, Outcome, StopReason
from consilience.envelopes import Signed
from consilience.server.conclusions import Conclusion
from consilience.server.faults import log_fault
from consilience.server.finals import Tally, final_entry, signed_answer
from consilience.server.log_writers import LogWriter, retry_seconds
from consilience.server.payments.metering import Bill
from consilience.server.payments.tills import Settled
from consilience.server.store.contract import StoredAsk
from consilience.server.store.ledger import ChainMovedError
from consilience.server.workplaces import Workplace
from consilience.telemetry import AskTrace

FAILURE = Conclusion(
    outcome=Outcome.FAILED, stop_reason=StopReason.ENGINE_FAILURE, detail="the skill failed; the node's log says why"
)
_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """The end of one answer.

    Attributes:
        ask: The bound ask.
        place: What all answers share.
        tally: Counts the log.
        bill: What the answer costs; None: nothing.
        writer: Takes Final.
        trace: Follows the ask.
    """

    ask: StoredAsk
    place: Workplace
    tally: Tally
    bill: Bill | None
    writer: LogWriter
    trace: AskTrace

    async def write(self, conclusion: Conclusion) -> tuple[Answer, int]:
        """Signs an answer, and stores it and shows it together with its receipt. Returns it, and what it was charged.

        Where a key is out of reach it is tried as often as it takes: without Final no reader would ever end. Where
        another answer of the session was quicker, the receipt is made anew, behind that one's.

        Raises:
            StoreError: As `LogWriter.finish`.
        """
        answer, charge = await self._signed(conclusion)
        finish_time = answer.value.finish_time
        keep = self.place.keep_until(self.ask, finish_time=finish_time)
        while True:
            settled = await self._settled(answer, charge=charge)
            try:
                await self.writer.finish(
                    final_entry(answer, settled=settled),
                    finish_time=finish_time,
                    keep_until_time=keep,
                    settlement=None if settled is None else settled.settlement,
                )
            except ChainMovedError:
                await asyncio.sleep(0)
                continue
            if self.bill is not None:
                self.bill.ended()
            return answer.value, charge

    async def _signed(self, conclusion: Conclusion) -> tuple[Signed[Answer], int]:
        """Returns the answer and its charge."""

        async def sign() -> tuple[Signed[Answer], int]:
            nonlocal conclusion
            try:
                return self._sign(conclusion)
            except (TypeError, ValueError):
                conclusion = FAILURE  # which fits, where it was the conclusion that did not
                raise

        return await self._persistently(sign)

    def _sign(self, conclusion: Conclusion) -> tuple[Signed[Answer], int]:
        # A clock that was set back while the answer ran makes no negative duration.
        finish_time = max(self.place.clock(), self.ask.accept_time)
        usage = self.tally.usage(counted=conclusion.usage, duration=finish_time - self.ask.accept_time)
        charge = 0 if self.bill is None else self.bill.charge(usage, outcome=conclusion.outcome)
        answer = signed_answer(
            self.ask,
            tally=self.tally,
            conclusion=conclusion,
            usage=usage,
            charged=charge > 0,
            node_id=self.place.node_id,
            signer=self.place.keys.signer(now=finish_time),
            finish_time=finish_time,
        )
        return answer, charge

    async def _settled(self, answer: Signed[Answer], *, charge: int) -> Settled | None:
        bill = self.bill
        if bill is None:
            return None
        return await self._persistently(lambda: bill.settle(answer, charge=charge))

    async def _persistently(self, make: Callable[[], Awaitable[T]]) -> T:
        """Returns what is made in the end: a key or a disk may be out of reach for a while, and fail in any way."""
        failures = 0
        while True:
            try:
                return await make()
            except Exception as error:  # noqa: BLE001 - as above
                log_fault(_LOGGER, "an answer cannot be signed yet", error=error)
                try:
                    await asyncio.sleep(retry_seconds(failures))
                except asyncio.CancelledError:
                    self.trace.failed(error)
                    raise
            failures += 1
