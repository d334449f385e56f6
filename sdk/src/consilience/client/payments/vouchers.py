"""Vouchers: authority is brought to a node in the background, while the answer is read (spec section 3.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.wallet_rows import Authority
from consilience.client.payments.wallets import Wallet
from consilience.client.routes import Route
from consilience.errors import ConsilienceError, ProtocolError, RefusedError, TransportError
from consilience.payments import Exposure
from consilience.units import Digest, RequestId

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
ATTEMPTS = 30
"""How often one voucher is brought to a node that does not answer, before it is left to the next one."""

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What a node wants authorized for an ask.

    Attributes:
        request_id: Names the ask.
        upto: The total that a voucher is to reach, in units of the asset.
        exposure: What the ask puts at risk now.
        requirement: What the node breaks by requiring more than it can need.
        refuse: Told of that, once.
    """

    request_id: RequestId
    upto: int
    exposure: Exposure
    requirement: str
    refuse: Callable[[ProtocolError], None]


class VoucherCourier:
    """Brings the vouchers of one session. Only the highest counts, so what is wanted meanwhile goes with the next one.

    Args:
        session_id: The session.
        wallet: Bounds and remembers what is signed.
        calls: Speak with the node.
        settlements: Keep what the node tells of the session.
        route: To the node.

    Attributes:
        signed: The highest `cumulative` that this client has signed.
        failure: Why the last voucher could not be brought; None: it was.
    """

    def __init__(
        self, session_id: Digest, *, wallet: Wallet, calls: PaymentCalls, settlements: Settlements, route: Route
    ) -> None:
        self.signed = 0
        self.failure: ConsilienceError | None = None
        self._session_id = session_id
        self._wallet = wallet
        self._calls = calls
        self._settlements = settlements
        self._route = route
        self._demands: dict[RequestId, Demand] = {}
        self._brought = 0
        self._stopped = False
        self._marking: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def want(self, demand: Demand) -> None:
        """Notes what is wanted for an ask, in place of what was wanted for it before, and has it brought."""
        if self._stopped:
            return
        self._demands[demand.request_id] = demand
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._bring())

    def carried(self, cumulative: int) -> None:
        """Notes that a voucher goes with an ask."""
        self._brought = self.signed = max(self._brought, self.signed, cumulative)

    def stop(self, error: ProtocolError) -> None:
        """Brings no voucher any more: the session is not used again."""
        self._stopped, self.failure = True, error
        self._demands.clear()
        marking = asyncio.create_task(asyncio.to_thread(self._wallet.mark, self._session_id, trouble=str(error)))
        self._marking.add(marking)
        marking.add_done_callback(self._marking.discard)

    async def close(self) -> None:
        """Ends what is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*self._marking, return_exceptions=True)

    async def _bring(self) -> None:
        while self._demands:
            demands, self._demands = self._demands, {}
            try:
                await self._satisfy(tuple(demands.values()))
            except ConsilienceError as error:
                self.failure = error
                _LOGGER.warning("a voucher could not be brought: %s", error)

    async def _satisfy(self, demands: tuple[Demand, ...]) -> None:
        upto = max(demand.upto for demand in demands)
        exposures = {demand.request_id: demand.exposure for demand in demands}
        authority = await asyncio.to_thread(self._wallet.authorize, self._session_id, upto=upto, exposures=exposures)
        for demand in demands:
            _check_demand(demand, authority)
        self.signed = max(self.signed, authority.cumulative)
        if authority.cumulative > self._brought:
            await self._submit(authority.cumulative)

    async def _submit(self, cumulative: int) -> None:
        voucher = self._calls.voucher(self._session_id, cumulative=cumulative)
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS):
            try:
                state = await self._calls.submit(voucher, route=self._route)
            except TransportError:
                if any(demand.upto > cumulative for demand in self._demands.values()):
                    return  # a higher one is wanted already
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            except RefusedError as error:
                if error.retry_after is None:
                    raise
                await asyncio.sleep(error.retry_after.total_seconds())
            else:
                self._brought = max(self._brought, cumulative)
                self.failure = None
                await self._settlements.note_state(state)
                return


def _check_demand(demand: Demand, authority: Authority) -> None:
    """Has a node refused that requires more than it can need.

    All that is spent and reserved is within what was signed before. So for one ask more than its exposure beyond that
    cannot be required; where it runs alone, no more than the bound.
    """
    most = authority.signed_before + demand.exposure.amount
    if authority.is_alone:
        most = min(most, authority.bound)
    if demand.upto > most:
        demand.refuse(
            ProtocolError(
                f"the node requires {demand.upto} for an answer that cannot need more than {most}",
                requirement=demand.requirement,
            )
        )
