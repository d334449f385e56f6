"""`consilience-conformance run --max-spend`: no run spends more than it may, and a healthy node never fails by that."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from consilience.identity import KeyPair
from consilience.payments import SessionStatus
from consilience.rails.hold import HoldRail
from consilience.server import IncomingAsk, Node, rates
from consilience.server.answers import Answers
from consilience.server.payments import Offer, Payments
from consilience.server.payments.sessions import Sessions
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience.testing.nodes import serving_in_thread
from consilience_conformance import callers
from consilience_conformance.amounts import written
from consilience_conformance.cli import main

PAID = "an-unpaid-ask-is-told-the-price,a-paid-ask-is-answered,PAY-SES-002,PAY-VCH-001,PAY-WDR-001,PAY-HOLD-001"
ASKED = (
    "ask,key-of-mixed-order-is-accepted,messages-of-the-node-keep-their-rules,message-bytes-are-limited,"
    "first-check-that-fails-is-the-refusal,another-ask-under-a-bound-id-is-refused,refusal-binds-nothing,"
    "ask-in-a-bad-envelope-is-refused,resume-from-behind-the-log-is-refused,callers-share-no-request-ids"
)
MOST = 100
"""What an ask costs at its most."""
EACH = 320
"""What a session of a check holds that says nothing else: eight windows of the quote."""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


@pytest.fixture
def tester(tmp_path: Path) -> Path:
    return tmp_path / "tester.key"


def _shop(store: Path, tester: Path, *, transfers_per_minute: int = 6000) -> Node:
    """Returns a node whose one skill costs something of value, on credit or in escrow of the tester."""
    issuer = callers.Tester.at(tester).callers[0].key
    rail = HoldRail(network="main", assets=("USD/6",), max_credit=10**6, issuers=(issuer,))  # type: ignore[arg-type]
    payments = Payments(
        rails=(rail,), quotes_per_minute=600, sessions_per_minute=600, transfers_per_minute=transfers_per_minute
    )
    node = Node("shop", key=KeyPair.generate(), store=f"sqlite:///{store}", payments=payments)
    prices = (UnitPrice(unit=PricedUnit.REQUEST, price=5), UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1))
    offer = Offer(tariff=Tariff(id="bytes", asset="USD/6", prices=prices), window=40, max_charge=100)

    @node.skill("say", offers=[offer])
    async def say(_: IncomingAsk) -> AsyncIterator[str]:
        yield "a hundred units of text, or nearly"

    return node


@pytest.fixture
def address(store: Path, tester: Path) -> Iterator[str]:
    """Serves the shop, with a free skill beside."""
    node = _shop(store, tester)

    @node.skill("greet")
    async def greet(_: IncomingAsk) -> AsyncIterator[str]:
        yield "hello"

    with serving_in_thread(node) as running:
        yield running.address


@pytest.fixture
def paid_only(store: Path, tester: Path) -> Iterator[str]:
    """Serves the shop, where nothing is free."""
    with serving_in_thread(_shop(store, tester)) as running:
        yield running.address


@pytest.fixture
def kept_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves sessions open, as a judge that dies does: what was promised stands in the books only so long."""

    async def nothing(*_: object, **__: object) -> None:
        pass

    monkeypatch.setattr("consilience_conformance.stage.close_sessions", nothing)


def _run(address: str, tester: Path, *arguments: str, only: str = PAID) -> Result:
    words = ["run", address, "--mode", "live", "--tester-key", str(tester), "--only", only, *arguments]
    return CliRunner().invoke(main, words)


def _promised(store: Path) -> int:
    """Returns what the books of the node say that the judge could have come to owe it, or stood in for."""
    with closing(sqlite3.connect(store)) as books:
        rows = books.execute("SELECT authorized, credit_limit, deposited FROM sessions").fetchall()
    for authorized, lent, deposited in rows:
        assert authorized <= lent + deposited
    return sum(max(authorized, deposited) for authorized, _, deposited in rows)


def _statuses(store: Path) -> list[int]:
    """Returns how the sessions stand in the books of the node."""
    with closing(sqlite3.connect(store)) as books:
        return [status for (status,) in books.execute("SELECT status FROM sessions")]


def _spending(folder: Path) -> dict[str, Any]:
    """Returns what the JSON report of a run says that it spent."""
    spending: dict[str, Any] = json.loads((folder / "report.json").read_text())["spending"]
    return spending


def test_without_the_option_nothing_of_value_is_spent(address: str, store: Path, tester: Path) -> None:
    result = _run(address, tester)
    said = " ".join(result.stdout.split())
    assert "a run spends nothing of value unless --max-spend 'AMOUNT ASSET' allows it" in said
    assert result.exit_code == 3, result.output
    assert "Spent" not in said
    assert _promised(store) == 0


