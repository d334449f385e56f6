"""Vouchers: authority is brought to a node in the background, while the answer is read (spec section 3.5)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.settlements import Settlements
from consilience.client.payments.wallet_rows import Demand
from consilience.client.payments.wallets import Wallet
from consilience.client.routes import Route
from consilience.errors import ConsilienceError, ProtocolError, RefusedError, TransportError
from consilience.units import Digest, RequestId

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0
ATTEMPTS = 30
"""How often one voucher is brought to a node that does not answer, before it is left to the next one."""

_LOGGER = logging.getLogger(__name__)


Refuse = Callable[[int], None]
"""Is told that a node requires more for an ask than it can need, and that most."""


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
        route: To the node.
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
        self.route = route
        self._demands: dict[RequestId, tuple[Demand, Refuse]] = {}
        self._brought = 0
        self._stopped = False
        self._marking: set[asyncio.Task[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def want(self, demand: Demand, *, refuse: Refuse) -> None:
        """Notes what is wanted for an ask, in place of what was wanted for it before, and has it brought."""
        if self._stopped:
            return
        self._demands[demand.request_id] = demand, refuse
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._bring())

    def carried(self, cumulative: int) -> None:
        """Notes that a voucher goes with an ask."""
        self._brought = self.signed = max(self._brought, self.signed, cumulative)

    def stop(self, error: ProtocolError) -> None:
        """Brings no voucher any more: the session is not used again."""
        self._stopped, self.failure = True, error
        self._demands.clear()
        given_up = self._wallet.do(self._wallet.give_up, self._session_id, trouble=str(error), now=self._calls.now)
        marking = asyncio.create_task(given_up)
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

    async def _satisfy(self, wanted: tuple[tuple[Demand, Refuse], ...]) -> None:
        demands = [demand for demand, _ in wanted]
        authority = await self._wallet.do(self._wallet.authorize, self._session_id, *demands)
        for demand, refuse in wanted:
            if demand.request_id in authority.excessive:
                refuse(authority.excessive[demand.request_id])
        self.signed = max(self.signed, authority.cumulative)
        if authority.cumulative > self._brought and not self._stopped:
            await self._submit(authority.cumulative)

    async def _submit(self, cumulative: int) -> None:
        voucher = self._calls.voucher(self._session_id, cumulative=cumulative)
        pause = FIRST_PAUSE_SECONDS
        for _ in range(ATTEMPTS):
            try:
                state = await self._calls.submit(voucher, route=self.route)
            except TransportError:
                if any(demand.upto > cumulative for demand, _ in self._demands.values()):
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
