from consilience.errors import AnswerTimeoutError, Stake


def test_a_stake_says_whether_money_moved_and_how_much_at_most() -> None:
    stake = Stake(asset="USD/6", metered=1_000, at_most=2_500)
    assert stake.money_moved
    assert str(stake) == "the node may charge up to 0.0025 USD for it, and has counted 0.001 USD"


def test_without_a_voucher_nothing_was_paid() -> None:
    stake = Stake(asset="USD/6")
    assert not stake.money_moved
    assert str(stake) == "nothing was paid for it"


def test_a_deposit_that_may_have_been_sent_is_money_that_moved() -> None:
    stake = Stake(asset="USD/6", deposit=1_500)
    assert stake.money_moved
    assert str(stake) == (
        "nothing was charged for it, and a deposit of 0.0015 USD may be on its way, which is not made again"
    )


def test_a_stake_tells_what_was_left_behind() -> None:
    stake = Stake(asset="USD/6", left=1_500)
    assert stake.money_moved
    lie = "0.0015 USD lie in a session that is not used any more, and count as spent"
    assert str(stake) == f"nothing was charged for it, and {lie}"
    charged = Stake(asset="USD/6", metered=1_000, at_most=2_500, left=1_500)
    assert str(charged) == f"the node may charge up to 0.0025 USD for it, and has counted 0.001 USD, and {lie}"


def test_an_error_tells_its_stake() -> None:
    error = AnswerTimeoutError("too late")
    assert str(error) == "too late"
    error.stake = Stake(asset="TEST/0", metered=1, at_most=2)
    assert str(error) == "too late; the node may charge up to 2 TEST for it, and has counted 1 TEST"
