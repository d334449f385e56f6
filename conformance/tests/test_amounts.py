"""Amounts are read as they are written, and shown as clients show them, to the last unit."""

from __future__ import annotations

import pytest

from consilience_conformance.amounts import shown, units, written


@pytest.mark.parametrize(
    ("text", "amount"),
    [("0.005 USD/6", 5000), ("1 USD/6", 10**6), ("0.10 USD/2", 10), ("7 TEST/0", 7)],
)
def test_amounts_are_written_as_everywhere(text: str, amount: int) -> None:
    asset = text.partition(" ")[2]
    assert units(text) == (amount, asset)
    assert units(written(amount, asset=asset)) == (amount, asset)


@pytest.mark.parametrize(
    ("amount", "asset", "words"),
    [(5000, "USD/6", "0.005 USD"), (0, "USD/6", "0 USD"), (10**9, "USD/6", "1000 USD"), (70, "TEST/0", "70 TEST")],
)
def test_people_read_them_without_idle_digits(amount: int, asset: str, words: str) -> None:
    assert shown(amount, asset=asset) == words


def test_nothing_of_a_long_amount_is_lost() -> None:
    amount, asset = units("123456789012345.123456789012345 LONG/40")
    assert amount == 123456789012345123456789012345 * 10**25
    assert units(written(123456789012345123456789012345, asset="LONG/15"))[0] == 123456789012345123456789012345
    assert shown(amount + 1, asset=asset) == f"123456789012345.123456789012345{'0' * 24}1 LONG"
