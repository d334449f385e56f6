"""Paid asks: what is delivered, metered and charged, whoever pays late, little, or not at all."""

import asyncio
import base64
import itertools
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import from_bytes, open_envelope
from consilience.asks import AnswerEvent, Outcome, StopReason, TextDelta, Usage
from consilience.envelopes import Signed
from consilience.errors import (
    BalanceTooLowError,
    PaymentRequired,
    PaymentRequiredError,
    QuoteInvalidError,
    RequestIdReusedError,
    SessionBalance,
    SessionClosedError,
    SessionUnknownError,
)
from consilience.identity import KeyPair
from consilience.nodes import Profile
from consilience.payments import Quote, Receipt, SessionStatus, cost
from consilience.payments.receipts import check_chain
from consilience.server import RunningNode
from sdk.tests.server.callers import AnswerCall, calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.payers import PaidQuestion, Payer, meters_of, needs_of, opened, paying
from sdk.tests.server.payments.shops import BY_THE_BYTE, BY_THE_TOKEN, WINDOW, Shop, shop_node
from sdk.tests.server.specimens import PATIENCE_SECONDS

ANYWHERE = "127.0.0.1:0"
ALPHABET = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def running(key: KeyPair, shop: Shop) -> AsyncIterator[RunningNode]:
    async with shop_node(key, shop).serving(ANYWHERE) as serving:
        yield serving


@pytest.fixture
async def payer(running: RunningNode) -> AsyncIterator[Payer]:
    async with paying(running) as paying_one:
        yield paying_one


async def read_until_needed(call: AnswerCall) -> tuple[AnswerEvent, ...]:
    """Reads until the node asks for a voucher."""
    events: list[AnswerEvent] = []
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not needs_of(events):
            event = await call.next()
            assert event is not None
            events.append(event)
    return tuple(events)


def text_of(events: tuple[AnswerEvent, ...]) -> str:
    return "".join(event.event.text for event in events if isinstance(event.event, TextDelta))


async def test_the_card_of_a_node_that_is_paid_says_how_and_what_for(running: RunningNode) -> None:
    card = running.card.value
    assert Profile.PAY in card.profiles
    assert [rail.id for rail in card.rails] == ["hold.v1"]
    skill = card.skill("words")
    assert skill is not None
    assert card.tariffs_of(skill) == (BY_THE_BYTE,)
    assert card.limits.max_quotes_per_minute > 0


async def test_a_short_answer_is_paid_by_the_voucher_that_came_with_the_ask(payer: Payer) -> None:
    question, reading = await payer.ask("one two", pays=WINDOW)
    receipt = payer.check(question, reading).value
    assert (receipt.number, receipt.charge, receipt.session_spent) == (1, 9, 9)
    assert reading.final.answer.value.charged
    state = await payer.state()
    assert (state.spent, state.reserved, state.authorized) == (9, 0, WINDOW)


async def test_a_payer_who_follows_the_meters_is_never_asked_twice(payer: Payer) -> None:
    question = await payer.question(" ".join([ALPHABET] * 8), pays=WINDOW)
    reading = await payer.follow(question)
    receipt = payer.check(question, reading).value
    assert receipt.charge == 2 + len(reading.text)
    meters = meters_of(reading)
    assert all(after.charge - before.charge <= WINDOW for before, after in itertools.pairwise(meters))


async def test_text_stays_behind_what_is_authorized_until_a_voucher_comes(payer: Payer) -> None:
    question = await payer.question(ALPHABET, pays=WINDOW)
    call = payer.send(question)
    events = await read_until_needed(call)
    (needed,) = needs_of(events)
    assert 2 + len(text_of(events)) <= WINDOW < needed.required_cumulative <= 2 + len(ALPHABET)
    assert (await payer.state()).spent == 0
    await payer.pay(2 + len(ALPHABET))
    reading = await call.rest(known=events)
    assert reading.text == ALPHABET
    assert payer.check(question, reading).value.charge == 2 + len(ALPHABET)


