from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.errors import FieldInvalidError
from consilience.payments import Account, SessionTerms, Voucher, check_terms, check_voucher
from consilience.payments.sessions import AccountError
from consilience.tariffs import Backing
from consilience.units import Digest, PublicKey

PAYER, PAYEE, ISSUER = (PublicKey(letter * 32) for letter in (b"p", b"n", b"i"))


def _terms(**changed: Any) -> SessionTerms:
    fields: dict[str, Any] = {
        "payer": PAYER,
        "payee": PAYEE,
        "asset": "TEST/0",
        "rail_id": "hold.v1",
        "network": "test",
        "backing": Backing.PREPAID,
        "issuer": PAYEE,
        "salt": b"s" * 16,
    }
    return SessionTerms(**(fields | changed))


def test_a_voucher_that_is_not_higher_changes_nothing() -> None:
    account = Account(deposited=100).authorized_to(60)
    assert account.authorized_to(60) == account.authorized_to(10) == account
    assert account.authorized_to(61).authorized == 61


def test_a_voucher_above_what_is_there_is_refused() -> None:
    with pytest.raises(AccountError):
        Account(deposited=100).authorized_to(101)


def test_no_two_asks_reserve_the_same_authority() -> None:
    account = Account(deposited=100).authorized_to(30).reserving(20)
    with pytest.raises(AccountError):
        account.reserving(11)
    assert account.reserving(10).free == 0


def test_a_charge_stays_within_its_reservation_and_frees_the_rest() -> None:
    account = Account(deposited=100).authorized_to(30).reserving(20)
    assert account.settling(reserved=20, charge=7) == Account(deposited=100, authorized=30, spent=7)
    for reserved, charge in ((20, 21), (21, 1), (20, -1)):
        with pytest.raises(AccountError):
            account.settling(reserved=reserved, charge=charge)


def test_what_a_voucher_promised_is_not_paid_out_until_the_session_is_closed() -> None:
    account = Account(deposited=100).authorized_to(60).reserving(10).settling(reserved=10, charge=10)
    assert account.withdrawable(closed=False) == 40
    assert account.closed().withdrawable(closed=True) == 90
    with pytest.raises(AccountError):
        account.withdrawing(41, closed=False)
    assert account.withdrawing(40, closed=False).taking_back(40) == account


def test_credit_is_never_paid_out() -> None:
    assert Account(credit_limit=100).withdrawable(closed=True) == 0


def test_a_session_with_running_asks_is_not_closed() -> None:
    with pytest.raises(AccountError):
        Account(deposited=10).authorized_to(10).reserving(1).closed()


def test_a_refund_is_never_above_what_was_spent() -> None:
    account = Account(deposited=100).authorized_to(60).reserving(10).settling(reserved=10, charge=10)
    assert account.refunding(10).available == 110
    with pytest.raises(AccountError):
        account.refunding(11)


_STEPS = st.lists(
    st.tuples(st.sampled_from(["credit", "authorize", "reserve", "settle", "refund", "withdraw"]), st.integers(0, 40)),
    max_size=40,
)


@given(_STEPS)
def test_no_row_of_steps_leaves_the_invariant(steps: list[tuple[str, int]]) -> None:
    account, reserved = Account(credit_limit=15), [0]
    for step, amount in steps:
        before = account
        try:
            match step:
                case "credit":
                    account = account.crediting(amount)
                case "authorize":
                    account = account.authorized_to(account.authorized + amount)
                case "reserve":
                    account = account.reserving(amount)
                    reserved.append(amount)
                case "settle":
                    account = account.settling(reserved=reserved[-1], charge=min(amount, reserved[-1]))
                    reserved.pop()
                    reserved = reserved or [0]
                case "refund":
                    account = account.refunding(amount)
                case _:
                    account = account.withdrawing(amount, closed=False)
        except AccountError:
            assert account is before
        assert account.spent + account.reserved <= account.authorized <= account.available
        assert account.spent >= before.spent


@pytest.mark.parametrize(
    "changed",
    [
        {"payer": b"p" * 31},
        {"salt": b""},
        {"asset": "test/0"},
        {"rail_id": ""},
        {"network": ""},
        {"backing": Backing.UNKNOWN},
        {"issuer": PAYER},
        {"backing": Backing.CREDIT, "issuer": PAYER},
        {"backing": Backing.ESCROW},
        {"credit_limit": 1},
        {"backing": Backing.CREDIT, "issuer": PAYER, "credit_limit": -1},
    ],
)
def test_terms_that_break_a_rule_are_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(FieldInvalidError):
        check_terms(_terms(**changed))


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"backing": Backing.CREDIT, "issuer": PAYER, "credit_limit": 5},
        {"backing": Backing.ESCROW, "issuer": ISSUER},
    ],
)
def test_terms_of_each_backing_are_taken(changed: dict[str, Any]) -> None:
    check_terms(_terms(**changed))


def test_a_voucher_names_payer_and_session_and_no_negative_total() -> None:
    check_voucher(Voucher(payer=PAYER, session_id=Digest(b"s" * 32), cumulative=0))
    for changed in ({"payer": b""}, {"session_id": b"s"}, {"cumulative": -1}):
        fields: dict[str, Any] = {"payer": PAYER, "session_id": b"s" * 32, "cumulative": 0}
        with pytest.raises(FieldInvalidError):
            check_voucher(Voucher(**(fields | changed)))
