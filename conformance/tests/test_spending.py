"""A run says what it spent of what it may, what it left out for money, and what that would need."""

from __future__ import annotations

import pytest

from consilience_conformance.needs import NotAllowedError, NotLentError
from consilience_conformance.purses import TEST_NETWORK, Purse
from consilience_conformance.spending import Spending


def test_what_was_taken_is_gone_and_tests_cost_nothing() -> None:
    purse = Purse(asset="USD/6", amount=100)
    purse.take(60, asset="USD/6", network="main")
    purse.take(1000, asset="TEST/0", network=TEST_NETWORK)
    with pytest.raises(NotAllowedError, match=r"needs 0\.000041 USD/6, more than is left of") as too_much:
        purse.take(41, asset="USD/6", network="main")
    assert too_much.value.needed == 41
    with pytest.raises(NotLentError, match=r"needs 0\.01 EUR/2, and --max-spend '0\.000100 USD/6' allows USD/6 alone"):
        purse.take(1, asset="EUR/2", network="main")
    purse.take(40, asset="USD/6", network="main")
    assert purse.covers("USD/6", network="main")
    assert not purse.covers("EUR/2", network="main")
    assert not Purse().covers("USD/6", network="main")
    assert (str(purse), str(Purse())) == ("0.000100 USD/6", "")


def test_the_highest_of_a_session_was_spent_and_tests_count_nothing() -> None:
    purse = Purse(asset="USD/6", amount=100)
    purse.take(70, asset="USD/6", network="main")
    for amount, session, network in ((20, b"a", "main"), (10, b"a", "main"), (5, b"b", "main"), (99, b"c", "test")):
        purse.promise(amount, session_id=session, network=network)
    assert purse.spending == Spending(asset="USD/6", allowed=100, set_aside=70, authorized=25)


def test_a_run_that_may_spend_nothing_has_nothing_to_say_of_it() -> None:
    assert Purse().spending is None


@pytest.mark.parametrize(
    ("set_aside", "authorized", "line"),
    [
        (0, 0, "nothing of 0.005 USD allowed"),
        (300, 300, "at most 0.0003 USD, which was authorized, of 0.005 USD allowed"),
        (
            320,
            100,
            "at most 0.0001 USD, which was authorized, of 0.005 USD allowed; 0.00032 USD was set aside for sessions",
        ),
    ],
)
def test_people_read_what_was_spent_of_what(set_aside: int, authorized: int, line: str) -> None:
    spending = Spending(asset="USD/6", allowed=5000, set_aside=set_aside, authorized=authorized)
    assert spending.line == line
    assert (spending.more, spending.left_out_line) == (0, "")


@pytest.mark.parametrize(
    ("left_out", "more", "words", "option"),
    [
        ({"a": 320}, 120, "1 check was left out for money, and needs at least 0.00012 USD", "0.001120 USD/6"),
        (
            {"a": 320, "b": 320, "c": 0},
            440,
            "3 checks were left out for money, and need at least 0.00044 USD",
            "0.001440 USD/6",
        ),
    ],
)
def test_what_was_left_out_needs_what_is_not_left(left_out: dict[str, int], more: int, words: str, option: str) -> None:
    spending = Spending(asset="USD/6", allowed=1000, set_aside=800, authorized=500, left_out=left_out)
    assert spending.more == more
    assert spending.left_out_line == f"{words} more, as far as is known: --max-spend '{option}'"
