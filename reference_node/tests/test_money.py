"""A node that is paid, as a process: what it says at its start, and what its operator sees and does beside it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consilience.cli.app import consilience_command
from consilience.cli.complaints import complaint
from consilience.client import Client
from consilience.client.payments.calls import PaymentCalls
from consilience.envelopes import Signed
from consilience.errors import BalanceTooLowError, DepositPendingError, SessionClosedError
from consilience.identity import KeyPair, format_node_id
from consilience.payments import Budget, Receipt
from consilience.rails.hold import HoldPayer
from consilience.units import Digest
from consilience_node.cli import main
from consilience_node.exits import Exit
from reference_node.tests.lines import HOST, free_ports
from reference_node.tests.processes import NodeProcess, run, serving
from reference_node.tests.test_serving import metrics_of

CONFIG = """
[node]
name = "desk"

[payments]

[[payments.rails]]
rail = "hold.v1"
max_credit = 1000
grants = false

[metrics]
address = "127.0.0.1:0"

[[models]]
id = "script"
engine = "scripted"
script = "script.toml"

[[models.prices]]
id = "tokens"
asset = "TEST/0"
request = 5
output_tokens = { price = 3, per = 2 }

[[skills]]
id = "chat"
model = "script"
description = "Counts."

[[skills]]
id = "gratis"
model = "script"
prices = []
"""
SCRIPT = '[[programs]]\nsteps = [{ emit = "one" }, { emit = " two" }, { emit = " three" }]\n'
UNKNOWN = "ab" * 32
BUDGET = Budget(per_ask="100 TEST/0", per_day="1000 TEST/0")


def configured(folder: Path) -> Path:
    (folder / "script.toml").write_text(SCRIPT)
    file = folder / "node.toml"
    file.write_text(CONFIG)
    return file


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeProcess]:
    folder = tmp_path_factory.mktemp("paid-node")
    with serving("--config", configured(folder), folder=folder) as node:
        yield node


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[Client]:
    """Pays on credit."""
    rails = [HoldPayer(max_credit=1000, prepaid=False)]
    async with Client(
        KeyPair.generate(), card_file=tmp_path / "cards", wallet=tmp_path / "wallet", budget=BUDGET, rails=rails
    ) as client:
        yield client


async def command(node: NodeProcess, *words: str | Path) -> Result:
    """Runs a command beside a node, in this process: most of the time of another one would go into its imports."""
    arguments = [*map(str, words), "--state-folder", str(node.folder / "state")]
    return await asyncio.to_thread(CliRunner().invoke, main, arguments)


async def money(node: NodeProcess, *words: str | Path) -> str:
    """Returns what a command prints that does what it is told."""
    ended = await command(node, *words)
    assert (ended.exit_code, ended.stderr) == (0, "")
    return ended.stdout


async def earnings(node: NodeProcess) -> dict[str, Any]:
    rows = json.loads(await money(node, "earnings", "--json"))
    return next((row for row in rows if row["backing"] == "CREDIT"), {"earned": 0, "receipts": 0})


async def charged(node: NodeProcess, customer: Client) -> Signed[Receipt]:
    result = await customer.ask("Count.", node=node.address, skill="chat")
    assert result.receipt is not None
    return result.receipt


def test_a_node_says_at_its_start_what_its_skills_cost(node: NodeProcess) -> None:
    lines = node.output.splitlines()
    chat = next(number for number, line in enumerate(lines) if line.startswith("  skill  chat"))
    assert lines[chat + 1].strip() == "5 TEST per answer, 3 TEST per 2 output tokens (tokens)"
    assert lines[chat + 2].startswith("  skill  gratis")
    assert lines[chat + 3].strip() == "free"


def test_the_check_of_a_configuration_says_what_its_skills_cost(tmp_path: Path) -> None:
    said = run("check", "--config", configured(tmp_path)).stdout
    assert re.search(r"chat +script .*\n +5 TEST per answer, 3 TEST per 2 output tokens \(tokens\)\n", said)
    assert re.search(r"gratis +script .*\n +free\n", said)


async def test_an_answer_is_charged_by_the_price_of_its_model(node: NodeProcess, customer: Client) -> None:
    before = await earnings(node)
    quote = (await customer.payments.quote("chat", node=node.address)).value
    receipt = (await charged(node, customer)).value
    after = await earnings(node)
    assert quote.tariff is not None
    assert (quote.tariff.id, quote.tariff.model_ids, quote.tariff.tokenizer) == ("tokens", ("script",), "script")
    assert (quote.window, quote.max_charge) == (48, 5 + 512 * 3 // 2)
    assert (receipt.charge, receipt.usage.output_tokens) == (10, 3)
    assert after["earned"] - before["earned"] == 10
    assert after["receipts"] - before["receipts"] == 1


async def test_a_skill_that_says_it_is_free_is_free_beside_a_price_of_its_model(
    node: NodeProcess, customer: Client
) -> None:
    result = await customer.ask("Count.", node=node.address, skill="gratis")
    assert (result.text, result.receipt) == ("one two three", None)


async def test_charges_and_refused_vouchers_are_among_the_numbers_and_nobody_who_paid(
    node: NodeProcess, customer: Client
) -> None:
    charges = 'consilience_node_charges_total{asset="TEST/0",skill="chat"}'
    refused = (
        'consilience_node_refusals_total{method="consilience.v1.PaymentService/SubmitVoucher",reason="BALANCE_TOO_LOW"}'
    )
    before = metrics_of(node)
    receipt = (await charged(node, customer)).value
    calls = PaymentCalls(customer._caller)
    with pytest.raises(BalanceTooLowError):
        await calls.submit(
            calls.voucher(Digest(receipt.session_id), cumulative=1001), route=await customer._cards.route(node.address)
        )
    after = metrics_of(node)
    assert after[charges] - before.get(charges, 0.0) == 10
    assert after[refused] - before.get(refused, 0.0) == 1
    assert receipt.session_id.hex() not in str(after)
    assert format_node_id(receipt.payer) not in str(after)


async def test_an_operator_finds_a_charge_and_gives_it_back(
    node: NodeProcess, customer: Client, tmp_path: Path
) -> None:
    receipt = await charged(node, customer)
    before = await earnings(node)
    session_id = Digest(receipt.value.session_id)
    session = session_id.hex()
    sessions = json.loads(await money(node, "sessions", "--json"))
    (mine,) = [row for row in sessions if row["session_id"] == session]
    (listed,) = json.loads(await money(node, "receipts", session, "--json"))
    assert (mine["payer"], mine["spent"]) == (format_node_id(receipt.value.payer), 10)
    assert (listed["digest"], listed["charge"], listed["outcome"]) == (receipt.digest.hex(), 10, "ANSWERED")
    said = await money(node, "refund", session, receipt.digest.hex(), "4 TEST")
    assert f"4 TEST  refund of {receipt.digest.hex()}" in said
    await money(node, "refund", session, receipt.digest.hex(), "1")
    assert (await customer.payments.refresh(session_id)).refunded == 5
    assert all(check.passed for check in await customer.payments.verify(session_id))
    assert before["earned"] - (await earnings(node))["earned"] == 5
    lines = (await money(node, "receipts", session)).splitlines()
    assert [line.split("  ")[3] for line in lines] == ["10 TEST", "4 TEST", "1 TEST"]
    wallet = ["--wallet", str(tmp_path / "wallet")]
    shown = await asyncio.to_thread(CliRunner().invoke, consilience_command, ["receipts", "list", *wallet])
    rows = [[part.strip() for part in line.split("│")] for line in shown.stdout.splitlines()]
    assert [row[-2:] for row in rows if len(row) > 1 and row[-1].endswith("TEST")] == [
        ["ANSWERED", "10 TEST"],
        ["refund", "-4 TEST"],
        ["refund", "-1 TEST"],
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["receipts", UNKNOWN], "there is no session abab"),
        (["refund", UNKNOWN, UNKNOWN, "1"], "there is no session abab"),
        (["grant-hold", UNKNOWN, "--output", "hold"], "there is no session abab"),
        (["receipts", "ab"], "'ab' is no id of 64 hexadecimal digits"),
        (["grant-hold", UNKNOWN, "--deposit", "ab", "--output", "hold"], "'ab' is no id of 32 hexadecimal digits"),
    ],
)
async def test_what_is_not_in_the_books_is_said(node: NodeProcess, words: list[str], said: str) -> None:
    ended = await command(node, *words)
    assert ended.exit_code == Exit.USAGE
    assert said in ended.stderr


@pytest.mark.parametrize(
    ("amount", "said"),
    [("11", "11 TEST cannot be given back"), ("5 USD", "the amount must be in TEST/0"), ("0", "above zero")],
)
async def test_a_refund_that_cannot_be_is_refused(node: NodeProcess, customer: Client, amount: str, said: str) -> None:
    receipt = await charged(node, customer)
    session_id = Digest(receipt.value.session_id)
    ended = await command(node, "refund", session_id.hex(), receipt.digest.hex(), amount)
    assert ended.exit_code == Exit.USAGE
    assert said in ended.stderr
    assert (await customer.payments.refresh(session_id)).refunded == 0


async def test_a_deposit_is_credited_by_the_hold_that_the_operator_hands_out(node: NodeProcess, tmp_path: Path) -> None:
    file = tmp_path / "hold"
    key = KeyPair.generate()
    async with Client(key, card_file=tmp_path / "cards", wallet=tmp_path / "wallet", budget=BUDGET) as customer:
        with pytest.raises(DepositPendingError) as pending:
            await charged(node, customer)
        said = await money(node, "sessions")
        assert f"waits for the deposit {pending.value.deposit_id.hex()} of 300 TEST" in said
        said = await money(node, "grant-hold", pending.value.session_id.hex(), "--output", file)
        payer = format_node_id(key.public_key)
        assert re.fullmatch(rf"{file}: 300 TEST for {payer}, to be shown until [-0-9]{{10}} [0-9:]{{5}} UTC\n", said)
        assert (await customer.payments.take_hold(file.read_bytes())).available == 300
        receipt = await charged(node, customer)
    assert (receipt.value.session_id, receipt.value.charge) == (pending.value.session_id, 10)


async def test_no_hold_is_handed_out_for_a_session_that_its_payer_has_closed(node: NodeProcess, tmp_path: Path) -> None:
    file = tmp_path / "hold"
    key = KeyPair.generate()
    async with Client(key, card_file=tmp_path / "cards", wallet=tmp_path / "wallet", budget=BUDGET) as customer:
        with pytest.raises(DepositPendingError) as pending:
            await charged(node, customer)
        session, deposit = pending.value.session_id.hex(), pending.value.deposit_id.hex()
        await money(node, "grant-hold", session, "--output", file)
        await customer.payments.close_session(pending.value.session_id)
        late = await command(node, "grant-hold", session, "--output", tmp_path / "late")
        assert not (tmp_path / "late").exists()
        assert late.exit_code == Exit.USAGE
        assert "takes no deposit any more; its next ask begins another" in late.stderr
        assert deposit not in await money(node, "sessions")
        with pytest.raises(SessionClosedError) as closed:
            await customer.payments.take_hold(file.read_bytes())
    told = complaint(closed.value)
    assert "The next ask opens another session" in told
    assert "voucher" not in told


def test_a_node_that_was_never_started_has_no_books(tmp_path: Path) -> None:
    ended = run("earnings", "--state-folder", tmp_path / "nowhere")
    assert ended.returncode == Exit.STATE
    assert "there are no books in" in ended.stderr
    assert not (tmp_path / "nowhere").exists()


async def test_the_books_of_a_node_that_was_stopped_are_open_to_its_operator(tmp_path: Path) -> None:
    with serving("--config", configured(tmp_path), folder=tmp_path) as node:
        pass
    ended = run("earnings", "--json", "--state-folder", tmp_path / "state")
    assert (ended.returncode, json.loads(ended.stdout)) == (0, [])
    assert await money(node, "sessions") == "no session was opened yet\n"
    assert await money(node, "earnings") == "nothing was earned yet\n"


async def test_a_node_that_stops_taking_payments_says_what_its_payers_have_there(tmp_path: Path) -> None:
    file, paid = configured(tmp_path), CONFIG.replace("grants = false", "grants = true")
    unpriced = re.sub(r"\[\[models.prices]].*?\n\n", "", paid, flags=re.DOTALL)
    unpaid = re.sub(r"\[payments].*?(?=\[metrics])", "", unpriced, flags=re.DOTALL)

    def life(config: str) -> AbstractContextManager[NodeProcess]:
        file.write_text(config)
        return serving("--config", file, folder=tmp_path, address=address)

    (port,) = free_ports(1)
    address, key = f"{HOST}:{port}", KeyPair.generate()
    async with Client(key, card_file=tmp_path / "cards", wallet=tmp_path / "wallet", budget=BUDGET) as customer:
        with life(paid) as node:
            await charged(node, customer)
    with life(unpaid) as node:
        assert "payers have money in sessions with this node" in node.log
        assert "290 TEST" in node.log
    with life(unpriced) as node:
        assert "payers have money" not in node.log
        async with Client(key, card_file=tmp_path / "cards", wallet=tmp_path / "wallet") as customer:
            (session,) = await customer.payments.sessions()
            await customer.payments.close_session(session.session_id)
            assert (await customer.payments.withdraw(session.session_id)).amount == 290
    with life(unpaid) as node:
        assert "payers have money" not in node.log
