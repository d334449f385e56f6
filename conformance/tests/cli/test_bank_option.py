"""`consilience-conformance run --bank`: the judge plays the bank of a node, and says what it needs for that."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from conformance.tests.judged_nodes import talking_node
from consilience.identity import KeyPair
from consilience.rails.bank import BankRail
from consilience.server import IncomingAsk, Node
from consilience.server.payments import Payments
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cli import main
from consilience_conformance.selftest.ports import free_address

CHECK = "a-deposit-comes-by-the-bank"


@pytest.fixture(scope="module")
def bank() -> str:
    return free_address()


@pytest.fixture(scope="module")
def address(bank: str) -> Iterator[str]:
    payments = Payments(rails=(BankRail(address=bank),), sessions_per_minute=600)
    node = Node("shop", key=KeyPair.generate(), payments=payments)

    @node.skill("say")
    async def say(_: IncomingAsk) -> AsyncIterator[str]:
        yield "hello"

    with serving_in_thread(node) as running:
        yield running.address


def _run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["run", *map(str, arguments)])


def test_a_node_that_is_paid_at_the_bank_of_the_judge_alone_passes(address: str, bank: str) -> None:
    result = _run(address, "--bank", bank, "--only", "PAY-RAIL-001,PAY-WDR-003")
    assert result.exit_code == 0, result.output
    assert "4 of 4 checks passed" in result.stdout


def test_without_the_option_its_checks_are_not_tested(address: str) -> None:
    result = _run(address, "--only", f"{CHECK},unknown-skill-is-refused")
    assert "NOT TESTED  1 check: needs the address at which the judge plays the bank" in result.stdout
    assert "--bank HOST:PORT" in result.stdout


def test_a_node_without_the_rail_has_nothing_to_be_judged_by_it(bank: str) -> None:
    with serving_in_thread(talking_node()) as running:
        result = _run(running.address, "--bank", bank, "--only", f"{CHECK},unknown-skill-is-refused")
    assert "NOT APPLICABLE  1 check: the card does not declare pay" in result.stdout


def test_a_node_that_goes_to_another_bank_is_told_so(address: str) -> None:
    result = _run(address, "--bank", free_address(), "--only", CHECK)
    assert result.exit_code == 1
    assert "the node started no deposit at the bank that the judge plays" in " ".join(result.stdout.split())


def test_a_bank_that_cannot_be_served_is_no_verdict_on_the_node(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = _run(address, "--bank", f"127.0.0.1:{taken.getsockname()[1]}", "--only", CHECK)
    assert result.exit_code == 4
    assert "The bank cannot be served at 127.0.0.1" in result.output
    assert "Address already in use" in result.output


@pytest.mark.parametrize("place", ["127.0.0.1", "bank.example:7350", "127.0.0.1:0"])
def test_an_address_that_is_none_of_this_machine_is_a_wrong_command_line(address: str, place: str) -> None:
    result = _run(address, "--bank", place)
    assert result.exit_code == 64
    assert "no address at which the judge can be called" in result.output
