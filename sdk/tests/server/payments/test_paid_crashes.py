"""What a durable node charges for an answer that its own death interrupted (PAY-DUR-002)."""

import random
from pathlib import Path

import pytest

from consilience._wire.envelopes import open_envelope
from consilience.asks import AnswerEvent, Metered, Outcome, StopReason
from consilience.identity import KeyPair
from consilience.payments import Meter, SessionStatus
from consilience.payments.receipts import check_chain
from sdk.tests.server.callers import calling
from sdk.tests.server.payments.payers import Payer, meters_of, opened
from sdk.tests.server.payments.shops import WINDOW
from sdk.tests.server.programs import Program

PROGRAM = """
import asyncio
from sdk.tests.server.payments.shops import Shop, shop_node
from consilience.identity import KeyPair

shop = Shop()
url = "sqlite:///" + str(folder / "answers.db")
node = shop_node(KeyPair.load_or_create(folder / "root.key"), shop, store=url, replica="one")

from sdk.tests.server.payments.shops import BY_THE_BYTE, offer_of

@node.skill("count", offers=[offer_of(BY_THE_BYTE)])
async def count(ask):
    for number in range(1_000_000):
        yield str(number) + " "
        await asyncio.sleep(0.002)
"""


@pytest.mark.parametrize("events", random.Random(20260104).sample(range(1, 60), 4))  # noqa: S311 - a repeatable choice
async def test_an_interrupted_answer_costs_what_was_metered_at_most(tmp_path: Path, events: int) -> None:
    key = KeyPair.generate()
    program = await Program.start(PROGRAM, folder=tmp_path)
    async with calling(program, key=key) as caller:
        payer = await opened(caller)
        question = await payer.question(skill="count", pays=WINDOW)
        call = payer.send(question)
        read: list[AnswerEvent] = []
        while len(read) < events:
            event = await call.next()
            assert event is not None
            read.append(event)
            if isinstance(event.event, Metered):
                await payer.pay(open_envelope(event.event.meter, Meter).value.required_cumulative)
        authorized = (await payer.state()).authorized
        await program.kill()
    program = await Program.start(PROGRAM, folder=tmp_path)
    try:
        async with calling(program, key=key) as caller:
            back = Payer(caller=caller, terms=payer.terms)
            reading = await caller.resume(question.ask.value.header.request_id, after=read[-1].sequence).rest(
                known=tuple(read)
            )
            receipt = back.check(question, reading).value
            answer = reading.final.answer.value
            state = await back.state()
            again = await back.question("one", pays=state.spent + WINDOW)
            following = back.check(again, await back.follow(again), before=(await back.receipts())[0])
    finally:
        await program.kill()
    assert (answer.outcome, answer.stop_reason) == (Outcome.FAILED, StopReason.INTERRUPTED)
    metered = max((meter.charge for meter in meters_of(reading)), default=0)
    assert receipt.charge <= metered <= authorized
    assert (state.spent, state.reserved, state.status) == (receipt.charge, 0, SessionStatus.OPEN)
    assert following.value.number == 2


async def test_what_was_paid_before_a_crash_is_there_after_it(tmp_path: Path) -> None:
    key = KeyPair.generate()
    program = await Program.start(PROGRAM, folder=tmp_path)
    async with calling(program, key=key) as caller:
        payer = await opened(caller)
        for number in range(5):
            question = await payer.question("one two", pays=number * 9 + WINDOW)
            payer.check(question, await payer.send(question).rest(), before=None)
        before, state = await payer.receipts(), await payer.state()
        await program.kill()
    program = await Program.start(PROGRAM, folder=tmp_path)
    try:
        async with calling(program, key=key) as caller:
            back = Payer(caller=caller, terms=payer.terms)
            receipts, after = await back.receipts(), await back.state()
    finally:
        await program.kill()
    assert receipts == before
    earlier = None
    for receipt in receipts:
        check_chain(receipt, before=earlier)
        earlier = receipt
    assert (after.spent, after.authorized, after.receipt_count) == (state.spent, state.authorized, 5)
