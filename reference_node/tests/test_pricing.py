"""Prices that follow the load, and stay for whom they were quoted to."""

from __future__ import annotations

from pathlib import Path

from consilience.asks import Outcome
from consilience.client import Client
from consilience.client.payments import Wallet
from consilience.envelopes import Signed
from consilience.identity import KeyPair
from consilience.payments import Amount, Budget, Quote
from consilience.rails.hold import HoldPayer
from consilience_node.app import assembled
from consilience_node.config import Config, read_config
from consilience_node.metrics import NodeMetrics

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
BUDGET = Budget(per_ask="100 TEST/0", per_day="1000 TEST/0")
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


def customer(folder: Path) -> Client:
    rails = [HoldPayer(max_credit=1000, prepaid=False)]
    return Client(KeyPair.generate(), card_file=folder / "cards", wallet=Wallet.in_memory(), budget=BUDGET, rails=rails)


async def test_a_price_rises_with_the_load_and_stays_for_whom_it_was_quoted_to(tmp_path: Path) -> None:
    async with (
        assembled(configured(tmp_path), metrics=NodeMetrics()) as node,
        node.serving("127.0.0.1:0") as running,
        customer(tmp_path) as early,
        customer(tmp_path) as late,
        customer(tmp_path) as busy,
    ):
        address = running.address
        idle = await early.payments.quote("chat", node=address)
        async with busy.stream("wait", node=address) as waiting:  # the node works on it
            loaded = await late.payments.quote("chat", node=address)
            costs = [(await client.ask("?", node=address)).cost for client in (early, late, early)]
            ended = await waiting.cancel()
        again = await busy.payments.quote("chat", node=address)
        assert running.card.value.tariffs[0].prices[0].price == 10, "the card says what is listed"
    assert (price_of(idle), price_of(loaded), price_of(again)) == (10, 20, 10)
    assert costs == [Amount(10, "TEST/0"), Amount(20, "TEST/0"), Amount(10, "TEST/0")]
    assert ended.value.outcome is Outcome.CANCELLED
