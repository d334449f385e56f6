import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.errors import UsageError
from consilience.payments import Amount


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(1_500, "USD/6"), "0.0015 USD"),
        (Amount(-3, "TEST/0"), "-3 TEST"),
        (Amount(1, "BTC/11"), "0.00000000001 BTC"),
        (Amount(2**63 - 1, "TEST/0"), "9223372036854775807 TEST"),
        (Amount(0, "USD/6"), "0 USD"),
    ],
)
def test_an_amount_is_written_without_losing_a_unit(amount: Amount, text: str) -> None:
    assert str(amount) == text


@pytest.mark.parametrize(
    "text", ["", "1", "1 USD", "one USD/6", "0.0000001 USD/6", "NaN USD/6", "Infinity USD/6", "1e9 USD/6", "1 usd/6"]
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Amount.parse(text)


@given(st.integers(-(2**63), 2**63 - 1), st.integers(0, 99))
def test_what_is_written_can_be_read(value: int, scale: int) -> None:
    amount = Amount(value, f"TEST/{scale}")
    assert Amount.parse(f"{str(amount).partition(' ')[0]} {amount.asset}") == amount