@pytest.mark.usefixtures("kept_open")
@pytest.mark.parametrize("allowed", [EACH - 1, EACH, 5 * EACH])
def test_a_run_spends_no_more_than_it_may_and_says_what_it_left_out(
    address: str, store: Path, tester: Path, allowed: int
) -> None:
    result = _run(address, tester, "--max-spend", written(allowed, asset="USD/6"))
    said = " ".join(result.stdout.split())
    assert result.exit_code == 3, result.output
    assert f"needs 0.000320 USD/6, more than is left of --max-spend '{written(allowed, asset='USD/6')}'" in said
    assert "UNTESTABLE" not in said
    assert _promised(store) <= allowed


@pytest.mark.usefixtures("kept_open")
def test_a_run_that_may_spend_enough_judges_all_that_costs_something(address: str, store: Path, tester: Path) -> None:
    result = _run(address, tester, "--max-spend", "1 USD/6")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 3, result.output
    assert "needs a prepaid session, and what is of value no node gives to a tester" in said, result.stdout
    assert "UNTESTABLE" not in said
    assert "--max-spend" not in said
    assert 0 < _promised(store) <= 1_000_000


def test_where_nothing_is_free_nothing_is_asked_without_the_option(paid_only: str, store: Path, tester: Path) -> None:
    result = _run(paid_only, tester, only=ASKED)
    said = " ".join(result.output.split())
    assert "is free, and say is paid in USD/6 by hold.v1 on main; a run spends nothing of value unless" in said
    assert result.exit_code == 4, result.output
    assert _promised(store) == 0


@pytest.mark.usefixtures("kept_open")
def test_where_nothing_is_free_the_asks_of_all_checks_are_paid(paid_only: str, store: Path, tester: Path) -> None:
    result = _run(paid_only, tester, "--max-spend", "1 USD/6", only=ASKED)
    assert result.exit_code == 0, result.output
    assert 0 < _promised(store) <= 1_000_000


@pytest.mark.usefixtures("kept_open")
@pytest.mark.parametrize("asks", [1, 3, 10])
def test_where_nothing_is_free_a_run_asks_as_often_as_it_may_pay(
    paid_only: str, store: Path, tester: Path, asks: int
) -> None:
    result = _run(paid_only, tester, "--max-spend", written(asks * MOST, asset="USD/6"), only=ASKED)
    said = " ".join(result.stdout.split())
    assert result.exit_code == 3, result.output
    assert f"needs 0.000100 USD/6, more than is left of --max-spend '{written(asks * MOST, asset='USD/6')}'" in said
    assert "UNTESTABLE" not in said
    assert _promised(store) <= asks * MOST


