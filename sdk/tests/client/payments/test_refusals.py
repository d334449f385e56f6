"""What a node says no to, the client pays otherwise, where that helps."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from consilience.asks import Outcome
from consilience.client import Client
from consilience.errors import BalanceTooLowError, QuoteInvalidError, RailMissingError, RefusedError, SessionClosedError
from consilience.payments import Amount
from consilience.rails.hold import HoldPayer
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from sdk.tests.client.payments.scripted_shops import ScriptedShop, sell
from sdk.tests.client.payments.shops import Shop, customer, settled
from sdk.tests.client.scripted_nodes import LIMITS, AskCall, AskScript


def payer(folder: Path) -> Client:
    return customer(folder, rails=[HoldPayer(max_credit=1_000_000)])


def refusing(error: RefusedError, *, times: int) -> tuple[AskScript, list[AskCall]]:
    """Returns a script that refuses so often before it sells, and the asks that it gets."""
    asks: list[AskCall] = []

    async def script(call: AskCall) -> AsyncIterator[bytes]:
        asks.append(call)
        if len(asks) <= times:
            raise error
        async for event in sell(call):
            yield event

    return script, asks


async def test_another_quote_is_asked_for_where_one_does_not_hold_any_more(tmp_path: Path) -> None:
    script, asks = refusing(QuoteInvalidError("used up"), times=1)
    async with ScriptedShop(on_ask=script) as shop, payer(tmp_path) as client:
        result = await client.ask("?", node=shop.address)
        (session,) = await settled(client)
    payments = [call.ask.value.payment for call in asks]
    assert result.cost == Amount(30, "TEST/0")
    assert shop.methods.count("GetQuote") == 2
    assert payments[0] is not None
    assert payments[1] is not None
    assert payments[0].quote_digest != payments[1].quote_digest
    assert len({call.ask.value.header.request_id for call in asks}) == 1
    assert (session.spent, session.running) == (30, 0)


async def test_the_same_ask_is_sent_again_where_its_session_was_short(tmp_path: Path) -> None:
    script, asks = refusing(BalanceTooLowError("too little"), times=2)
    async with ScriptedShop(on_ask=script) as shop, payer(tmp_path) as client:
        result = await client.ask("?", node=shop.address)
    assert result.outcome is Outcome.ANSWERED
    assert len({call.ask.digest for call in asks}) == 1


@pytest.mark.parametrize("error", [QuoteInvalidError("no"), BalanceTooLowError("no"), SessionClosedError("no")])
async def test_a_node_that_always_refuses_is_given_up_and_nothing_is_paid(tmp_path: Path, error: RefusedError) -> None:
    script, asks = refusing(error, times=99)
    async with ScriptedShop(on_ask=script) as shop, payer(tmp_path) as client:
        with pytest.raises(type(error)):
            await client.ask("?", node=shop.address)
        sessions = await settled(client)
    assert len(asks) < 10
    assert sum(session.running for session in sessions) == 0
    assert sum(session.spent for session in sessions) == 0


async def test_a_prompt_that_grew_at_the_node_is_paid_for_before_the_first_meter(tmp_path: Path) -> None:
    prices = (UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1),)
    tariff = Tariff(id="bytes", asset="TEST/0", prices=prices, tokenizer="words")

    async def recall(call: AskCall) -> AsyncIterator[bytes]:
        assert isinstance(call.log.node, ScriptedShop)
        shop, purchase = call.log.node, call.log.node.asked(call)
        yield call.log.accepted()
        yield purchase.needed(480)
        while shop.highest < 480:
            shop.paid.clear()
            await shop.paid.wait()
        yield call.log.text("done")
        usage = replace(purchase.usage, input_tokens=480)
        yield purchase.final(charge=480, answer={"usage": usage, "charged": True})

    limits = replace(LIMITS, max_input_tokens=500)
    async with ScriptedShop(tariff=tariff, limits=limits, on_ask=recall) as shop, payer(tmp_path) as client:
        result = await client.ask("?", node=shop.address)
    assert result.cost == Amount(480, "TEST/0")
    assert shop.highest == 480


async def test_a_client_on_credit_alone_is_told_what_a_node_takes_that_lends_nothing(tmp_path: Path) -> None:
    rails = [HoldPayer(max_credit=1000, prepaid=False)]
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=rails) as client:
        with pytest.raises(RailMissingError, match=r"takes TEST/0 as PREPAID on hold\.v1 \(test\) alone"):
            await client.ask("?", node=running.address, skill="words")
