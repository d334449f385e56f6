import pytest

from consilience.errors import UsageError
from consilience.payments import Amount, Budget


def test_a_budget_is_read_from_text_or_taken_as_amounts() -> None:
    written = Budget(per_ask="0.01 USD/6", per_day="1 USD/6")
    assert written == Budget(per_ask=Amount(10_000, "USD/6"), per_day=Amount(1_000_000, "USD/6"))
    assert (written.asset, written.most) == ("USD/6", 10_000)


@pytest.mark.parametrize(
    ("per_ask", "per_day", "words"),
    [
        ("1 USD/6", "1 BTC/11", "one asset"),
        ("-1 USD/6", "1 USD/6", "per_ask is no amount to spend"),
        ("1 USD/6", "1000000000000000 USD/6", "per_day is no amount to spend"),
        ("1 USD", "1 USD/6", "is no amount"),
        ("100 TEST/99", "1 USD/6", "the scale of TEST/99, the digits after the point, is out of range: .* 0 to 18"),
        ("10 TEST/18", "1 USD/6", "9.223372036854775807 TEST is the most that there is of TEST/18"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(per_ask: str, per_day: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Budget(per_ask=per_ask, per_day=per_day)


def test_an_ask_may_cost_no_more_than_a_day() -> None:
    assert Budget(per_ask="5 TEST/0", per_day="3 TEST/0").most == 3
