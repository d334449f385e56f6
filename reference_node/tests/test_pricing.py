"""Prices that follow the load, and stay for whom they were quoted to."""

from __future__ import annotations

from pathlib import Path

from consilience.asks import Outcome
from consilience.envelopes import Signed
from consilience.payments import Quote
from consilience_node.app import assembled
from consilience_node.config import Config, read_config
from consilience_node.metrics import NodeMetrics
from sdk.tests.server.payments.payers import Payer, paying

CONFIG = """
[node]
state_folder = "state"
name = "desk"

[limits]
max_running_asks = 2

[[payments.rails]]
rail = "hold.v1"
max_credit = 1000

[[models]]
id = "script"
engine = "scripted"
script = "script.toml"

[[skills]]
id = "chat"
model = "script"

[[skills.prices]]
id = "flat"
asset = "TEST/0"
request = 10
full_load_percent = 300
"""
SCRIPT = """
[[programs]]
when = "wait"
steps = [{ emit = "Well" }, { await_cancel = true }]

[[programs]]
steps = [{ emit = "Done." }]
"""


def configured(folder: Path) -> Config:
    (folder / "script.toml").write_text(SCRIPT)
    (folder / "node.toml").write_text(CONFIG)
    return read_config(folder / "node.toml")


def price_of(quote: Signed[Quote]) -> int:
    assert quote.value.tariff is not None
    (price,) = quote.value.tariff.prices
    return price.price // price.per


async def charge(payer: Payer, quote: Signed[Quote]) -> int:
    question = await payer.question("?", skill="chat", quote=quote, pays=1000)
    return payer.check(question, await payer.follow(question)).value.charge


async def test_a_price_rises_with_the_load_and_stays_for_whom_it_was_quoted_to(tmp_path: Path) -> None:
    async with (
        assembled(configured(tmp_path), metrics=NodeMetrics()) as node,
        node.serving("127.0.0.1:0") as running,
        paying(running, credit=1000) as busy,
        paying(running, credit=1000) as payer,
    ):
        idle = await payer.quote("chat")
        waiting = await busy.question("wait", skill="chat", pays=100)
        call = busy.send(waiting)
        accepted = await call.next()
        assert accepted is not None, "the node works on it"
        loaded = await payer.quote("chat")
        charges = [await charge(payer, quote) for quote in (idle, loaded, idle)]
        assert running.card.value.tariffs[0].prices[0].price == 10, "the card says what is listed"
        await busy.caller.cancel(waiting.ask.value.header.request_id)
        ended = await call.rest(known=(accepted,))
        again = await payer.quote("chat")
    assert (price_of(idle), price_of(loaded), price_of(again)) == (10, 20, 10)
    assert charges == [10, 20, 10]
    assert ended.final.answer.value.outcome is Outcome.CANCELLED
