import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consilience.calls import MAX_CLOCK_SKEW
from consilience.client.payments import PaymentStatus, Wallet
from consilience.client.payments.wallet_rows import Demand
from consilience.errors import BudgetExceededError, ProtocolError, UsageError
from consilience.payments import SessionStatus, TransferStatus
from scripts.machine_cache import ROOT
from sdk.tests.client.payments.wallet_specimens import NOW, WINDOW, Specimens, request_id

DAY = 10_000


def test_threads_share_a_wallet_and_sign_no_more_than_one_would(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)

    def ask(number: int) -> int:
        intent = specimens.intent(request_id(number), ceiling=50)
        return wallet.begin(intent, per_day=DAY, least=1).voucher

    with ThreadPoolExecutor(8) as threads:
        signed = sorted(threads.map(ask, range(40)))
    assert signed[-1] == 40 * WINDOW
    assert all(each % WINDOW == 0 for each in signed)


_BEGIN = """
import sys
from pathlib import Path
from consilience.client.payments import Wallet
from sdk.tests.client.payments.wallet_specimens import Specimens, request_id
wallet, specimens = Wallet.at(Path(sys.argv[1])), Specimens()
specimens.open(wallet)
for number in range(10):
    wallet.begin(specimens.intent(request_id(int(sys.argv[2]) + number), ceiling=7), per_day=500, least=1)
    wallet.authorize(specimens.terms.digest)
"""


def test_processes_share_a_wallet_and_the_budget_of_a_day(tmp_path: Path) -> None:
    file = tmp_path / "wallet.sqlite"
    command = [sys.executable, "-c", _BEGIN, str(file)]
    children = [subprocess.Popen([*command, str(1000 * child)], cwd=ROOT) for child in range(4)]
    assert [child.wait(60) for child in children] == [0, 0, 0, 0]
    wallet = Wallet.at(file)
    assert wallet.spent_on(NOW.date(), asset="TEST/0") == 4 * 10 * 7
    assert [session.authorized for session in wallet.sessions()] == [70, 70, 70, 70]
    wallet.close()


def test_an_ask_that_runs_counts_with_its_ceiling_until_its_receipt_is_there(
    wallet: Wallet, specimens: Specimens
) -> None:
    specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1), ceiling=500), per_day=DAY, least=1)
    assert wallet.spent_on(NOW.date(), asset="TEST/0") == 500
    ask = specimens.ask(request_id(1))
    wallet.bind(ask)
    wallet.receipts.keep(specimens.receipt(ask, charge=30))
    assert wallet.spent_on(NOW.date(), asset="TEST/0") == 30
    assert wallet.spent_on(NOW.date() + timedelta(days=1), asset="TEST/0") == 0
    assert wallet.spent_on(NOW.date(), asset="USD/6") == 0


def test_the_last_ask_of_a_day_gets_what_is_left(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1), ceiling=70), per_day=100, least=5)
    assert wallet.begin(specimens.intent(request_id(2), ceiling=70), per_day=100, least=5).ceiling == 30
    with pytest.raises(BudgetExceededError, match="costs 5 TEST at least, and of the day's 100 TEST 0 TEST are left"):
        wallet.begin(specimens.intent(request_id(3), ceiling=70), per_day=100, least=5)


