"""Polls: asks the rails, now and then, how the transfers stand of which nobody knows (spec section 3.4).

A payment may arrive after its payer has gone, and a payout may have gone out just before a crash. So all that is
PENDING is asked about again, at the start and at each heartbeat: soon at first, and then less and less often.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience._wire.payments import decode_instruction
from consilience.errors import ConsilienceError, DepositInvalidError
from consilience.rails.contract import RailSilentError
from consilience.server.faults import log_fault
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.tills import Till
from consilience.server.payments.transfers import Transfers
from consilience.server.store.ledger import StoredDeposit, StoredWithdrawal

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
"""Between two questions about one transfer: the first time, and at most. It doubles in between."""

POLL_PATIENCE = timedelta(seconds=1)
"""How long a heartbeat waits for the rails. What they say later is written down as well."""

ROUND_TIME = timedelta(seconds=10)
"""How long one round asks one rail; the transfers that were asked about longest ago come first in the next."""

_LOGGER = logging.getLogger(__name__)

_Transfer = StoredDeposit | StoredWithdrawal
_Key = tuple[type, bytes, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pace:
    """When a transfer is asked about again, and how long after that at the soonest."""

    next_time: datetime
    wait: timedelta


class Polls:
    """Asks rails about all that is PENDING."""

    def __init__(self, transfers: Transfers, *, till: Till) -> None:
        """Makes what has asked nothing yet; `till` keeps the ledger."""
        self._transfers = transfers
        self._till = till
        self._paces: dict[_Key, _Pace] = {}
        self._round: asyncio.Task[None] | None = None

    async def poll(self, *, now: datetime) -> None:
        """Asks the rails about what is due, unless an earlier round still runs; waits for them a moment at most."""
        if self._round is None or self._round.done():
            self._round = asyncio.create_task(self._ask_all(now))
        await asyncio.wait({self._round}, timeout=POLL_PATIENCE.total_seconds())

    async def close(self) -> None:
        """Ends a round that runs."""
        if self._round is not None:
            self._round.cancel()
            await asyncio.wait({self._round})

    async def _ask_all(self, now: datetime) -> None:
        try:
            by_rail = await self._due_by_rail(now)
            await asyncio.gather(*(self._ask_about(due, now=now) for due in by_rail.values()))
        except ConsilienceError as error:
            _LOGGER.warning("the rails cannot be asked: %s", error)
        except Exception as error:  # noqa: BLE001 - the next heartbeat tries again
            log_fault(_LOGGER, "the rails cannot be asked", error=error)

    async def _due_by_rail(self, now: datetime) -> dict[str, list[_Transfer]]:
        """Returns what is to be asked about now, by the rail; what was never asked about, or longest ago, first."""
        ledger = self._till.ledger
        pending: tuple[_Transfer, ...] = (*await ledger.pending_deposits(), *await ledger.pending_withdrawals())
        self._paces = {key: pace for key in map(_key, pending) if (pace := self._paces.get(key)) is not None}
        unasked = _Pace(next_time=now, wait=FIRST_WAIT)
        due = [(self._paces.get(_key(transfer), unasked).next_time, transfer) for transfer in pending]
        by_rail: dict[str, list[_Transfer]] = {}
        for next_time, transfer in sorted(due, key=lambda item: item[0]):
            # A time that lies further ahead than any wait was set before the clock was set back.
            if now < next_time <= now + LONGEST_WAIT:
                continue
            session = await ledger.find_session(transfer.session_id)
            if session is not None:
                by_rail.setdefault(terms_of(session.terms).rail_id, []).append(transfer)
        return by_rail

    async def _ask_about(self, due: list[_Transfer], *, now: datetime) -> None:
        """Asks one rail, until it is silent or its time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROUND_TIME.total_seconds()
        for transfer in due:
            if loop.time() > end:
                return
            wait = (
                min(self._paces[_key(transfer)].wait * 2, LONGEST_WAIT) if _key(transfer) in self._paces else FIRST_WAIT
            )
            self._paces[_key(transfer)] = _Pace(next_time=now + wait, wait=wait)
            try:
                await self._ask(transfer, now=now)
            except RailSilentError:
                return
            except ConsilienceError as error:
                _LOGGER.warning("a transfer stays pending: %s", error)

    async def _ask(self, transfer: _Transfer, *, now: datetime) -> None:
        if isinstance(transfer, StoredWithdrawal):
            await self._transfers.pay(transfer)
            return
        try:
            await self._transfers.look_at(transfer)
        except DepositInvalidError:
            # The rail sees nothing by itself, and nobody has shown it anything in the time that the payer was told.
            if now > decode_instruction(transfer.instruction).expire_time:
                await self._till.ledger.fail_deposit(transfer.session_id, transfer.deposit_id)


def _key(transfer: _Transfer) -> _Key:
    own = transfer.deposit_id if isinstance(transfer, StoredDeposit) else transfer.withdrawal_id
    return type(transfer), transfer.session_id, own