async def test_an_answer_that_nobody_pays_on_for_ends_unpaid_and_costs_what_it_delivered(
    key: KeyPair, shop: Shop
) -> None:
    node = shop_node(key, shop, hold_open=timedelta(milliseconds=100))
    async with node.serving(ANYWHERE) as running, paying(running) as payer:
        question, reading = await payer.ask(ALPHABET, pays=WINDOW)
        receipt = payer.check(question, reading).value
        answer = reading.final.answer.value
        assert (answer.outcome, answer.stop_reason) == (Outcome.TRUNCATED, StopReason.UNPAID)
        assert 0 < receipt.charge == 2 + len(reading.text) <= WINDOW
        assert ALPHABET.startswith(reading.text)
        state = await payer.state()
        assert (state.spent, state.reserved) == (receipt.charge, 0)


async def test_an_answer_never_costs_more_than_its_asker_allows(payer: Payer) -> None:
    question, reading = await payer.ask(ALPHABET, pays=1000, max_charge=12)
    answer = reading.final.answer.value
    assert (answer.outcome, answer.stop_reason) == (Outcome.TRUNCATED, StopReason.CHARGE_LIMIT)
    assert reading.text == ALPHABET[:10]
    assert payer.check(question, reading).value.charge == 12


async def test_tokens_are_charged_as_the_deltas_tell_them(payer: Payer) -> None:
    question = await payer.question("a b c d e", skill="tokens", pays=WINDOW)
    receipt = payer.check(question, await payer.follow(question)).value
    assert receipt.usage.output_tokens == receipt.usage.input_tokens == 5
    assert receipt.charge == cost(BY_THE_TOKEN, Usage(input_tokens=5, output_tokens=5)) == 20


async def test_in_how_many_pieces_the_text_comes_never_changes_the_price(payer: Payer) -> None:
    charges = set()
    for text in (ALPHABET.replace("m", " "), f"{ALPHABET[:12]} {ALPHABET[13:]}", f" {ALPHABET[:25]}"):
        question = await payer.question(text, pays=(await payer.state()).spent + WINDOW)
        charges.add(payer_charge := payer.check(question, await payer.follow(question), before=None).value.charge)
        assert payer_charge == 2 + len(text)
    assert len(charges) == 1


@pytest.mark.parametrize(("text", "charge"), [("early", 0), ("late", 2 + len("some text"))])
async def test_an_answer_that_fails_costs_what_was_delivered_and_nothing_before_the_first_text(
    payer: Payer, text: str, charge: int
) -> None:
    question, reading = await payer.ask(text, skill="failing", pays=WINDOW)
    receipt = payer.check(question, reading).value
    assert (receipt.outcome, receipt.charge) == (Outcome.FAILED, charge)
    assert reading.final.answer.value.charged == (charge > 0)
    assert (await payer.state()).reserved == 0


async def test_a_free_skill_needs_no_payment_and_gives_no_receipt(payer: Payer) -> None:
    _, reading = await payer.caller.ask("one two", skill_id="gratis")
    assert reading.final.receipt is None
    assert not reading.final.answer.value.charged
    assert meters_of(reading) == []


async def test_whoever_names_no_payment_is_told_the_price(payer: Payer) -> None:
    with pytest.raises(PaymentRequiredError) as refused:
        await payer.caller.ask(skill_id="words")
    assert isinstance(refused.value.detail, PaymentRequired)
    quote = open_envelope(from_bytes(refused.value.detail.quote), Quote)
    question, reading = await payer.ask("one", quote=quote, pays=WINDOW)
    payer.check(question, reading)


async def test_an_ask_is_charged_once_however_often_it_is_sent_and_read(payer: Payer, shop: Shop) -> None:
    question = await payer.question("one two", pays=WINDOW)
    readings = await asyncio.gather(*(payer.send(question).rest() for _ in range(10)))
    readings.append(await payer.caller.resume(question.ask.value.header.request_id).rest())
    assert len({reading.final.receipt for reading in readings}) == 1
    assert shop.asks == 1
    assert [receipt.value.charge for receipt in await payer.receipts()] == [9]
    assert (await payer.state()).spent == 9


