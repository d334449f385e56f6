"""What lies unspent at a node, also in sessions that are left alone, comes to the budget of a day at most."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.errors import BudgetExceededError
from consilience.payments import Amount, Budget
from sdk.tests.client.payments.shops import customer
from sdk.tests.client.payments.test_takers import DEPOSIT, Taker
from sdk.tests.client.scripted_nodes import AskCall


async def stalling(call: AskCall) -> AsyncIterator[bytes]:
    yield call.log.accepted()
    await asyncio.Event().wait()


async def test_a_node_that_never_ends_an_answer_gets_no_more_than_the_budget_of_a_day(tmp_path: Path) -> None:
    budget = Budget(per_ask="500 TEST/0", per_day=Amount(2 * DEPOSIT, "TEST/0"))
    async with Taker(on_ask=stalling) as shop, customer(tmp_path, rails=[shop.rail], budget=budget) as client:
        for _ in range(2):
            async with client.stream("?", node=shop.address) as stream:
                stream.detach()
        with pytest.raises(BudgetExceededError, match="3000 TEST lie at the node that are not spent") as exceeded:
            await client.ask("?", node=shop.address)
        sessions = {session.session_id: session for session in await client.payments.sessions()}
    named = exceeded.value.sessions
    assert len(named) == len(sessions) - 1 == 2  # the third is empty
    words = [f"{DEPOSIT} TEST in session {session_id.hex()[:12]}" for session_id in named]
    assert f"There are {', '.join(words)}: `consilience sessions state {named[0].hex()[:12]}`" in str(exceeded.value)
    assert f"`consilience sessions close {named[0].hex()[:12]}`" in str(exceeded.value)
    assert list(shop.rail.paid.values()) == [DEPOSIT, DEPOSIT]
