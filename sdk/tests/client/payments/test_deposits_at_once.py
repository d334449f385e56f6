"""Deposits that cross each other, and states that come out of their order: none is lost, and nobody is accused."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.deposits import Deposits
from consilience.payments import TransferStatus
from consilience.server.payments.service import PaymentService
from consilience.units import utc_now
from sdk.tests.client.payments.shops import settled, wallet_in
from sdk.tests.client.payments.tellers import dealing

FEE = 3


async def test_a_deposit_that_a_node_credits_after_its_clock_was_set_back_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ahead = timedelta(seconds=2)
    confirm = PaymentService.confirm_deposit

    async def set_back(service: PaymentService, request: bytes) -> bytes:
        nonlocal ahead
        ahead = timedelta(0)
        return await confirm(service, request)

    monkeypatch.setattr(PaymentService, "confirm_deposit", set_back)
    async with dealing(tmp_path, fee=0, clock=lambda: utc_now() + ahead) as (client, teller, shop):
        await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert session.trouble == ""
    assert session.available == sum(teller.sent.values())


async def test_a_deposit_that_the_state_does_not_tell_of_yet_is_looked_for_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    confirm = PaymentCalls.confirm

    async def confirm_early(calls: PaymentCalls, *names: Any, route: Any, **named: Any) -> Any:
        before = await calls.session(*names, route=route)
        _, status = await confirm(calls, *names, route=route, **named)
        return before, status

    monkeypatch.setattr(PaymentCalls, "confirm", confirm_early)
    async with dealing(tmp_path, fee=0) as (client, teller, shop):
        await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
    assert session.trouble == ""
    assert session.available == sum(teller.sent.values())


async def test_deposits_that_are_made_at_once_come_to_what_was_credited(tmp_path: Path) -> None:
    async with dealing(tmp_path, fee=0) as (client, teller, shop):
        await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
        teller.fee = FEE
        for _ in range(5):
            await asyncio.gather(*(client.payments.deposit(session.session_id, amount=100) for _ in range(3)))
        (session,) = await settled(client)
    deposits = wallet_in(tmp_path).transfers.deposits(session.session_id)
    assert session.trouble == ""
    assert {one.status for one in deposits} == {TransferStatus.SUCCEEDED}
    assert session.available == sum(one.amount for one in deposits)
    assert session.available == sum(teller.sent.values()) - FEE * (len(deposits) - 2)


async def test_a_deposit_that_another_has_begun_meanwhile_goes_on_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have seen that none was on its way, before either wrote one down."""
    async with dealing(tmp_path, fee=0) as (client, teller, shop):
        await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
        sent, both, begin = len(teller.sent), asyncio.Barrier(2), Deposits._begin

        async def begin_together(deposits: Deposits, *names: Any, **named: Any) -> Any:
            await both.wait()
            return await begin(deposits, *names, **named)

        monkeypatch.setattr(Deposits, "_begin", begin_together)
        deposit = client.payments.deposit
        await asyncio.gather(*(deposit(session.session_id, amount=amount) for amount in (50, 77)))
        (session,) = await settled(client)
    assert session.trouble == ""
    assert len(teller.sent) == sent + 1
    assert session.available == sum(teller.sent.values())


async def test_a_deposit_that_another_has_sent_is_not_missed_before_it_has_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One asks how the session stands, while the deposit of another moves."""
    moving, go_on = asyncio.Event(), asyncio.Event()
    async with dealing(tmp_path, fee=0) as (client, teller, shop):
        await client.ask("?", node=shop, skill="words")
        (session,) = await settled(client)
        pay = type(teller).pay

        async def pay_slowly(self: Any, order: Any, instruction: Any) -> Any:
            moving.set()
            await go_on.wait()
            return await pay(self, order, instruction)

        state_of = PaymentCalls.session

        async def ask_late(calls: PaymentCalls, *names: Any, route: Any) -> Any:
            if not moving.is_set():
                monkeypatch.setattr(PaymentCalls, "session", state_of)
                others.append(asyncio.create_task(client.payments.deposit(session.session_id, amount=77)))
                await moving.wait()
                asyncio.get_running_loop().call_later(0.2, go_on.set)
            return await state_of(calls, *names, route=route)

        others = list[asyncio.Task[Any]]()
        monkeypatch.setattr(type(teller), "pay", pay_slowly)
        monkeypatch.setattr(PaymentCalls, "session", ask_late)
        await client.payments.deposit(session.session_id, amount=50)
        await asyncio.gather(*others)
        (session,) = await settled(client)
    assert session.trouble == ""
    assert session.available == sum(teller.sent.values())
