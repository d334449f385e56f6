"""Nodes that take deposits and give nothing for them come to the budget of a day, and the last deposit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from consilience._wire import payments as wire
from consilience._wire.envelopes import open_envelope
from consilience.errors import (
    BudgetExceededError,
    ConsilienceError,
    DepositPendingError,
    ProtocolError,
    SessionUnknownError,
)
from consilience.nodes import NodeCard
from consilience.payments import (
    CONFIRM_METHOD,
    Amount,
    ConfirmDepositCall,
    DepositInstruction,
    OpenSessionCall,
    SessionTerms,
    TransferStatus,
)
from consilience.rails.hold import GRANT_LIFETIME, HoldPayer
from consilience.tariffs import Backing
from consilience.units import utc_now
from sdk.tests.client.payments.scripted_shops import RAIL, ScriptedShop, sell
from sdk.tests.client.payments.shops import BUDGET, customer
from sdk.tests.client.scripted_nodes import AskCall, Call

PER_DAY = BUDGET.per_day.value
DEPOSIT = 3 * BUDGET.per_ask.value


class PayingBlindly(HoldPayer):
    """Pays whatever it is told to, as by an invoice, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.paid: dict[bytes, int] = {}

    async def pay(self, order: Any, instruction: Any) -> Any:
        self.paid[order.deposit_id] = order.amount
        return replace(await super().check(order, instruction), status=TransferStatus.SUCCEEDED)


@dataclass
class Taker(ScriptedShop):
    """Is paid in advance. It is honest until told otherwise."""

    deposited: int = 0
    tells_of_payouts: bool = False
    confirmed: TransferStatus = TransferStatus.SUCCEEDED
    rail: PayingBlindly = field(default_factory=PayingBlindly)
    opened: set[bytes] = field(default_factory=set)

    def card_value(self) -> NodeCard:
        return replace(super().card_value(), rails=(replace(RAIL, backings=(Backing.PREPAID,), max_credit=0),))

    @property
    def unary(self) -> dict[str, Any]:
        return {**super().unary, CONFIRM_METHOD: self._confirm}

    def state(self) -> Any:
        paid_out = self.deposited - max(self.highest, self.spent) if self.tells_of_payouts else 0
        self.changed_state |= {"deposited": self.deposited, "withdrawn": paid_out}
        return super().state()

    async def _open(self, call: Call) -> bytes:
        assert call.envelope is not None
        wanted = open_envelope(call.envelope, OpenSessionCall).value
        self.terms = open_envelope(wanted.terms, SessionTerms)
        if self.terms.digest not in self.opened:
            self.opened.add(self.terms.digest)
            self.deposited, self.tells_of_payouts = 0, False
        if not wanted.deposit_id:
            return wire.encode_opened(self.state())
        instruction = DepositInstruction(
            deposit_id=wanted.deposit_id, amount=wanted.deposit, expire_time=utc_now() + GRANT_LIFETIME
        )
        return wire.encode_opened(self.state(), instruction=instruction)

    async def _confirm(self, call: Call) -> bytes:
        assert call.envelope is not None
        open_envelope(call.envelope, ConfirmDepositCall)
        if self.confirmed is TransferStatus.SUCCEEDED:
            self.deposited = sum(self.rail.paid.values()) if len(self.opened) == 1 else DEPOSIT
        return wire.encode_confirmed(self.state(), status=self.confirmed)


async def test_an_honest_node_that_is_paid_in_advance_gets_one_deposit(tmp_path: Path) -> None:
    async with Taker(on_ask=sell) as shop, customer(tmp_path, rails=[shop.rail]) as client:
        result = await client.ask("?", node=shop.address)
    assert result.cost == Amount(30, "TEST/0")
    assert list(shop.rail.paid.values()) == [DEPOSIT]


async def test_a_node_that_forgets_sessions_gets_no_more_than_the_budget_of_a_day_and_a_deposit(tmp_path: Path) -> None:
    async def forgetting(_: AskCall) -> AsyncIterator[bytes]:
        raise SessionUnknownError("there is no such session")
        yield b""

    async with Taker(on_ask=forgetting) as shop, customer(tmp_path, rails=[shop.rail]) as client:
        failures: list[ConsilienceError] = []
        for _ in range(PER_DAY // DEPOSIT + 2):
            with pytest.raises(ConsilienceError) as error:
                await client.ask("?", node=shop.address)
            failures.append(error.value)
        spent = await client.payments.spent_today("TEST/0")
    assert isinstance(failures[-1], BudgetExceededError)
    assert sum(shop.rail.paid.values()) < PER_DAY + DEPOSIT
    assert spent.value == sum(shop.rail.paid.values())


async def test_a_node_that_tells_of_payouts_that_never_were_gets_no_second_deposit(tmp_path: Path) -> None:
    async with Taker(on_ask=sell) as shop, customer(tmp_path, rails=[shop.rail]) as client:
        await client.ask("?", node=shop.address)
        shop.tells_of_payouts = True
        for session in await client.payments.sessions():
            await client.payments.refresh(session.session_id)
        with pytest.raises(ProtocolError) as broken:
            await client.ask("?", node=shop.address)
        (session,) = await client.payments.sessions()
        spent = await client.payments.spent_today("TEST/0")
    assert broken.value.requirement == "PAY-SES-004"
    assert session.trouble
    assert list(shop.rail.paid.values()) == [DEPOSIT]
    assert spent.value == DEPOSIT


async def test_a_node_that_says_that_what_was_paid_has_failed_gets_no_second_deposit(tmp_path: Path) -> None:
    async with (
        Taker(on_ask=sell, confirmed=TransferStatus.FAILED) as shop,
        customer(tmp_path, rails=[shop.rail]) as client,
    ):
        for _ in range(3):
            with pytest.raises(DepositPendingError):
                await client.ask("?", node=shop.address)
    assert list(shop.rail.paid.values()) == [DEPOSIT]