def test_a_node_whose_paid_answers_break_a_rule_fails(
    paid_only: str, tester: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound = Answers.reader

    def lenient(self: Answers, found: Any, *, after: int = 0) -> Any:
        last = found.log.last_sequence if hasattr(found, "log") else found.last_sequence
        return sound(self, found, after=min(after, last))

    monkeypatch.setattr(Answers, "reader", lenient)
    result = _run(paid_only, tester, "--max-spend", "1 USD/6", only="STRM-CUR-003")
    assert "FAIL resume-from-behind-the-log-is-refused" in " ".join(result.stdout.split())
    assert result.exit_code == 1, result.output


@pytest.mark.parametrize("words", ["5000", "USD/6", "-1 USD/6", "0.0000001 USD/6", "1.5 TEST/0", "5000 usd"])
def test_what_is_no_amount_of_an_asset_is_a_wrong_command_line(words: str) -> None:
    result = CliRunner().invoke(main, ["run", "127.0.0.1:1", "--max-spend", words])
    assert result.exit_code == 64
    assert "is no amount of" in " ".join(result.output.split())


def test_a_run_whose_allowance_pays_for_no_ask_has_done_too_little(paid_only: str, tester: Path) -> None:
    result = _run(paid_only, tester, "--max-spend", "0.000099 USD/6", only="")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 3, result.output
    assert "not judged though asked for: what --max-spend '0.000099 USD/6' is too little for" in said


def test_a_node_that_opens_few_sessions_in_a_minute_is_waited_for(
    store: Path, tester: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rates, "MINUTE", timedelta(seconds=1))
    with serving_in_thread(_shop(store, tester, transfers_per_minute=2)) as running:
        result = _run(running.address, tester, "--max-spend", "1 USD/6", only=ASKED)
    with closing(sqlite3.connect(store)) as books:
        (sessions,) = books.execute("SELECT count(*) FROM sessions").fetchone()
    assert result.exit_code == 0, result.output
    assert sessions > 2


def test_a_run_says_what_it_spent_wherever_it_is_read(address: str, store: Path, tester: Path, tmp_path: Path) -> None:
    result = _run(address, tester, "--max-spend", "0.005 USD/6", "--out", str(tmp_path), only="PAY-VCH-001")
    spending = _spending(tmp_path)
    spent, taken = spending["authorized"], spending["setAside"]
    assert 0 < _promised(store) <= spent["value"] <= taken["value"] <= 5000
    assert spending["allowed"] == {"value": 5000, "asset": "USD/6", "text": "0.005 USD"}
    line = f"at most {spent['text']}, which was authorized, of 0.005 USD allowed"
    assert f"Spent: {line}" in result.stdout
    assert line in (tmp_path / "report.html").read_text()
    assert line in (tmp_path / "summary.md").read_text().replace("\\", "")
    assert f'name="spent" value="{line}' in (tmp_path / "junit.xml").read_text()


def test_what_was_left_out_for_money_is_counted_and_what_it_needs_lets_more_be_judged(
    paid_only: str, tester: Path, tmp_path: Path
) -> None:
    result = _run(paid_only, tester, "--max-spend", written(MOST, asset="USD/6"), "--out", str(tmp_path), only=ASKED)
    spending = _spending(tmp_path)
    left_out = len(spending["leftOut"])
    last = result.stdout.splitlines()[-2]
    assert last.startswith("TOO LITTLE")
    assert f"{left_out} checks were left out for money, and need at least {spending['more']['text']} more" in last
    assert spending["more"]["value"] == left_out * MOST
    more = written(MOST + spending["more"]["value"], asset="USD/6")
    assert last.endswith(f"--max-spend '{more}'")
    result = _run(paid_only, tester, "--max-spend", more, "--out", str(tmp_path), only=ASKED)
    assert len(_spending(tmp_path)["leftOut"]) < left_out


def test_what_rests_on_a_check_that_was_left_out_for_money_was_left_out_for_it_too(
    paid_only: str, tester: Path, tmp_path: Path
) -> None:
    _run(paid_only, tester, "--max-spend", written(MOST - 1, asset="USD/6"), "--out", str(tmp_path), only="")
    spending = _spending(tmp_path)
    needs = {one["check"]: one["needs"]["value"] for one in spending["leftOut"]}
    assert needs["ask"] == MOST
    assert len(needs) > 40
    assert set(needs.values()) <= {0, MOST}


def test_another_asset_than_the_node_takes_is_named_beside_what_it_takes(address: str, tester: Path) -> None:
    said = " ".join(_run(address, tester, "--max-spend", "1 EUR/2").stdout.split())
    assert "say is paid in USD/6 by hold.v1 on main; --max-spend '1.00 EUR/2' allows EUR/2, and not USD/6" in said
    assert "Spent: nothing of 1 EUR allowed" in said


def test_another_asset_than_a_node_takes_that_has_nothing_free_is_told_before_it_is_judged(
    paid_only: str, tester: Path
) -> None:
    result = _run(paid_only, tester, "--max-spend", "1 EUR/2")
    assert result.exit_code == 4
    assert "--max-spend '1.00 EUR/2' allows EUR/2, and not USD/6: allow it" in " ".join(result.output.split())


def test_an_allowance_of_nothing_is_called_one(address: str, tester: Path) -> None:
    said = " ".join(_run(address, tester, "--max-spend", "0 USD/6").stdout.split())
    assert "--max-spend '0.000000 USD/6' allows nothing" in said


def test_a_run_leaves_no_session_open_that_holds_anything_of_value(
    paid_only: str, store: Path, tester: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consilience_conformance.departures.CLOSE_SECONDS", 60.0)
    result = _run(paid_only, tester, "--max-spend", "1 USD/6", only=f"{ASKED},{PAID}")
    assert result.exit_code == 3, result.output
    assert set(_statuses(store)) == {SessionStatus.CLOSED.value}
    assert len(_statuses(store)) > 10


@pytest.mark.parametrize("trouble", ["silent", "refuses"])
def test_a_node_that_closes_no_session_is_not_waited_for_and_not_judged_by_it(
    address: str, store: Path, tester: Path, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    asked = []

    async def close(_: Sessions, session_id: bytes, **__: object) -> None:
        asked.append(session_id)
        if trouble == "silent":
            await asyncio.Event().wait()
        raise RuntimeError("no session is closed here")

    monkeypatch.setattr("consilience_conformance.departures.CLOSE_SECONDS", 3.0)
    monkeypatch.setattr(Sessions, "close", close)
    result = _run(address, tester, "--max-spend", "1 USD/6", only="a-paid-ask-is-answered")
    assert result.exit_code == 0, result.output
    assert len(asked) == len(_statuses(store)) > 0
    assert set(_statuses(store)) == {SessionStatus.OPEN.value}
