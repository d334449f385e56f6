import asyncio
import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import to_bytes
from consilience.client import Client
from consilience.client.payments import Wallet
from consilience.identity import KeyPair
from consilience.payments import Budget
from consilience.rails.hold import HoldPayer, HoldRail, issue_hold
from consilience.server import RunningNode
from consilience.testing import serving_in_thread
from consilience.units import utc_now
from sdk.tests.cli.conftest import Run
from sdk.tests.client.payments.shops import COST, TEXT, Shop, settled

NODE_KEY = KeyPair.generate()


@pytest.fixture(scope="module")
def shop() -> Iterator[RunningNode]:
    with serving_in_thread(Shop().node) as running:
        yield running


async def leave_one_running(shop: RunningNode, wallet_file: Path) -> None:
    """Pays for an answer, gets money back, and leaves another answer that goes on."""
    budget = Budget(per_ask="500 TEST/0", per_day="10000 TEST/0")
    async with Client(KeyPair.generate(), budget=budget, wallet=wallet_file) as client:
        await client.ask("?", node=shop.address, skill="words")
        (session,) = await settled(client)
        await client.payments.withdraw(session.session_id, amount=100)
        async with client.stream("?", node=shop.address, skill="stall") as stream:
            stream.detach()


@pytest.fixture
def wallet_file(environment: dict[str, str]) -> Path:
    return Path(environment["XDG_STATE_HOME"]) / "consilience" / "wallet.sqlite"


def buy(consilience: Run, shop: RunningNode, *words: str) -> str:
    done = consilience("ask", "?", "--node", shop.address, "--skill", "words", "--budget", "500 TEST/0", *words)
    assert done.returncode == 0, done.stderr
    assert done.stdout == TEXT + "\n" or "--json" in words
    return done.stderr if "--json" not in words else done.stdout


def test_prices_are_shown_as_the_card_lists_them(consilience: Run, shop: RunningNode) -> None:
    shown = consilience("prices", shop.address).stdout
    assert "5 TEST per answer and 1 TEST per 2 bytes of output" in shown
    assert "hold.v1 on test" in shown
    assert "nothing" in shown
    (greet, words, *_) = json.loads(consilience("prices", shop.address, "--json").stdout)
    assert greet == {"skill": "greet", "tariffs": [], "rails": []}
    (rail,) = words["rails"]
    assert (rail["id"], rail["network"], rail["assets"]) == ("hold.v1", "test", ["TEST/0"])
    assert words["tariffs"][0]["prices"][0] == {"unit": "REQUEST", "price": 5, "per": 1, "included": 0}


def test_what_costs_something_is_not_asked_without_a_budget(
    consilience: Run, shop: RunningNode, wallet_file: Path
) -> None:
    done = consilience("ask", "?", "--node", shop.address, "--skill", "words")
    assert done.returncode == 2
    assert "BudgetExceeded: words costs 5 TEST per answer" in done.stderr
    assert "Allow more with --budget" in done.stderr
    assert not wallet_file.exists()


def test_an_ask_with_a_budget_is_paid_and_says_what_it_cost(consilience: Run, shop: RunningNode) -> None:
    said = buy(consilience, shop, "--list-price", "1 TEST/0 per 10 output bytes")
    assert f"{COST} TEST, by receipt 1 of the session" in said
    assert f"{len(TEXT) // 10} TEST (1 TEST per 10 bytes of output)" in said


def test_json_tells_the_cost_in_whole_units(consilience: Run, shop: RunningNode) -> None:
    facts = json.loads(buy(consilience, shop, "--json"))
    assert facts["cost"] == {"value": COST, "asset": "TEST/0", "text": f"{COST} TEST"}
    assert facts["receipt"]["session_spent"] == COST


@pytest.mark.parametrize(
    "words",
    [
        ("--budget", "much"),
        ("--budget", "1 USD"),
        ("--budget", "-1 TEST/0"),
        ("--day-budget", "1 TEST/0"),
        ("--day-budget", "1 USD/6", "--budget", "1 TEST/0"),
        ("--day-budget", "1 TEST/99", "--budget", "1 TEST/0"),
        ("--network", "live"),
        ("--wallet", "wallet.sqlite"),
    ],
)
def test_a_budget_that_is_none_is_a_usage_error(consilience: Run, words: tuple[str, ...]) -> None:
    done = consilience("ask", "?", "--node", "127.0.0.1:1", *words)
    assert done.returncode == 2
    assert f"Invalid value for '{words[0]}'" in done.stderr


