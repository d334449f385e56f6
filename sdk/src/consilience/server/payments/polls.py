"""Polls: asks the rails, now and then, how the transfers stand of which nobody knows (spec section 3.4).

A payment may arrive after its payer has gone, and a payout may have gone out just before a crash. So all that is
PENDING is asked about again, at the start and at each heartbeat: soon at first, and then less and less often.

Anybody may ask for deposits that nobody will make. So of those that are known only their names and the time of the next
question are kept, and a heartbeat reads the new ones and those that are due.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience._wire.payments import decode_instruction
from consilience.errors import ConsilienceError, DepositInvalidError
from consilience.payments import TransferStatus
from consilience.rails.contract import RailSilentError
from consilience.server.faults import log_fault
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.tills import Till
from consilience.server.payments.transfers import Transfers
from consilience.server.store.ledger import StoredDeposit, StoredWithdrawal
from consilience.units import Digest

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=5)
"""Between two questions about one transfer: the first time, and at most. It doubles in between."""

POLL_PATIENCE = timedelta(seconds=1)
"""How long a heartbeat waits for the rails. What they say later is written down as well."""

ROUND_TIME = timedelta(seconds=10)
"""How long one round asks one rail; the transfers that were asked about longest ago come first in the next."""

PAGE = 500
"""How many new deposits are read at a time."""

_LOGGER = logging.getLogger(__name__)

_Transfer = StoredDeposit | StoredWithdrawal
_Key = tuple[type, Digest, bytes]


@dataclass(slots=True, kw_only=True)
class _Pace:
    """By which rail a transfer moves, when it is asked about again, and how long after the last time; zero: never."""

    rail_id: str
    next_time: datetime
    wait: timedelta = timedelta(0)

    def ask(self, now: datetime) -> None:
        """Notes that it is asked about now."""
        self.wait = min(2 * self.wait, LONGEST_WAIT) if self.wait else FIRST_WAIT
        self.next_time = now + self.wait


class Polls:
    """Asks rails about all that is PENDING."""

    def __init__(self, transfers: Transfers, *, till: Till) -> None:
        """Makes what has asked nothing yet; `till` keeps the ledger."""
        self._transfers = transfers
        self._till = till
        self._paces: dict[_Key, _Pace] = {}
        self._payouts: dict[_Key, StoredWithdrawal] = {}
        self._last_place = 0
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

    async def _due_by_rail(self, now: datetime) -> dict[str, list[_Key]]:
        """Returns what is to be asked about now, by the rail; what was never asked about, or longest ago, first."""
        await self._find_deposits(now)
        await self._find_payouts(now)
        by_rail: dict[str, list[_Key]] = {}
        latest = now + LONGEST_WAIT  # a time further ahead than any wait was set before the clock was set back
        due = [
            (pace.next_time, key)
            for key, pace in self._paces.items()
            if not pace.wait or not now < pace.next_time <= latest
        ]
        for _, key in sorted(due, key=lambda item: item[0]):
            by_rail.setdefault(self._paces[key].rail_id, []).append(key)
        return by_rail

    async def _find_deposits(self, now: datetime) -> None:
        """Takes note of the deposits that were begun since the last round: here, or by another replica."""
        while page := await self._till.ledger.next_pending_deposits(after=self._last_place, limit=PAGE):
            for place, deposit in page:
                await self._take_note(deposit, now=now)
                self._last_place = place

    async def _find_payouts(self, now: datetime) -> None:
        """Takes note of the payouts that are pending: each moves money that was brought here, so they are few."""
        pending = {_key(payout): payout for payout in await self._till.ledger.pending_withdrawals()}
        for ended in self._payouts.keys() - pending.keys():
            self._paces.pop(ended, None)
        self._payouts = pending
        for key, payout in pending.items():
            if key not in self._paces:
                await self._take_note(payout, now=now)

    async def _take_note(self, transfer: _Transfer, *, now: datetime) -> None:
        session = await self._till.ledger.find_session(transfer.session_id)
        if session is not None:
            self._paces[_key(transfer)] = _Pace(rail_id=terms_of(session.terms).rail_id, next_time=now)

    async def _ask_about(self, due: list[_Key], *, now: datetime) -> None:
        """Asks one rail, until it is silent or its time is over."""
        loop = asyncio.get_running_loop()
        end = loop.time() + ROUND_TIME.total_seconds()
        for key in due:
            if loop.time() > end:
                return
            self._paces[key].ask(now)
            try:
                transfer = await self._pending(key)
                if transfer is None:
                    del self._paces[key]
                else:
                    await self._ask(transfer, now=now)
            except RailSilentError:
                return
            except ConsilienceError as error:
                _LOGGER.warning("a transfer stays pending: %s", error)

    async def _pending(self, key: _Key) -> _Transfer | None:
        """Returns a transfer as it stands; None: it has ended."""
        kind, session_id, own = key
        if kind is StoredWithdrawal:
            return self._payouts.get(key)
        deposit = await self._till.ledger.find_deposit(session_id, own)
        return deposit if deposit is not None and deposit.status is TransferStatus.PENDING else None

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