async def test_fifty_asks_at_once_on_one_session_never_overdraw_it(payer: Payer, shop: Shop) -> None:
    shop.gate.clear()
    quote = await payer.quote()
    questions = [await payer.question("one two", quote=quote, pays=10 * WINDOW) for _ in range(50)]
    calls = [payer.send(question) for question in questions]
    firsts = await asyncio.gather(*(call.next() for call in calls), return_exceptions=True)
    taken = [call for call, first in zip(calls, firsts, strict=True) if not isinstance(first, BaseException)]
    refused = [first for first in firsts if isinstance(first, BaseException)]
    assert len(taken) == 10
    assert all(isinstance(error, BalanceTooLowError) for error in refused)
    state = await payer.state()
    assert (state.reserved, state.authorized) == (10 * WINDOW, 10 * WINDOW)
    shop.gate.set()
    # The first event of each was read already, and is no text.
    await asyncio.gather(*(drained(call) for call in taken))
    state = await payer.state()
    assert (state.spent, state.reserved) == (10 * 9, 0)


async def drained(call: AnswerCall) -> None:
    while await call.next() is not None:
        pass


async def test_receipts_of_asks_that_run_at_once_form_a_chain_and_add_up(payer: Payer) -> None:
    quote = await payer.quote()
    questions = [await payer.question("one two", quote=quote, pays=30 * WINDOW) for _ in range(30)]
    await asyncio.gather(*(payer.send(question).rest() for question in questions))
    receipts = await payer.receipts()
    assert [receipt.value.number for receipt in receipts] == list(range(1, 31))
    before: Signed[Receipt] | None = None
    for receipt in receipts:
        check_chain(receipt, before=before)
        before = receipt
    assert sum(receipt.value.charge for receipt in receipts) == (await payer.state()).spent == 30 * 9


async def test_a_connection_that_is_cut_at_any_event_changes_nothing_of_the_charge(payer: Payer) -> None:
    text, spent = " ".join([ALPHABET] * 3), 0
    length = 0
    for cut in range(1, 40):
        question = await payer.question(text, pays=spent + 10 * WINDOW)
        read: list[AnswerEvent] = []
        call = payer.send(question)
        while len(read) < cut and (event := await call.next()) is not None:
            read.append(event)
        call.drop()
        rest = payer.caller.resume(question.ask.value.header.request_id, after=read[-1].sequence)
        reading = await rest.rest(known=tuple(read))
        receipt = payer.check(question, reading).value
        assert receipt.charge == 2 + len(reading.text) == 2 + len(text)
        spent += receipt.charge
        length = len(reading.events)
        if cut >= length:
            break
    assert length <= 40, "every event was a place to cut at"
    assert (await payer.state()).spent == spent


async def test_an_answer_that_is_cancelled_while_it_waits_for_money_costs_what_was_delivered(payer: Payer) -> None:
    question = await payer.question(ALPHABET, pays=WINDOW)
    call = payer.send(question)
    events = await read_until_needed(call)
    await payer.caller.cancel(question.ask.value.header.request_id)
    reading = await call.rest(known=events)
    receipt = payer.check(question, reading).value
    assert receipt.outcome is Outcome.CANCELLED
    assert receipt.charge == 2 + len(reading.text) <= WINDOW


async def test_a_session_that_is_closed_while_an_ask_runs_is_drained(payer: Payer, shop: Shop) -> None:
    shop.gate.clear()
    question = await payer.question("one two", pays=WINDOW)
    call = payer.send(question)
    first = await call.next()
    assert first is not None
    assert (await payer.close()).status is SessionStatus.CLOSING
    with pytest.raises(SessionClosedError):
        await payer.pay(100)
    with pytest.raises(SessionClosedError):
        await payer.ask(pays=None)
    shop.gate.set()
    reading = await call.rest(known=(first,))
    assert payer.check(question, reading).value.charge == 9
    state = await payer.close()
    assert (state.status, state.spent) == (SessionStatus.CLOSED, 9)


async def test_what_no_voucher_covers_is_refused_with_what_it_takes(payer: Payer, shop: Shop) -> None:
    with pytest.raises(BalanceTooLowError) as refused:
        await payer.ask(pays=WINDOW - 1)
    assert isinstance(refused.value.detail, SessionBalance)
    assert refused.value.detail.required_cumulative == WINDOW
    assert refused.value.detail.voucher is not None
    assert shop.asks == 0
    question, reading = await payer.ask(pays=WINDOW)
    payer.check(question, reading)