def test_a_budget_of_too_many_digits_is_told_in_the_words_of_the_option(consilience: Run) -> None:
    done = consilience("ask", "?", "--node", "127.0.0.1:1", "--budget", "100 TEST/99")
    assert "the scale of TEST/99, the digits after the point, is out of range" in " ".join(done.stderr.split())
    assert "per_ask" not in done.stderr


@pytest.mark.parametrize("words", [("--network", "test"), ("--wallet", "wallet.sqlite")])
def test_where_to_pay_without_a_budget_says_what_to_add(consilience: Run, words: tuple[str, ...]) -> None:
    done = consilience("ask", "?", "--node", "127.0.0.1:1", *words)
    assert done.returncode == 2
    assert "there is none: add one, as --budget '0.01 USD/6'" in " ".join(done.stderr.split())


def test_the_budget_of_a_day_holds_over_commands(consilience: Run, shop: RunningNode) -> None:
    buy(consilience, shop, "--day-budget", f"{COST + 1} TEST/0")
    again = ("--skill", "words", "--budget", "500 TEST/0", "--day-budget", f"{COST + 1} TEST/0")
    done = consilience("ask", "?", "--node", shop.address, *again)
    assert done.returncode == 2
    assert "1 TEST are left" in done.stderr


def test_the_wallet_shows_what_is_left_and_what_was_spent(consilience: Run, shop: RunningNode) -> None:
    assert "nothing was paid out of it yet" in consilience("wallet", "show").stderr
    buy(consilience, shop)
    shown = consilience("wallet", "show").stdout
    assert f"{1500 - COST} TEST" in shown
    (balance,) = json.loads(consilience("wallet", "show", "--json").stdout)["balances"]
    assert balance["left"] == {"value": 1500 - COST, "asset": "TEST/0", "text": f"{1500 - COST} TEST"}
    assert (balance["spent_today"]["value"], balance["open_sessions"]) == (COST, 1)


@pytest.mark.parametrize("columns", ["80", "120"])
async def test_the_overview_tells_what_is_spent_reserved_and_withdrawn_apart(
    consilience: Run, shop: RunningNode, wallet_file: Path, environment: dict[str, str], columns: str
) -> None:
    await leave_one_running(shop, wallet_file)
    environment["COLUMNS"] = columns
    money = {"spent": COST, "reserved": 500, "withdrawn": 100, "left": 1500 - COST - 500 - 100}
    (session,) = json.loads(consilience("sessions", "list", "--json").stdout)
    assert {name: session[name]["value"] for name in money} == money
    assert (session["refunded"]["value"], session["withdrawing"]["value"], session["lost"]["value"]) == (0, 0, 0)
    heading, _, row = consilience("sessions", "list").stdout.splitlines()[:3]
    assert [name.strip() for name in heading.split("┃")][-4:] == list(money)
    cells = [cell.strip() for cell in row.split("│")]
    assert cells[0] == session["session_id"][:12]
    assert cells[-4:] == [f"{amount} TEST" for amount in money.values()]
    (balance,) = json.loads(consilience("wallet", "show", "--json").stdout)["balances"]
    assert {name: balance[name]["value"] for name in money} == money
    assert (balance["spent_today"]["value"], balance["reserved_today"]["value"]) == (COST, 500)
    shown = [line.split() for line in consilience("wallet", "show").stdout.splitlines()]
    assert ["spent", "today", str(COST), "TEST"] in shown
    assert ["reserved", "500", "TEST"] in shown
    assert ["withdrawn", "100", "TEST"] in shown


async def test_nothing_is_reserved_in_a_session_that_is_let_go_of_and_what_is_lost_counts_once(
    consilience: Run, shop: RunningNode, wallet_file: Path
) -> None:
    await leave_one_running(shop, wallet_file)
    wallet = Wallet.at(wallet_file)
    (session,) = wallet.sessions()
    wallet.give_up(session.session_id, trouble="it lies", now=utc_now())
    wallet.close()
    (balance,) = json.loads(consilience("wallet", "show", "--json").stdout)["balances"]
    money = {"spent": COST, "reserved": 0, "reserved_today": 0, "withdrawn": 100, "left": 0, "lost": 1400 - COST}
    assert {name: balance[name]["value"] for name in money} == money
    assert balance["spent_today"]["value"] == 1400


def test_a_wallet_may_be_named(consilience: Run, shop: RunningNode, tmp_path: Path) -> None:
    file = tmp_path / "purse.sqlite"
    buy(consilience, shop, "--wallet", str(file))
    assert str(file) in consilience("wallet", "show", "--wallet", str(file)).stdout.replace("\n", "")


