"""No thief gets text that a node cannot settle: what was delivered never costs more than was authorized."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from consilience.identity import KeyPair
from consilience.payments import Account
from consilience.rails.hold import HoldRail
from consilience.server import IncomingAsk, Node, RunningNode
from consilience.server.payments import Offer, Payments
from consilience.server.payments.metering import Bill
from consilience.server.store import ledger_steps
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience.v1 import payment_pb2
from consilience_conformance.peers.thieves import THIEVES, Thief, thief_at

WINDOW = 20
WORDS = tuple(f"word{number:02} " for number in range(30))
TARIFF = Tariff(
    id="words",
    asset="TEST/0",
    prices=(
        UnitPrice(unit=PricedUnit.REQUEST, price=2),
        UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1),
    ),
)


class Shop:
    """A node that sells words, and counts those that it made."""

    def __init__(self) -> None:
        self.made = 0
        payments = Payments(rails=(HoldRail(max_credit=100_000),), quotes_per_minute=1000, sessions_per_minute=1000)
        self.node = Node("shop", key=KeyPair.generate(), payments=payments)
        offer = Offer(tariff=TARIFF, window=WINDOW, max_charge=1000, hold_open=timedelta(seconds=1))
        self.node.skill("words", offers=[offer])(self.words)

    async def words(self, _: IncomingAsk) -> AsyncIterator[str]:
        for word in WORDS:
            self.made += 1
            yield word


@pytest.mark.parametrize("name", THIEVES)
async def test_a_thief_gets_nothing_that_the_node_cannot_settle(name: str) -> None:
    shop = Shop()
    async with shop.node.serving("127.0.0.1:0") as running, thief_at(authority_of(running), skill_id="words") as thief:
        await THIEVES[name](thief)
        state = await _settled(thief)
    assert (thief.loot > 0) is (name != "signs-after-the-end")
    assert thief.loss == 0
    read = [text for text in thief.texts.values() if text]
    unread = shop.made * len(WORDS[0]) - len("".join(read))
    assert unread <= len(read) * (WINDOW + len(WORDS[0])), "more work was done than a window ahead of each answer"
    assert thief.loot <= state.spent <= state.authorized <= thief.authorized
    assert state.reserved == 0


def _overdrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sets aside for asks what a session has, whether its payer authorized it or not."""
    monkeypatch.setattr(Account, "free", property(lambda account: account.available))
    monkeypatch.setattr(Account, "__post_init__", lambda _: None)


def _unpaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Delivers text before it is authorized."""

    async def cover(*_: object) -> None:
        pass

    monkeypatch.setattr(Bill, "_cover", cover)


def _never_shut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes asks and vouchers out of sessions that are closed."""
    monkeypatch.setattr(ledger_steps, "still_open", ledger_steps.present)


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "replays-vouchers-and-asks": _overdrawn,
    "races-on-one-session": _overdrawn,
    "vanishes-without-paying": _unpaid,
    "claims-to-have-signed-less": _overdrawn,
    "signs-after-the-end": _never_shut,
    "floods-with-vouchers": _unpaid,
}
"""The fault of a node that each thief lives by."""


@pytest.mark.parametrize("name", THIEVES)
async def test_a_node_with_the_fault_that_a_thief_lives_by_is_robbed(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    FAULTS[name](monkeypatch)
    shop = Shop()
    async with shop.node.serving("127.0.0.1:0") as running, thief_at(authority_of(running), skill_id="words") as thief:
        await THIEVES[name](thief)
    assert thief.loss > 0


def authority_of(running: RunningNode) -> str:
    return running.address.partition("@")[2]


async def _settled(thief: Thief) -> payment_pb2.SessionState:
    while (state := await thief.state()).reserved:  # noqa: ASYNC110 - a node tells it to whoever asks
        await asyncio.sleep(0.02)
    return state
