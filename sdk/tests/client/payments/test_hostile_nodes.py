"""What a node says about money is believed as far as it can be checked, and never paid beyond one window."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consilience._wire.envelopes import to_bytes
from consilience.client import Client
from consilience.client.payments import PaymentStatus
from consilience.errors import PaymentRequired, PaymentRequiredError, ProtocolError
from consilience.identity import KeyPair
from consilience.nodes import Skill
from consilience.payments import Amount
from consilience.rails.hold import HoldPayer
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience.units import EncodedEnvelope
from sdk.tests.client.payments.scripted_shops import WINDOW, Purchase, ScriptedShop, digest_of_nothing, sell
from sdk.tests.client.payments.shops import customer, settled, wallet_in
from sdk.tests.client.scripted_nodes import LIMITS, AskCall

STRANGER = KeyPair.generate()
QUESTION = 0
"""The tariff prices bytes of output alone."""


def payer(folder: Path) -> Client:
    return customer(folder, rails=[HoldPayer(max_credit=1_000_000)])


def selling(*steps: Callable[[Purchase], bytes | None]) -> Callable[[AskCall], AsyncIterator[bytes]]:
    """Returns a script that sells, step by step; then it waits for the cancellation."""

    async def script(call: AskCall) -> AsyncIterator[bytes]:
        assert isinstance(call.log.node, ScriptedShop)
        purchase = call.log.node.asked(call)
        yield call.log.accepted()
        for step in steps:
            event = step(purchase)
            if event is not None:
                yield event
        if not call.log.ended.is_set():
            await call.log.node.called["CancelAnswer"].wait()

    return script


def text(purchase: Purchase) -> bytes:
    return purchase.log.text("ten bytes.")


def meter(**changes: Any) -> Callable[[Purchase], bytes]:
    return lambda purchase: purchase.meter(**changes)


def final(**changes: Any) -> Callable[[Purchase], bytes]:
    return lambda purchase: purchase.final(**changes)


async def test_an_honest_node_is_paid(tmp_path: Path) -> None:
    async with ScriptedShop(on_ask=sell) as shop, payer(tmp_path) as client:
        result = await client.ask("?", node=shop.address)
        (session,) = await settled(client)
    assert result.cost == Amount(30, "TEST/0")
    assert 30 <= shop.highest <= 50
    assert (session.spent, session.acknowledged, session.trouble) == (30, 1, "")


@pytest.mark.parametrize(
    ("step", "requirement"),
    [
        (meter(required_cumulative=10 + WINDOW + 1), "PAY-MTR-003"),
        (meter(required_cumulative=10**18), "PAY-MTR-003"),
        (meter(charge=11), "PAY-MTR-003"),
        (meter(charge=9), "PAY-MTR-003"),
        (meter(transcript_digest=digest_of_nothing()), "PAY-MTR-003"),
        (meter(quote_digest=digest_of_nothing()), "PAY-MTR-003"),
        (meter(session_id=digest_of_nothing()), "PAY-MTR-003"),
        (meter(ask_digest=digest_of_nothing()), "PAY-MTR-003"),
        (meter(signing_key=KeyPair.generate().public_key), "SIG-ENV-005"),
        (meter(signing_key=STRANGER.public_key, signer=STRANGER), "PAY-MTR-003"),
        (meter(node_id=STRANGER.public_key), "PAY-MTR-003"),
        (lambda purchase: purchase.needed(10 + WINDOW + 1), "PAY-MTR-001"),
    ],
)
async def test_a_node_that_claims_too_much_is_not_paid_any_more(
    tmp_path: Path, step: Callable[[Purchase], bytes], requirement: str
) -> None:
    async with ScriptedShop(on_ask=selling(text, step)) as shop, payer(tmp_path) as client:
        with pytest.raises(ProtocolError) as error:
            await client.ask("?", node=shop.address, timeout=10)
        await settled(client)
        assert error.value.requirement == requirement
        assert error.value.stake is not None
        assert error.value.stake.at_most <= QUESTION + WINDOW
        assert "CancelAnswer" in shop.methods
        assert shop.highest <= QUESTION + WINDOW


async def test_a_session_that_was_misused_pays_for_nothing_any_more(tmp_path: Path) -> None:
    async with ScriptedShop(on_ask=selling(text, meter(required_cumulative=10**6))) as shop, payer(tmp_path) as client:
        with pytest.raises(ProtocolError):
            await client.ask("?", node=shop.address, timeout=10)
        (misused,) = await settled(client)
        shop.on_ask = sell
        shop.vouchers.clear()
        result = await client.ask("?", node=shop.address)
    assert "PAY-MTR-003" in misused.trouble
    assert result.receipt is not None
    assert result.receipt.value.session_id != misused.session_id
    assert {voucher.value.session_id for voucher in shop.vouchers} == {result.receipt.value.session_id}


async def test_a_node_that_counts_more_input_than_it_reads_is_not_paid_any_more(tmp_path: Path) -> None:
    prices = (UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1),)
    tariff = Tariff(id="bytes", asset="TEST/0", prices=prices, tokenizer="words")
    limits = replace(LIMITS, max_input_tokens=50)

    def inflated(purchase: Purchase) -> bytes:
        counted = replace(purchase.usage, input_tokens=51)
        return purchase.meter(usage=counted, charge=51, required_cumulative=51 + WINDOW)

    shop = ScriptedShop(tariff=tariff, limits=limits, on_ask=selling(text, inflated))
    async with shop, payer(tmp_path) as client:
        with pytest.raises(ProtocolError, match="PAY-MTR-003"):
            await client.ask("?", node=shop.address, timeout=10)
        await settled(client)
    assert shop.highest <= 50 + WINDOW


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"payer": KeyPair.generate().public_key}, "PAY-QUO-004"),
        ({"skill_id": "greet"}, "PAY-QUO-004"),
        ({"model_id": "another"}, "PAY-QUO-004"),
        ({"card_digest": digest_of_nothing()}, "PAY-QUO-004"),
        ({"window": 0}, "PAY-QUO-004"),
        (
            {"tariff": Tariff(id="b", asset="USD/6", prices=(UnitPrice(unit=PricedUnit.REQUEST, price=1),))},
            "PAY-QUO-004",
        ),
    ],
)
async def test_a_quote_for_something_else_is_not_used(
    tmp_path: Path, changes: dict[str, Any], requirement: str
) -> None:
    async with ScriptedShop(changed_quote=changes) as shop, payer(tmp_path) as client:
        with pytest.raises(ProtocolError) as error:
            await client.ask("?", node=shop.address)
    assert error.value.requirement == requirement
    assert "Ask" not in shop.methods
    assert shop.terms is None


@pytest.mark.parametrize(
    ("end", "requirement"),
    [
        (final(receipt=False), "PAY-RCP-001"),
        (final(charge=11), "PAY-RCP-005"),
        (final(quote_digest=digest_of_nothing()), "PAY-RCP-005"),
        (final(ask_digest=digest_of_nothing()), "PAY-RCP-005"),
        (final(answer_digest=digest_of_nothing()), "PAY-RCP-005"),
        (final(payer=KeyPair.generate().public_key), "PAY-RCP-005"),
        (final(asset="USD/6"), "PAY-RCP-005"),
        (final(signing_key=STRANGER.public_key, signer=STRANGER), "PAY-RCP-005"),
        (final(session_spent=11), "PAY-RCP-003"),
        (final(number=2, previous_digest=digest_of_nothing()), ""),
        (final(answer={"charged": False}), "PAY-CHG-002"),
    ],
)
async def test_a_receipt_that_does_not_fit_is_neither_kept_nor_acknowledged(
    tmp_path: Path, end: Callable[[Purchase], bytes], requirement: str
) -> None:
    async with ScriptedShop(on_ask=selling(text, meter(), end)) as shop, payer(tmp_path) as client:
        if requirement:
            with pytest.raises(ProtocolError) as error:
                await client.ask("?", node=shop.address)
            assert error.value.requirement == requirement
        else:
            await client.ask("?", node=shop.address)  # the first may come with another answer
        (session,) = await settled(client)
    if requirement:
        assert (session.spent, session.running) == (0, 1)
        assert wallet_in(tmp_path).receipts.of(session.session_id) == ()
    assert "AcknowledgeReceipt" not in shop.methods


@pytest.mark.parametrize(("claimed", "charged"), [("", {"charge": 400}), ("and so on, " * 20, {})])
async def test_what_is_charged_after_a_cancellation_is_held_against_what_was_signed(
    tmp_path: Path, claimed: str, charged: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    async with ScriptedShop(on_ask=selling(text, meter())) as shop, payer(tmp_path) as client:
        async with client.stream("?", node=shop.address) as stream:
            await anext(stream)
            (log,) = shop.logs.values()
            purchase = Purchase(shop, log, await client.payments.quote("sell", node=shop.address))
            if claimed:
                purchase.log.text(claimed)
            purchase.final(**charged)
        (session,) = await settled(client)
    intent = wallet_in(tmp_path).intent(stream.request_id)
    assert intent is not None
    assert intent.status is PaymentStatus.RUNNING
    assert (session.spent, session.acknowledged) == (0, 0)
    assert shop.highest <= 10 + WINDOW
    assert "(PAY-RCP-005)" in caplog.text


@pytest.mark.parametrize(
    ("changes", "requirement"),
    [
        ({"spent": 1}, "PAY-SES-001"),
        ({"authorized": 5, "spent": 5}, "PAY-SES-004"),
        ({"session_id": digest_of_nothing()}, "PAY-SES-004"),
        ({"node_id": KeyPair.generate().public_key}, "PAY-SES-004"),
    ],
)
async def test_a_state_that_cannot_be_is_a_breach(tmp_path: Path, changes: dict[str, Any], requirement: str) -> None:
    async with ScriptedShop(on_ask=sell, changed_state=changes) as shop, payer(tmp_path) as client:
        with pytest.raises(ProtocolError) as error:
            await client.ask("?", node=shop.address)
    assert error.value.requirement == requirement
    assert shop.highest == 0


async def test_a_receipt_that_was_held_back_is_fetched_and_the_chain_has_no_hole(tmp_path: Path) -> None:
    key = KeyPair.generate()
    async with ScriptedShop(on_ask=sell) as shop:
        async with customer(tmp_path, key=key, rails=[HoldPayer(max_credit=10**6)]) as client:
            shop.on_ask = selling(text, meter(), text)
            async with client.stream("?", node=shop.address) as stream:
                await anext(stream)
                stream.detach()
        (log,) = shop.logs.values()
        asked = Purchase(shop, log, stream._reader.payment.intent.quote)  # type: ignore[union-attr]
        asked.final()
        shop.on_ask = sell
        async with customer(tmp_path, key=key, rails=[HoldPayer(max_credit=10**6)]) as client:
            await client.ask("?", node=shop.address)
            (session,) = await settled(client)
    assert [receipt.value.number for receipt in wallet_in(tmp_path).receipts.of(session.session_id)] == [1, 2]
    assert (session.spent, session.acknowledged, session.running) == (50, 2, 0)


async def test_a_receipt_for_what_was_never_asked_ends_the_session(tmp_path: Path) -> None:
    async with ScriptedShop(on_ask=sell) as shop, payer(tmp_path) as client:
        await client.ask("?", node=shop.address)
        (session,) = await settled(client)
        (log,) = shop.logs.values()
        phantom = Purchase(shop, log, await client.payments.quote("sell", node=shop.address))
        phantom.receipt(request_id=bytes(16), charge=0)
        with pytest.raises(ProtocolError, match="PAY-RCP-005"):
            await client.payments.refresh(session.session_id)
        (session,) = await client.payments.sessions()
    assert "PAY-RCP-005" in session.trouble
    assert session.spent == 30


async def test_a_price_that_the_card_does_not_tell_is_told_with_the_refusal(tmp_path: Path) -> None:
    async with ScriptedShop(skills=(Skill(id="sell"),)) as shop, payer(tmp_path) as client:
        quote = await client.payments.quote("sell", node=shop.address)

        async def challenge(_: AskCall) -> AsyncIterator[bytes]:
            detail = PaymentRequired(quote=EncodedEnvelope(to_bytes(quote.envelope)))
            raise PaymentRequiredError("pay", detail=detail)
            yield b""

        shop.on_ask = challenge
        with pytest.raises(PaymentRequiredError, match="sell costs 1 TEST per byte of output, and its card"):
            await client.ask("?", node=shop.address)


async def test_a_hole_in_the_list_of_receipts_is_a_breach(tmp_path: Path) -> None:
    async with ScriptedShop(on_ask=sell) as shop, payer(tmp_path) as client:
        await client.ask("?", node=shop.address)
        (session,) = await settled(client)
        (log,) = shop.logs.values()
        later = Purchase(shop, log, await client.payments.quote("sell", node=shop.address))
        later.receipt(number=3, charge=0)
        with pytest.raises(ProtocolError, match="PAY-LST-001"):
            await client.payments.refresh(session.session_id)