async def test_a_voucher_for_another_session_pays_for_nothing(payer: Payer) -> None:
    other = await opened(payer.caller)
    question = await payer.question()
    with pytest.raises(SessionUnknownError):
        await payer.send(replace(question, voucher=other.voucher(WINDOW))).rest()
    stranger = await opened(payer.caller.stranger())
    asked = await stranger.question(pays=WINDOW)
    forged = replace(asked.ask.value, payment=replace(asked.ask.value.payment, session_id=payer.terms.digest))  # type: ignore[type-var]
    with pytest.raises(SessionUnknownError):
        await stranger.send(replace(asked, ask=stranger.caller.sign(forged))).rest()
    assert (await payer.state()).authorized == (await other.state()).authorized == 0


async def test_a_quote_holds_for_its_payer_skill_time_and_bounds_alone(key: KeyPair, shop: Shop) -> None:
    clock = ManualClock()
    node = shop_node(key, shop, clock=clock)
    async with node.serving(ANYWHERE) as running, paying(running, clock=clock) as payer:
        quote = await payer.quote()
        stranger = await opened(payer.caller.stranger())
        with pytest.raises(QuoteInvalidError):
            await stranger.ask(quote=quote, pays=WINDOW)
        with pytest.raises(QuoteInvalidError):
            await payer.ask(skill="tokens", quote=quote, pays=WINDOW)
        question = await payer.question(quote=quote, pays=WINDOW)
        with pytest.raises(QuoteInvalidError):
            await payer.send(replace(question, quote=await payer.quote("tokens"))).rest()
        clock.advance(timedelta(minutes=11))
        with pytest.raises(QuoteInvalidError, match="expired"):
            await payer.ask(quote=quote, pays=WINDOW)


async def test_logs_and_receipts_hold_no_secret_and_no_word_of_question_or_answer(
    key: KeyPair, payer: Payer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    word = "xyzzy-plugh"
    question, reading = await payer.ask(word, pays=WINDOW)
    receipt = payer.check(question, reading)
    with pytest.raises(BalanceTooLowError):
        await payer.ask(word, pays=WINDOW)
    other = payer.caller.sign(replace(question.ask.value, skill_id="tokens"))
    with pytest.raises(RequestIdReusedError):
        await payer.send(replace(question, ask=other)).rest()
    await payer.ask("late", skill="failing", pays=1000)
    await payer.close()
    assert "the engine broke" in caplog.text, "faults of a paid ask are logged"
    seeds = [bytes(each._signing_key) for each in (key, payer.caller.key)]
    secrets = [word.encode(), *seeds]
    kept = [receipt.envelope.payload, *(listed.envelope.payload for listed in await payer.receipts())]
    assert not [secret for secret in secrets for each in kept if secret in each]
    written = [word, *(form for seed in seeds for form in (seed.hex(), base64.b64encode(seed).decode(), repr(seed)))]
    assert not [text for text in written if text in caplog.text]


async def paid_question(payer: Payer, text: str) -> PaidQuestion:
    return await payer.question(text, pays=(await payer.state()).spent + WINDOW)


async def test_two_replicas_on_one_database_share_sessions_vouchers_and_receipts(
    key: KeyPair, shop: Shop, tmp_path: Path
) -> None:
    store = f"sqlite:///{tmp_path / 'answers.db'}"
    one, two = (shop_node(key, shop, store=store, replica=replica) for replica in ("one", "two"))
    async with (
        one.serving(ANYWHERE) as first,
        two.serving(ANYWHERE) as second,
        paying(first) as payer,
        calling(second, key=payer.caller.key) as caller,
    ):
        there = Payer(caller=caller, terms=payer.terms)
        question = await payer.question(ALPHABET, pays=WINDOW)
        call = payer.send(question)
        events = await read_until_needed(call)
        # The voucher comes in at the other replica.
        await there.pay(1000)
        reading = await call.rest(known=events)
        first_receipt = payer.check(question, reading)
        at_the_other = await paid_question(there, "one two")
        second_receipt = there.check(at_the_other, await there.follow(at_the_other), before=first_receipt)
        assert second_receipt.value.number == 2
        for each in (payer, there):
            state = await each.state()
            assert (state.receipt_count, state.spent) == (2, second_receipt.value.session_spent)