def test_a_session_is_listed_closed_and_emptied(consilience: Run, shop: RunningNode) -> None:
    buy(consilience, shop)
    (session,) = json.loads(consilience("sessions", "list", "--json").stdout)
    name = session["session_id"][:8]
    assert (session["status"], session["spent"]["value"], session["backing"]) == ("OPEN", COST, "PREPAID")
    assert "open" in consilience("sessions", "list").stdout
    shown = consilience("sessions", "state", name).stdout
    assert "1 acknowledged" in shown
    assert "in all, by vouchers" in shown
    assert json.loads(consilience("sessions", "close", name, "--json").stdout)["status"] == "CLOSED"
    assert "by vouchers" not in consilience("sessions", "state", name).stdout
    assert consilience("sessions", "withdraw", name, "--amount", "5 TEST/0").stdout == "5 TEST: succeeded\n"
    rest = json.loads(consilience("sessions", "withdraw", name, "--json").stdout)
    assert (rest["amount"]["value"], rest["status"]) == (1500 - COST - 5, "SUCCEEDED")
    wrong = consilience("sessions", "withdraw", name, "--amount", "5 USD/6")
    assert (wrong.returncode, "the session is in TEST/0" in wrong.stderr) == (2, True)


def test_a_withdrawal_of_too_much_is_refused_in_amounts(consilience: Run, shop: RunningNode) -> None:
    buy(consilience, shop)
    (session,) = json.loads(consilience("sessions", "list", "--json").stdout)
    done = consilience("sessions", "withdraw", session["session_id"], "--amount", "5000 TEST/0")
    assert done.returncode == 3
    said, remedy = done.stderr.splitlines()
    words = r"WITHDRAWAL_INVALID: 5000 TEST is more than the \d+ TEST that can be paid out of the session"
    assert re.fullmatch(words, said)
    assert remedy.startswith("Ask for no more")


def test_a_session_that_its_node_has_lost_is_let_go_of_by_a_word(consilience: Run, environment: dict[str, str]) -> None:
    environment["COLUMNS"] = "200"
    with serving_in_thread(Shop(key=NODE_KEY).node) as shop:
        buy(consilience, shop)
    (session,) = json.loads(consilience("sessions", "list", "--json").stdout)
    name = session["session_id"][:12]
    with serving_in_thread(Shop(key=NODE_KEY).node, address=f"127.0.0.1:{shop.port}"):
        refused = consilience("sessions", "close", name)
        assert (refused.returncode, "Traceback" in refused.stderr) == (3, False)
        assert f"`consilience sessions close {name} --forget`" in refused.stderr
        ended = json.loads(consilience("sessions", "close", name, "--forget", "--json").stdout)
        assert ended["trouble"] == "the node does not know it any more"
        assert (ended["lost"]["value"], ended["left"]["value"], ended["spent"]["value"]) == (1500 - COST, 0, COST)
        told = " ".join(consilience("sessions", "close", name, "--forget").stdout.split())
        assert f"lost {1500 - COST} TEST, which count as spent" in told
        assert f"{1500 - COST} TEST lost" in " ".join(consilience("sessions", "list").stdout.split())
        again = buy(consilience, shop)
    assert f"{COST} TEST, by receipt 1 of the session" in again
    (balance,) = json.loads(consilience("wallet", "show", "--json").stdout)["balances"]
    assert (balance["spent_today"]["value"], balance["lost"]["value"]) == (1500 + COST, 1500 - COST)
    assert balance["open_sessions"] == 1


def test_a_statement_is_csv_that_a_spreadsheet_adds_up(consilience: Run, shop: RunningNode) -> None:
    buy(consilience, shop)
    buy(consilience, shop)
    (session,) = json.loads(consilience("sessions", "list", "--json").stdout)
    text = consilience("sessions", "statement", session["session_id"]).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["kind"] for row in rows] == ["deposit", "charge", "charge"]
    assert sum(int(row["units"]) for row in rows if row["kind"] == "charge") == 2 * COST == int(rows[-1]["spent"])


def test_receipts_are_listed_compared_shown_and_verified(consilience: Run, shop: RunningNode) -> None:
    buy(consilience, shop)
    shown = consilience("receipts", "list", "--list-price", "1 TEST/0 per 10 output bytes").stdout
    assert f"charged in all: {COST} TEST; given back: nothing" in shown
    assert f"at your list price (1 TEST per 10 bytes of output): {len(TEXT) // 10} TEST" in shown
    (line,) = json.loads(consilience("receipts", "list", "--json").stdout)
    assert (line["skill"], line["amount"]["value"]) == ("words", COST)
    assert line["receipt"]["payer"].startswith("cn1")
    one = consilience("receipts", "show", line["receipt"]["request_id"]).stdout
    assert f"{COST} TEST" in one
    assert line["receipt"]["digest"] in one
    verified = consilience("receipts", "verify")
    assert (verified.returncode, "Every check held." in verified.stdout) == (0, True)


