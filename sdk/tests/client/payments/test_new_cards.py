"""A node may issue another card at any time: a client that holds the one before fetches it, and pays by it."""

from pathlib import Path

import pytest

from consilience.errors import ProtocolError
from consilience.identity import KeyPair
from consilience.payments import Amount
from consilience.rails.hold import HoldPayer
from consilience.units import Digest
from sdk.tests.client.payments.scripted_shops import ScriptedShop, sell
from sdk.tests.client.payments.shops import COST, Shop, customer, settled


async def test_a_price_by_a_newer_card_is_taken_and_paid(tmp_path: Path) -> None:
    key, store = KeyPair.generate(), f"sqlite:///{tmp_path}/node.db"
    async with customer(tmp_path) as client:
        async with Shop(key=key, store=store).node.serving("127.0.0.1:0") as running:
            address, port = running.address, running.port
            await client.ask("?", node=address, skill="words")
            await settled(client)
        async with Shop(key=key, store=store).node.serving(f"127.0.0.1:{port}"):
            quote = await client.payments.quote("recall", node=address)
            again = await client.ask("?", node=address, skill="words")
            (session,) = await settled(client)
        async with Shop(key=key, store=store).node.serving(f"127.0.0.1:{port}"):
            await client.ask("?", node=address, skill="recall")
            await settled(client)
    assert quote.value.tariff is not None
    assert again.cost == Amount(COST, "TEST/0")
    assert session.spent == 2 * COST


async def test_a_price_by_a_card_that_the_node_does_not_give_out_breaks_a_rule(tmp_path: Path) -> None:
    changed = {"card_digest": Digest(bytes(32))}
    shop = ScriptedShop(on_ask=sell, changed_quote=changed)
    async with shop, customer(tmp_path, rails=[HoldPayer(max_credit=1_000_000)]) as client:
        with pytest.raises(ProtocolError, match="rests on another card") as asked:
            await client.ask("?", node=shop.address)
        with pytest.raises(ProtocolError, match="rests on another card") as quoted:
            await client.payments.quote("sell", node=shop.address)
    assert [type(error.value) for error in (asked, quoted)] == [ProtocolError, ProtocolError]
    assert asked.value.requirement == quoted.value.requirement == "PAY-QUO-004"
    assert shop.methods.count("GetQuote") == 2
    assert shop.terms is None, "nothing was paid"
