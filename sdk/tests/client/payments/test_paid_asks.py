"""The client pays the server toolkit, over real sockets."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.events import decode_events, encode_event
from consilience.asks import AnswerEvent, Final, Outcome, StopReason
from consilience.client import Client
from consilience.errors import BudgetAssetError, BudgetExceededError, DataClassForbiddenError, UsageError
from consilience.identity import KeyPair
from consilience.nodes import DataClass, Limits
from consilience.payments import Amount, Budget, SessionStatus, TransferStatus
from consilience.rails.hold import HoldPayer, HoldRail
from consilience.server.payments import Offer
from consilience.tariffs import Backing, PricedUnit, Tariff, UnitPrice
from sdk.tests.client.payments.shops import COST, OFFER, TARIFF, TEXT, Shop, customer, settled, wallet_in
from sdk.tests.client.wires import Proxy

TEST = "TEST/0"


async def test_an_answer_is_paid_by_itself_and_brings_its_cost(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address, skill="words")
    assert (result.text, result.outcome) == (TEXT, Outcome.ANSWERED)
    assert result.cost == Amount(COST, TEST)
    assert result.receipt is not None
    assert result.receipt.value.session_spent == COST
    checks = result.exchange.verify()
    assert all(check.passed for check in checks)
    (of_receipt,) = (check for check in checks if check.name == "the receipt is for this answer")
    assert of_receipt.explanation.startswith(f"{COST} TEST for the answer")


async def test_the_receipt_of_another_answer_is_found_in_an_exchange(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        one, two = [await client.ask("?", node=running.address, skill="words") for _ in range(2)]
    (final,) = (entry.event for entry in decode_events(one.exchange.responses[-1]) if isinstance(entry.event, Final))
    assert two.receipt is not None
    swapped = replace(final, receipt=two.receipt.envelope)
    ending = encode_event(AnswerEvent(sequence=one.answer.value.final_sequence, event=swapped))
    before = [entry for entry in decode_events(one.exchange.responses[-1]) if not isinstance(entry.event, Final)]
    responses = (*one.exchange.responses[:-1], b"".join((*map(encode_event, before), ending)))
    checks = replace(one.exchange, responses=responses).verify()
    assert [check.name for check in checks if not check.passed] == ["the receipt is for this answer"]


async def test_the_cost_grows_while_the_text_comes(client: Client) -> None:
    async with (
        Shop().node.serving("127.0.0.1:0") as running,
        client.stream("?", node=running.address, skill="words") as stream,
    ):
        costs = [stream.cost async for _ in stream]
        assert (await stream.final()).cost == stream.cost == Amount(COST, TEST)
    values = [cost.value for cost in costs if cost]
    assert len(set(values)) > 5
    assert values == sorted(values)


async def test_a_free_skill_costs_nothing_and_leaves_the_wallet_alone(client: Client, tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address)
    assert (result.cost, result.receipt) == (None, None)
    assert wallet_in(tmp_path).sessions() == ()


async def test_every_receipt_is_kept_and_acknowledged(client: Client, tmp_path: Path) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        for _ in range(3):
            await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        checks = await client.payments.verify(session.session_id)
    assert (session.spent, session.acknowledged, session.running) == (3 * COST, 3, 0)
    assert [receipt.value.number for receipt in wallet_in(tmp_path).receipts.of(session.session_id)] == [1, 2, 3]
    assert len(checks) == 4
    assert all(check.passed for check in checks)


async def test_asks_at_once_share_a_session_and_each_is_charged_once(client: Client) -> None:
    async with Shop(pause=0.005).node.serving("127.0.0.1:0") as running:
        results = await asyncio.gather(*(client.ask("?", node=running.address, skill="words") for _ in range(6)))
        (session,) = await settled(client)
    assert [result.text for result in results] == [TEXT] * 6
    assert sorted(result.receipt.value.number for result in results if result.receipt) == [1, 2, 3, 4, 5, 6]
    assert (session.spent, session.acknowledged, session.running) == (6 * COST, 6, 0)


async def test_the_text_does_not_wait_for_vouchers(client: Client) -> None:
    offer = Offer(tariff=TARIFF, window=100, max_charge=1000)
    async with (
        Shop(offers=[offer], pause=0.04).node.serving("127.0.0.1:0") as running,
        client.stream("?", node=running.address, skill="words") as stream,
    ):
        kinds = {type(entry.event).__name__ async for entry in stream.events()}
    assert "Metered" in kinds
    assert "PaymentNeeded" not in kinds


@pytest.mark.parametrize("every", [1, 5])
async def test_cuts_in_mid_stream_do_not_pay_twice(client: Client, every: int) -> None:
    shop = Shop(pause=0.01)
    async with Proxy() as proxy, shop.node.serving("127.0.0.1:0", advertise=[f"127.0.0.1:{proxy.port}"]) as running:
        proxy.target = running.port
        texts = []
        async with client.stream("?", node=f"127.0.0.1:{proxy.port}", skill="words", timeout=None) as stream:
            async for text in stream:
                texts.append(text)
                if len(texts) % every == 0:
                    proxy.cut()
            result = await stream.final()
        (session,) = await settled(client)
    assert (result.text, result.cost) == (TEXT, Amount(COST, TEST))
    assert (session.spent, session.running) == (COST, 0)


async def test_a_resumed_answer_goes_on_being_paid_out_of_the_same_session(tmp_path: Path) -> None:
    key = KeyPair.generate()
    async with Shop(pause=0.02).node.serving("127.0.0.1:0") as running:
        async with customer(tmp_path, key=key) as first, first.stream("?", node=running.address, skill="words") as one:
            await anext(one)
            request_id = one.detach()
        async with customer(tmp_path, key=key) as second:
            async with second.resume(request_id, node=running.address) as stream:
                result = await stream.final()
            (session,) = await settled(second)
            async with second.resume(request_id, node=running.address) as again:
                repeated = await again.final()
    assert (result.text, result.cost) == (TEXT, Amount(COST, TEST))
    assert repeated.receipt == result.receipt
    assert (session.spent, session.acknowledged) == (COST, 1)


async def test_two_processes_with_one_wallet_keep_out_of_each_others_sessions(tmp_path: Path) -> None:
    key = KeyPair.generate()
    shop = Shop(pause=0.01)
    async with (
        shop.node.serving("127.0.0.1:0") as running,
        customer(tmp_path, key=key) as one,
        customer(tmp_path, key=key) as other,
    ):
        results = await asyncio.gather(
            *(client.ask("?", node=running.address, skill="words") for client in (one, other) for _ in range(2))
        )
        await settled(one)
        sessions = await settled(other)
    assert [result.cost for result in results] == [Amount(COST, TEST)] * 4
    assert sum(session.spent for session in sessions) == 4 * COST
    assert {session.trouble for session in sessions} == {""}


async def test_a_prompt_that_is_longer_than_the_question_is_paid_for(tmp_path: Path) -> None:
    prices = (UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1), UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=1))
    tariff = Tariff(id="tokens", asset=TEST, prices=prices, tokenizer="words")
    shop = Shop(offers=[Offer(tariff=tariff, window=20, max_charge=2000)], limits=Limits(max_input_tokens=900))
    budget = Budget(per_ask="2000 TEST/0", per_day="10000 TEST/0")
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        result = await client.ask("?", node=running.address, skill="recall")
        (session,) = await settled(client)
    assert (result.outcome, result.usage.input_tokens) == (Outcome.ANSWERED, 800)
    assert result.cost == Amount(810, TEST)
    assert session.spent == 810


async def test_a_request_id_is_not_paid_for_twice(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address, skill="words")
        with pytest.raises(UsageError, match="paid for before"):
            await client.ask("?", node=running.address, skill="words", request_id=result.request_id)
        (session,) = await settled(client)
    assert session.spent == COST


async def test_a_node_that_forgot_its_sessions_is_paid_out_of_another(tmp_path: Path) -> None:
    key = KeyPair.generate()
    async with customer(tmp_path) as client:
        async with Shop(key=key).node.serving("127.0.0.1:0") as running:
            await client.ask("?", node=running.address, skill="words")
            await settled(client)
        async with Shop(key=key).node.serving(f"127.0.0.1:{running.port}"):
            result = await client.ask("?", node=running.address, skill="words")
            sessions = await settled(client)
    assert result.cost == Amount(COST, TEST)
    assert [bool(session.trouble) for session in sorted(sessions, key=lambda one: not one.trouble)] == [True, False]


async def test_a_durable_node_is_paid_out_of_the_same_session_after_a_restart(tmp_path: Path) -> None:
    key, store = KeyPair.generate(), f"sqlite:///{tmp_path}/node.db"
    async with customer(tmp_path) as client:
        async with Shop(key=key, store=store).node.serving("127.0.0.1:0") as running:
            await client.ask("?", node=running.address, skill="words")
            await settled(client)
        async with Shop(key=key, store=store).node.serving(f"127.0.0.1:{running.port}"):
            result = await client.ask("?", node=running.address, skill="words")
            (session,) = await settled(client)
    assert result.receipt is not None
    assert (result.receipt.value.number, session.spent, session.acknowledged) == (2, 2 * COST, 2)


async def test_two_replicas_are_paid_out_of_one_session_and_either_pays_it_back(tmp_path: Path) -> None:
    key, payer, store = KeyPair.generate(), KeyPair.generate(), f"sqlite:///{tmp_path}/node.db"
    one, two = (Shop(key=key, store=store, replica=name).node for name in ("one", "two"))
    async with one.serving("127.0.0.1:0") as first:
        async with customer(tmp_path, key=payer) as client:
            await client.ask("?", node=first.address, skill="words")
            await settled(client)
        # The sibling that comes later issues a newer card, after which no earlier one may be used.
        async with two.serving("127.0.0.1:0") as second:
            for running in (second, first, second, first):
                async with customer(tmp_path, key=payer) as client:
                    await client.ask("?", node=running.address, skill="words")
                    (session,) = await settled(client)
            async with customer(tmp_path, key=payer) as client:
                await client.payments.close_session(session.session_id)
                back = await client.payments.withdraw(session.session_id)
                checks = await client.payments.verify(session.session_id)
                (session,) = await client.payments.sessions()
    assert (session.spent, session.acknowledged, session.trouble) == (5 * COST, 5, "")
    assert (back.status, back.amount) == (TransferStatus.SUCCEEDED, 1500 - 5 * COST)
    assert all(check.passed for check in checks)


async def test_a_closed_session_is_followed_by_another(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        closed = await client.payments.close_session(session.session_id)
        await client.ask("?", node=running.address, skill="words")
        sessions = await settled(client)
    assert closed.status is SessionStatus.CLOSED
    assert sorted(one.spent for one in sessions) == [COST, COST]


async def test_a_session_that_another_process_closed_is_noticed(tmp_path: Path) -> None:
    key = KeyPair.generate()
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, key=key) as client:
        await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
        state = await client._payer.calls.close(  # type: ignore[union-attr]
            session.session_id, route=await client._cards.route(running.address)
        )
        assert state.value.status is SessionStatus.CLOSED  # and the wallet does not know
        assert (await client.ask("?", node=running.address, skill="words")).cost == Amount(COST, TEST)


async def test_a_quote_is_used_again_until_it_is_used_up(client: Client) -> None:
    offer = Offer(tariff=TARIFF, window=20, max_charge=1000, max_asks=2)
    async with Shop(offers=[offer]).node.serving("127.0.0.1:0") as running:
        results = [await client.ask("?", node=running.address, skill="words") for _ in range(3)]
        await settled(client)
    quotes = [result.receipt.value.quote_digest for result in results if result.receipt]
    assert quotes[0] == quotes[1] != quotes[2]


@pytest.mark.parametrize("credit", [100_000, 60])
async def test_credit_is_taken_as_far_as_it_reaches(tmp_path: Path, credit: int) -> None:
    rail = HoldRail(max_credit=credit, backings=(Backing.CREDIT,))
    payer = HoldPayer(max_credit=100_000, prepaid=False)
    async with Shop(rail=rail).node.serving("127.0.0.1:0") as running, customer(tmp_path, rails=[payer]) as client:
        result = await client.ask("?", node=running.address, skill="words")
        (session,) = await settled(client)
    assert session.terms.value.backing is Backing.CREDIT
    if credit > COST:
        assert result.cost == Amount(COST, TEST)
    else:
        assert result.stop_reason is StopReason.CHARGE_LIMIT
        assert session.spent <= credit


async def test_who_has_no_rail_for_a_node_is_told_which_it_takes(tmp_path: Path) -> None:
    async with (
        Shop(rail=HoldRail(network="elsewhere"), store=f"sqlite:///{tmp_path}/node.db").node.serving(
            "127.0.0.1:0"
        ) as running,
        customer(tmp_path) as client,
    ):
        with pytest.raises(UsageError, match=r"hold\.v1 on elsewhere"):
            await client.ask("?", node=running.address, skill="words")


async def test_a_client_without_budget_asks_nothing_that_costs(tmp_path: Path) -> None:
    async with (
        Client(KeyPair.generate(), card_file=tmp_path / "cards") as client,
        Shop().node.serving("127.0.0.1:0") as running,
    ):
        with pytest.raises(BudgetExceededError, match="5 TEST per answer and 1 TEST per 2 bytes of output"):
            await client.ask("?", node=running.address, skill="words")
        assert (await client.ask("?", node=running.address)).text == "Hello, world."


async def test_an_ask_that_costs_more_than_the_budget_is_not_sent(tmp_path: Path) -> None:
    budget = Budget(per_ask="4 TEST/0", per_day="100 TEST/0")
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        with pytest.raises(
            BudgetExceededError, match="words costs 5 TEST at least, and the budget of an ask is 4 TEST"
        ):
            await client.ask("?", node=running.address, skill="words")
        assert await client.payments.sessions() == ()


async def test_a_budget_in_an_asset_that_the_skill_has_no_price_in_is_not_sent(tmp_path: Path) -> None:
    budget = Budget(per_ask="1 USD/6", per_day="5 USD/6")
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        with pytest.raises(BudgetAssetError, match="words is paid for in TEST/0, and the budget is in USD/6"):
            await client.ask("?", node=running.address, skill="words")


async def test_the_node_ends_an_answer_that_reaches_the_budget_of_an_ask(tmp_path: Path) -> None:
    budget = Budget(per_ask="60 TEST/0", per_day="1000 TEST/0")
    async with Shop().node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        result = await client.ask("?", node=running.address, skill="words")
    assert (result.outcome, result.stop_reason) == (Outcome.TRUNCATED, StopReason.CHARGE_LIMIT)
    assert result.cost is not None
    assert 50 < result.cost.value <= 60


async def test_the_budget_of_a_day_holds_over_all_clients_of_a_wallet(tmp_path: Path) -> None:
    budget = Budget(per_ask="200 TEST/0", per_day=f"{2 * COST + 3} TEST/0")
    async with Shop().node.serving("127.0.0.1:0") as running:
        for _ in range(2):
            async with customer(tmp_path, budget=budget) as client:
                assert (await client.ask("?", node=running.address, skill="words")).cost == Amount(COST, TEST)
        async with customer(tmp_path, budget=budget) as client:
            with pytest.raises(BudgetExceededError, match="of the day's 293 TEST 3 TEST are left"):
                await client.ask("?", node=running.address, skill="words")
            assert await client.payments.spent_today(TEST) == Amount(2 * COST, TEST)


async def test_one_ask_may_be_bounded_further(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        result = await client.ask("?", node=running.address, skill="words", max_charge="30 TEST/0")
        assert result.stop_reason is StopReason.CHARGE_LIMIT
        assert result.cost is not None
        assert result.cost.value <= 30
        with pytest.raises(BudgetExceededError, match="the budget of an ask is 4 TEST"):
            await client.ask("?", node=running.address, skill="words", max_charge=Amount(4, TEST))
        with pytest.raises(UsageError, match="max_charge is in USD/6, and the budget in TEST/0"):
            await client.ask("?", node=running.address, skill="words", max_charge="1 USD/6")
        with pytest.raises(UsageError, match="max_charge is an amount"):
            await client.ask("?", node=running.address, skill="words", max_charge=7)  # type: ignore[arg-type]


async def test_no_money_moves_for_what_the_node_may_not_read(client: Client) -> None:
    async with Shop().node.serving("127.0.0.1:0") as running:
        with pytest.raises(DataClassForbiddenError):
            await client.ask("?", node=running.address, skill="words", data_class=DataClass.RESTRICTED)
        assert await client.payments.sessions() == ()


async def test_a_window_larger_than_the_ceiling_is_no_trouble(client: Client) -> None:
    offer = Offer(tariff=TARIFF, window=10_000, max_charge=200, hold_open=timedelta(seconds=1))
    async with Shop(offers=[offer]).node.serving("127.0.0.1:0") as running:
        assert (await client.ask("?", node=running.address, skill="words")).cost == Amount(COST, TEST)


async def test_two_assets_are_told_apart_by_the_budget(tmp_path: Path) -> None:
    cents = Offer(tariff=TARIFF.__class__(id="cents", asset="TEST/2", prices=TARIFF.prices), window=20, max_charge=1000)
    rail = HoldRail(assets=("TEST/0", "TEST/2"))
    budget = Budget(per_ask="5 TEST/2", per_day="50 TEST/2")
    shop = Shop(rail=rail, offers=[OFFER, cents])
    async with shop.node.serving("127.0.0.1:0") as running, customer(tmp_path, budget=budget) as client:
        result = await client.ask("?", node=running.address, skill="words")
    assert result.cost == Amount(COST, "TEST/2")
    assert str(result.cost) == "1.45 TEST"