def test_a_receipt_that_was_changed_fails_the_verification(
    consilience: Run, shop: RunningNode, wallet_file: Path
) -> None:
    buy(consilience, shop)
    wallet = Wallet.at(wallet_file)
    with wallet._file.transaction() as database:
        database.execute("UPDATE sessions SET spent = spent + 1")
    wallet.close()
    done = consilience("receipts", "verify", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["passed"] is False


@pytest.mark.parametrize("command", [("sessions", "state", "abcd"), ("receipts", "list", "--session", "ab")])
def test_a_session_that_is_not_there_is_told(consilience: Run, shop: RunningNode, command: tuple[str, ...]) -> None:
    buy(consilience, shop)
    done = consilience(*command)
    assert done.returncode == 2
    assert "names no session, or several; the wallet has" in done.stderr


def test_a_receipt_that_is_not_there_is_told(consilience: Run, shop: RunningNode) -> None:
    buy(consilience, shop)
    done = consilience("receipts", "show", "00" * 16)
    assert done.returncode == 2
    assert "the wallet has no receipt" in done.stderr


@pytest.mark.parametrize("network", ["test", "live"])
def test_a_hold_that_was_handed_over_is_brought_to_its_node(
    consilience: Run, tmp_path: Path, wallet_file: Path, network: str
) -> None:
    rail = HoldRail(network=network, grants=False)
    with serving_in_thread(Shop(rail=rail, key=NODE_KEY, store=f"sqlite:///{tmp_path}/shop.db").node) as running:
        words = ("--node", running.address, "--skill", "words", "--budget", "500 TEST/0", "--network", network)
        waiting = consilience("ask", "?", *words)
        assert waiting.returncode == 2
        assert "a deposit of 1500 TEST has not arrived" in waiting.stderr
        wallet = Wallet.at(wallet_file)
        (session,) = wallet.sessions()
        (deposit,) = wallet.transfers.deposits(session.session_id)
        wallet.close()
        hold = issue_hold(
            issuer=NODE_KEY,
            session_id=session.session_id,
            deposit_id=deposit.transfer_id,
            amount=deposit.amount,
            expire_time=utc_now() + timedelta(hours=1),
        )
        (tmp_path / "hold.binpb").write_bytes(to_bytes(hold.envelope))
        assert "1500 TEST can be spent now" in consilience("wallet", "add", "hold.binpb").stdout
        assert consilience("ask", "?", *words).returncode == 0
        (tmp_path / "other.binpb").write_bytes(b"no hold")
        assert "that is no hold" in consilience("wallet", "add", "other.binpb").stderr
        assert consilience("sessions", "close", session.session_id.hex()).returncode == 0


def test_nothing_is_paid_on_a_network_that_the_user_did_not_name(
    consilience: Run, tmp_path: Path, wallet_file: Path
) -> None:
    shop = Shop(rail=HoldRail(network="live", grants=False), store=f"sqlite:///{tmp_path}/shop.db")
    with serving_in_thread(shop.node) as running:
        done = consilience("ask", "?", "--node", running.address, "--skill", "words", "--budget", "500 TEST/0")
    assert done.returncode == 2
    assert "it takes hold.v1 on live; yours: hold.v1 on test" in done.stderr
    assert "with --network" in done.stderr
    assert Wallet.at(wallet_file).sessions() == ()


async def close_one_on_credit(address: str, wallet_file: Path) -> None:
    budget = Budget(per_ask="500 TEST/0", per_day="10000 TEST/0")
    rails = [HoldPayer(max_credit=1000, prepaid=False)]
    async with Client(KeyPair.generate(), budget=budget, wallet=wallet_file, rails=rails) as client:
        await client.ask("?", node=address, skill="words")
        (session,) = await settled(client)
        assert session.room == 1000 - COST
        await client.payments.close_session(session.session_id)


def test_nothing_is_left_of_credit_in_a_session_that_is_closed(consilience: Run, wallet_file: Path) -> None:
    with serving_in_thread(Shop(rail=HoldRail(max_credit=1000)).node) as running:
        asyncio.run(close_one_on_credit(running.address, wallet_file))
    (session,) = json.loads(consilience("sessions", "list", "--json").stdout)
    assert (session["status"], session["spent"]["value"], session["left"]["value"]) == ("CLOSED", COST, 0)
