"""A session that its node closes by itself is given up: the rest of it counts as spent, and an ask gets one more."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from consilience.errors import BudgetExceededError, SessionClosedError, SessionUnknownError
from consilience.payments import Amount, Budget, SessionStatus
from sdk.tests.client.payments.scripted_shops import sell
from sdk.tests.client.payments.shops import customer
from sdk.tests.client.payments.test_takers import DEPOSIT, Taker
from sdk.tests.client.scripted_nodes import AskCall, Call

TEST = "TEST/0"


@dataclass
class Closer(Taker):
    """Closes sessions that nobody asked it to close."""

    closed: set[bytes] = field(default_factory=set)

    def state(self) -> Any:
        assert self.terms is not None
        ended = self.terms.digest in self.closed
        self.changed_state |= {"status": SessionStatus.CLOSED if ended else SessionStatus.OPEN}
        return super().state()

    async def _open(self, call: Call) -> bytes:
        opened = len(self.opened)
        response = await super()._open(call)
        if len(self.opened) == opened:
            return response
        self.spent, self.vouchers, self.receipts = 0, [], []
        return await super()._open(call)

    def close(self) -> None:
        """Closes the session that it was told of last."""
        assert self.terms is not None
        self.closed.add(self.terms.digest)


async def closing(call: AskCall) -> AsyncIterator[bytes]:
    """Closes the session of each ask, and refuses it for that."""
    assert isinstance(call.log.node, Closer)
    call.log.node.close()
    raise SessionClosedError("the session is CLOSED")
    yield b""


async def test_a_node_that_closes_every_session_gets_one_deposit_for_an_ask_and_no_more_than_a_day_allows(
    tmp_path: Path,
) -> None:
    budget = Budget(per_ask="500 TEST/0", per_day="1000 TEST/0")
    async with Closer(on_ask=closing) as shop, customer(tmp_path, rails=[shop.rail], budget=budget) as client:
        with pytest.raises(SessionClosedError, match="1000 TEST lie in a session that is not used any more") as first:
            await client.ask("?", node=shop.address)
        assert list(shop.rail.paid.values()) == [1000]
        with pytest.raises(BudgetExceededError):
            await client.ask("?", node=shop.address)
        (session,) = await client.payments.sessions()
        spent = await client.payments.spent_today(TEST)
    assert first.value.stake is not None
    assert (first.value.stake.money_moved, first.value.stake.left) == (True, 1000)
    assert list(shop.rail.paid.values()) == [1000]
    assert "has closed it" in session.trouble
    assert spent == Amount(1000, TEST)


async def test_an_ask_whose_session_its_node_has_closed_is_paid_out_of_one_more(tmp_path: Path) -> None:
    async with Closer(on_ask=sell) as shop, customer(tmp_path, rails=[shop.rail]) as client:
        await client.ask("?", node=shop.address)
        shop.on_ask = closing
        with pytest.raises(SessionClosedError) as refused:
            await client.ask("?", node=shop.address)
        spent = await client.payments.spent_today(TEST)
        sessions = await client.payments.sessions()
    assert len(shop.rail.paid) == len(sessions) == 2
    assert refused.value.stake is not None
    assert refused.value.stake.left == 2 * DEPOSIT - 30
    assert spent.value == 2 * DEPOSIT


async def test_an_ask_gets_one_session_whatever_its_node_makes_of_it(tmp_path: Path) -> None:
    asks: list[AskCall] = []

    async def unsteady(call: AskCall) -> AsyncIterator[bytes]:
        asks.append(call)
        raise SessionClosedError("it is") if len(asks) % 2 else SessionUnknownError("there is none")
        yield b""

    async with Closer(on_ask=unsteady) as shop, customer(tmp_path, rails=[shop.rail]) as client:
        with pytest.raises(SessionUnknownError):
            await client.ask("?", node=shop.address)
    assert len(asks) == 2
    assert list(shop.rail.paid.values()) == [DEPOSIT]


async def test_what_is_left_in_a_session_that_the_payer_has_closed_is_not_spent(tmp_path: Path) -> None:
    async with Closer(on_ask=sell) as shop, customer(tmp_path, rails=[shop.rail]) as client:
        await client.ask("?", node=shop.address)
        (session,) = await client.payments.sessions()
        shop.close()
        closed = await client.payments.close_session(session.session_id)
        spent = await client.payments.spent_today(TEST)
    assert (closed.status, closed.trouble) == (SessionStatus.CLOSED, "")
    assert spent == Amount(30, TEST)
