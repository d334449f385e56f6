"""`consilience-conformance doctor` says in seconds what there is to see."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from conformance.tests.judged_nodes import registry_node, talking_node
from consilience.identity import KeyPair
from consilience.nodes import Limits
from consilience.rails.hold import HoldRail
from consilience.server import IncomingAsk, Node
from consilience.server.payments import Offer, Payments
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cli import doctor, main
from consilience_conformance.diagnosis import Clock, Diagnosis, diagnose
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.verdicts import Finding


def _shop(folder: Path, *, network: str, max_credit: int, quotes_per_minute: int = 600) -> Node:
    """Returns a node with a skill that is free, and two that cost something on a network."""
    rail = HoldRail(network=network, assets=("USD/6",), max_credit=max_credit)
    payments = Payments(rails=(rail,), quotes_per_minute=quotes_per_minute)
    node = Node("shop", key=KeyPair.generate(), payments=payments, store=f"sqlite:///{folder}/shop.db")

    async def say(_: IncomingAsk) -> AsyncIterator[str]:
        yield "hello"

    node.skill("greet")(say)
    for name in ("say", "sing"):
        tariff = Tariff(id=name, asset="USD/6", prices=(UnitPrice(unit=PricedUnit.REQUEST, price=5),))
        node.skill(name, offers=[Offer(tariff=tariff, window=40, max_charge=100)])(say)
    return node


def _seen_as(monkeypatch: pytest.MonkeyPatch, **changes: object) -> None:
    async def changed(address: str) -> Diagnosis:
        return replace(await diagnose(address), **changes)  # type: ignore[arg-type]

    monkeypatch.setattr(doctor, "diagnose", changed)


def test_a_healthy_node_is_well() -> None:
    with serving_in_thread(talking_node(conformance=True)) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 0, result.output
    for words in ("desk at 127.0.0.1", "keeps the rules", "plain, on loopback", "core, conformance", "say, reads text"):
        assert words in result.stdout
    assert "consilience-node grant" in result.stdout
    assert "✕" not in result.stdout


def test_a_node_without_the_script_is_told_what_scripted_mode_lacks() -> None:
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert "which the card does not offer" in result.stdout


@pytest.mark.parametrize(
    ("network", "max_credit", "needs"),
    [
        ("test", 0, "units of the network test, for which a run needs no --max-spend"),
        ("main", 1000, "a run pays it where --max-spend 'AMOUNT USD/6' allows it"),
        ("main", 0, "no run can pay that: a tester pays by hold.v1 alone, on credit where it is of value"),
    ],
)
def test_it_is_told_what_an_ask_costs_at_most_and_what_a_run_needs_for_it(
    tmp_path: Path, network: str, max_credit: int, needs: str
) -> None:
    with serving_in_thread(_shop(tmp_path, network=network, max_credit=max_credit)) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 0, result.output
    assert "· price      greet is free\n" in result.stdout
    assert f"· price      say costs 0.000100 USD/6 at most; {needs}\n" in result.stdout


def test_a_node_that_takes_no_money_is_told_no_price() -> None:
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert "price" not in result.stdout


async def test_a_node_that_quotes_no_price_is_looked_at_all_the_same(tmp_path: Path) -> None:
    shop = _shop(tmp_path, network="test", max_credit=0, quotes_per_minute=1)
    async with shop.serving("127.0.0.1:0") as running:
        seen = await diagnose(running.address)
    free, told, untold = seen.prices
    assert (free.asset, told.most, untold.most) == ("", 100, None)
    assert "the node does not say how much: refused LIMIT_EXCEEDED" in untold.words(seen.target.card)


def test_a_registry_is_told_how_many_records_come(tmp_path: Path) -> None:
    with serving_in_thread(registry_node(tmp_path)) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 0, result.output
    assert "publishes some two thousand records" in result.stdout
    assert "--feed HOST:PORT" in result.stdout


def test_a_node_that_bears_one_ask_of_a_caller_is_told_that_no_script_can_go_on() -> None:
    with serving_in_thread(talking_node(conformance=True, limits=Limits(max_running_asks_per_caller=1))) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert "scripted   cannot be: a script that waits is let go on by a second ask" in result.stdout
    assert result.exit_code == 0


def test_a_card_that_breaks_a_rule_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    _seen_as(monkeypatch, findings=(Finding(requirement="NODE-CARD-006", message="m\x1b[2J", got="g"),))
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 1
    assert "✕ card       NODE-CARD-006: m\\u001b[2J (got g)" in result.stdout


def test_a_clock_that_is_off_is_no_verdict_on_the_node_but_has_to_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    _seen_as(monkeypatch, clock=Clock(ahead=timedelta(minutes=-5)))
    with serving_in_thread(talking_node()) as running:
        result = CliRunner().invoke(main, ["doctor", running.address])
    assert result.exit_code == 4
    assert "300.00 s behind this one" in result.stdout


async def test_a_silent_node_is_not_waited_for() -> None:
    async with DEGENERATE["hang"].serving() as address:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "consilience_conformance", "doctor", address, stderr=asyncio.subprocess.PIPE
        )
        _, err = await process.communicate()
    assert process.returncode == 4
    assert len(err.decode().splitlines()) == 1