def test_a_request_id_is_paid_for_once_unless_the_node_did_not_take_it(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
    with pytest.raises(UsageError, match="paid for before"):
        wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
    wallet.release(request_id(1))
    wallet.begin(specimens.intent(request_id(1), ceiling=3), per_day=DAY, least=1)
    assert wallet.spent_on(NOW.date(), asset="TEST/0") == 3


def test_what_was_asked_is_forgotten_with_the_receipt(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
    ask = specimens.ask(request_id(1))
    wallet.bind(ask)
    running = wallet.intent(request_id(1))
    assert running is not None
    assert running.ask == ask
    wallet.receipts.keep(specimens.receipt(ask, charge=30))
    paid = wallet.intent(request_id(1))
    assert paid is not None
    assert (paid.ask, paid.ask_digest, paid.status, paid.charge) == (None, ask.digest, PaymentStatus.PAID, 30)


def test_an_ask_has_one_receipt_and_a_number_belongs_to_one(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)
    for number in (1, 2):
        wallet.begin(specimens.intent(request_id(number)), per_day=DAY, least=1)
        wallet.bind(specimens.ask(request_id(number)))
    wallet.receipts.keep(specimens.receipt(specimens.ask(request_id(1)), charge=30))
    with pytest.raises(ProtocolError, match="PAY-RCP-004"):
        wallet.receipts.keep(specimens.receipt(specimens.ask(request_id(1)), charge=30))
    with pytest.raises(ProtocolError, match="PAY-RCP-002"):
        wallet.receipts.keep(specimens.receipt(specimens.ask(request_id(2)), charge=30, number=1))
    with pytest.raises(ProtocolError, match="PAY-RCP-005"):
        wallet.receipts.keep(specimens.receipt(specimens.ask(request_id(9)), charge=30))
    session = wallet.session(specimens.terms.digest)
    assert session is not None
    assert (session.spent, session.running) == (30, 1)


def test_a_receipt_for_an_ask_that_was_let_go_of_is_not_believed(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
    ask = specimens.ask(request_id(1))
    wallet.bind(ask)
    wallet.release(request_id(1))
    with pytest.raises(ProtocolError, match="PAY-RCP-005"):
        wallet.receipts.keep(specimens.receipt(ask, charge=30))
    session = wallet.session(session_id)
    assert session is not None
    assert session.spent == 0


def test_a_refund_counts_apart(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
    ask = specimens.ask(request_id(1))
    wallet.bind(ask)
    charge = specimens.receipt(ask, charge=30)
    wallet.receipts.keep(charge)
    refund = specimens.receipt(ask, charge=10, refund_of=charge.digest, session_spent=30, session_refunded=10)
    wallet.receipts.keep(refund)
    session = wallet.session(session_id)
    assert session is not None
    assert (session.spent, session.refunded) == (30, 10)
    assert wallet.receipts.of_ask(session_id, request_id=request_id(1)) == charge


def test_holes_among_receipts_are_known(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    asks = []
    for number in range(3):
        wallet.begin(specimens.intent(request_id(number)), per_day=DAY, least=1)
        asks.append(specimens.ask(request_id(number)))
        wallet.bind(asks[-1])
    first, second, third = (specimens.receipt(ask, charge=5) for ask in asks)
    wallet.receipts.keep(third)
    assert wallet.receipts.last_without_hole(session_id) == 0
    wallet.receipts.keep(first)
    assert wallet.receipts.last_without_hole(session_id) == 1
    wallet.receipts.keep(second)
    assert wallet.receipts.last_without_hole(session_id) == 3


def test_a_receipt_that_came_too_early_is_checked_when_the_one_before_it_comes(
    wallet: Wallet, specimens: Specimens
) -> None:
    session_id = specimens.open(wallet)
    asks = [specimens.ask(request_id(number)) for number in range(3)]
    for number, ask in enumerate(asks):
        wallet.begin(specimens.intent(request_id(number)), per_day=DAY, least=1)
        wallet.bind(ask)
    first = specimens.receipt(asks[0], charge=5)
    second = specimens.receipt(asks[1], charge=5)
    third = specimens.receipt(asks[2], charge=5, session_spent=17)
    wallet.receipts.chain(third)
    wallet.receipts.chain(first)
    with pytest.raises(ProtocolError, match="PAY-RCP-003"):
        wallet.receipts.chain(second)
    assert wallet.receipts.numbered(session_id, 2) is None
    assert wallet.receipts.to_acknowledge(session_id) == first


def test_nothing_is_signed_for_a_session_in_trouble_or_closed(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    signed = wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1).voucher
    wallet.give_up(session_id, trouble="it lies", now=NOW)
    assert wallet.begin(specimens.intent(request_id(2)), per_day=DAY, least=1).voucher == signed == WINDOW
    assert wallet.authorize(session_id).cumulative == signed


def test_nothing_is_signed_beyond_what_is_available(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.note_state(specimens.state(credit_limit=15, issue_time=NOW + timedelta(seconds=1)), voucher=0)
    assert wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1).voucher == 15
    assert wallet.authorize(session_id).cumulative == 15


def test_an_old_state_does_not_take_the_place_of_a_newer_one(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    later = specimens.state(status=SessionStatus.CLOSED, issue_time=NOW + timedelta(seconds=1))
    wallet.note_state(later, voucher=0)
    wallet.note_state(specimens.state(), voucher=0)
    session = wallet.session(session_id)
    assert session is not None
    assert session.status is SessionStatus.CLOSED


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"deposited": 7}),
        ({"deposited": 7}, {"deposited": 7, "spent": 3, "authorized": 3}),
        ({"authorized": 3}, {"authorized": 5}),
        ({"spent": 3}, {"spent": 3, "refunded": 2}),
        ({"receipt_count": 1}, {"receipt_count": 2}),
        ({"authorized": 5}, {"status": SessionStatus.CLOSED}),
    ],
)
def test_what_never_falls_tells_which_state_is_the_newer_one_whatever_the_clocks_say(
    wallet: Wallet, specimens: Specimens, before: dict[str, Any], after: dict[str, Any]
) -> None:
    session_id = specimens.open(wallet)
    newer = specimens.state(**after, issue_time=NOW - timedelta(seconds=2))
    for state in (specimens.state(**before), newer, specimens.state(**before, issue_time=NOW + timedelta(seconds=2))):
        wallet.note_state(state, voucher=0)
    session = wallet.session(session_id)
    assert session is not None
    assert session.state == newer


def test_a_node_that_has_lost_what_it_told_is_believed_so_once_no_clock_explains_it(
    wallet: Wallet, specimens: Specimens
) -> None:
    session_id = specimens.open(wallet)
    wallet.note_state(specimens.state(deposited=7), voucher=0)
    lost = specimens.state(issue_time=NOW + 2 * MAX_CLOCK_SKEW + timedelta(seconds=1))
    wallet.note_state(lost, voucher=0)
    session = wallet.session(session_id)
    assert session is not None
    assert session.state == lost


def test_a_voucher_that_a_restored_wallet_forgot_counts_as_signed(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.note_state(specimens.state(), voucher=123)
    session = wallet.session(session_id)
    assert session is not None
    assert session.authorized == 123


def test_a_demand_for_an_unknown_session_signs_nothing(wallet: Wallet, specimens: Specimens) -> None:
    demand = Demand(request_id=request_id(1), upto=5, exposure=specimens.intent(request_id(1)).exposure)
    assert wallet.authorize(specimens.terms.digest, demand).cumulative == 0


def test_what_one_ask_requires_brings_what_all_that_run_may_need(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    for number in (1, 2):
        wallet.begin(specimens.intent(request_id(number)), per_day=DAY, least=1)
    exposures = [replace(specimens.intent(request_id(number)).exposure, metered=7) for number in (1, 2)]
    for number, exposure in zip((1, 2), exposures, strict=True):
        demand = Demand(request_id=request_id(number), upto=7 + WINDOW, exposure=exposure)
        signed = wallet.authorize(session_id, demand).cumulative
    assert signed == 2 * (7 + WINDOW)


def test_what_was_reserved_for_an_ask_that_has_ended_since_may_be_required_for_another(
    wallet: Wallet, specimens: Specimens
) -> None:
    session_id = specimens.open(wallet)
    ended = specimens.ask(request_id(2))
    for number in (1, 2):
        wallet.begin(specimens.intent(request_id(number)), per_day=DAY, least=1)
    wallet.bind(ended)
    wallet.receipts.keep(specimens.receipt(ended, charge=3))
    exposure = replace(specimens.intent(request_id(1)).exposure, metered=7)
    least = WINDOW + exposure.amount  # what a node requires that has reserved a window for the other ask
    demand = Demand(request_id=request_id(1), upto=least, exposure=exposure)
    authority = wallet.authorize(session_id, demand)
    assert not authority.excessive
    assert authority.cumulative == max(2 * WINDOW, 3 + exposure.amount)
    excessive = replace(demand, upto=authority.cumulative + exposure.amount + 1)
    assert wallet.authorize(session_id, excessive).excessive == {request_id(1): excessive.upto - 1}


def test_a_session_that_no_other_ask_has_used_since_one_began_bounds_it_exactly(
    wallet: Wallet, specimens: Specimens
) -> None:
    session_id = specimens.open(wallet)
    before = specimens.ask(request_id(1))
    wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
    wallet.bind(before)
    wallet.receipts.keep(specimens.receipt(before, charge=3))
    wallet.begin(specimens.intent(request_id(2)), per_day=DAY, least=1)
    exposure = replace(specimens.intent(request_id(2)).exposure, metered=7)
    demand = Demand(request_id=request_id(2), upto=3 + exposure.amount + 1, exposure=exposure)
    assert wallet.authorize(session_id, demand).excessive == {request_id(2): 3 + exposure.amount}


def test_a_quote_is_used_again_while_it_lasts(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)
    card = specimens.deal.chain.card
    quote = specimens.quote.value

    def found(*, most: int = 10, later: timedelta = timedelta(0), model: str = "") -> bool:
        return wallet.quotes.usable(
            payer=quote.payer,
            skill_id=quote.skill_id,
            model_id=model,
            asset="TEST/0",
            card=card,
            most=most,
            now=quote.issue_time + later,
        ) is not None  # fmt: skip

    assert found()
    assert not found(model="another")
    wallet.begin(replace(specimens.intent(request_id(1)), ceiling=quote.total_max_charge - 5), per_day=10**9, least=1)
    assert found(most=5)
    assert not found(most=6)
    assert not found(most=1, later=quote.expire_time - quote.issue_time)
    assert not found(most=1), "what has expired is not looked at any more"


def test_a_quote_that_the_node_does_not_take_is_not_used_again(wallet: Wallet, specimens: Specimens) -> None:
    specimens.open(wallet)
    quote, card = specimens.quote.value, specimens.deal.chain.card
    wanted: dict[str, Any] = {
        "payer": quote.payer,
        "skill_id": quote.skill_id,
        "model_id": "",
        "asset": "TEST/0",
        "card": card,
        "most": 1,
        "now": quote.issue_time,
    }
    assert wallet.quotes.usable(**wanted) is not None
    wallet.quotes.discard(specimens.quote.digest)
    assert wallet.quotes.usable(**wanted) is None


def test_transfers_are_pending_until_it_is_known_how_they_ended(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.transfers.begin_deposit(session_id, deposit_id=b"d" * 16, amount=7, now=NOW)
    wallet.transfers.begin_withdrawal(session_id, withdrawal_id=b"w" * 16, amount=3, now=NOW)
    (deposit,), (withdrawal,) = wallet.transfers.deposits(session_id), wallet.transfers.withdrawals(session_id)
    assert (deposit.amount, deposit.status) == (7, TransferStatus.PENDING)
    wallet.transfers.instruct(session_id, deposit_id=b"d" * 16, instruction=b"how")
    wallet.transfers.end_deposit(session_id, deposit_id=b"d" * 16, status=TransferStatus.SUCCEEDED)
    wallet.transfers.end_withdrawal(session_id, withdrawal_id=b"w" * 16, status=TransferStatus.FAILED, detail=b"why")
    (deposit,), (withdrawal,) = wallet.transfers.deposits(session_id), wallet.transfers.withdrawals(session_id)
    assert (deposit.status, deposit.detail) == (TransferStatus.SUCCEEDED, b"how")
    assert (withdrawal.status, withdrawal.detail) == (TransferStatus.FAILED, b"why")


async def test_a_step_of_a_wallet_in_memory_is_taken_whole_or_not_at_all(specimens: Specimens) -> None:
    wallet = Wallet.in_memory()
    session_id = specimens.open(wallet)

    def step() -> None:
        wallet.begin(specimens.intent(request_id(1)), per_day=DAY, least=1)
        raise ValueError("another reason")

    with pytest.raises(ValueError, match="another reason"):
        await wallet.do(step)
    session = wallet.session(session_id)
    assert session is not None
    assert (session.running, session.authorized) == (0, 0)


def test_what_was_kept_of_a_deposit_on_its_way_counts_as_spent_once(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.transfers.begin_deposit(session_id, deposit_id=b"d" * 16, amount=100, now=NOW)
    for _ in range(2):
        wallet.transfers.come(session_id, deposit_id=b"d" * 16, deposited=97, day=NOW.date())
        (deposit,) = wallet.transfers.deposits(session_id)
        assert (deposit.status, deposit.amount) == (TransferStatus.SUCCEEDED, 97)
        assert wallet.spent_on(NOW.date(), asset="TEST/0") == 3
    assert wallet.transfers.brought(session_id) == 97


def test_what_is_left_in_a_session_that_is_given_up_counts_as_spent_once(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    transfers, today = wallet.transfers, NOW.date()
    for number, amount in enumerate((100, 50, 7), start=1):
        transfers.begin_deposit(session_id, deposit_id=bytes([number]) * 16, amount=amount, now=NOW)
    transfers.end_deposit(session_id, deposit_id=bytes([1]) * 16, status=TransferStatus.SUCCEEDED)
    transfers.instruct(session_id, deposit_id=bytes([2]) * 16, instruction=b"how")
    transfers.begin_withdrawal(session_id, withdrawal_id=bytes(16), amount=30, now=NOW)
    assert transfers.brought(session_id) == 100 + 50 - 30, "nobody was told how to make the third"
    for trouble in ("it lies", "it lies again"):
        wallet.give_up(session_id, trouble=trouble, now=NOW)
        assert wallet.spent_on(today, asset="TEST/0") == 120
    assert wallet.spent_on(today, asset="USD/6") == 0
