from datetime import UTC, datetime, timedelta

import pytest

from consilience.server.rates import MINUTE, NO_WAIT, SHORTEST_WAIT, Allowance, CallRate, address_of
from consilience.units import PublicKey

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ANN = PublicKey(b"a" * 32)
BOB = PublicKey(b"b" * 32)


def key(number: int) -> PublicKey:
    return PublicKey(number.to_bytes(32, "big"))


def test_one_call_more_than_a_minute_allows_has_to_wait_for_the_first_of_them() -> None:
    rate = CallRate(per_minute=3)
    waits = [rate.take(ANN, now=NOW + offset * SECOND) for offset in (0, 5, 10, 20, 59)]
    assert waits == [NO_WAIT, NO_WAIT, NO_WAIT, 40 * SECOND, SECOND]
    assert rate.take(ANN, now=NOW + MINUTE) == NO_WAIT
    assert rate.take(ANN, now=NOW + MINUTE) == 5 * SECOND


def test_no_minute_has_more_calls_than_it_allows_whatever_their_times() -> None:
    rate = CallRate(per_minute=4)
    taken = [at for at in range(0, 400, 7) if not rate.take(ANN, now=NOW + at * SECOND)]
    assert len(taken) > 20
    assert all(later - earlier >= 60 for earlier, later in zip(taken, taken[4:], strict=False))


def test_each_caller_has_a_rate_of_its_own() -> None:
    rate = CallRate(per_minute=1)
    assert [bool(rate.take(caller, now=NOW)) for caller in (ANN, BOB, ANN, BOB)] == [False, False, True, True]


def test_a_rate_of_zero_bounds_nothing_and_keeps_nothing() -> None:
    rate = CallRate(per_minute=0)
    assert {rate.take(ANN, now=NOW) for _ in range(1000)} == {NO_WAIT}
    assert not rate._calls


def test_a_call_that_is_not_counted_does_not_prolong_the_wait() -> None:
    rate = CallRate(per_minute=1)
    rate.take(ANN, now=NOW)
    for _ in range(10):
        rate.take(ANN, now=NOW + 30 * SECOND)
    assert rate.take(ANN, now=NOW + MINUTE) == NO_WAIT


@pytest.mark.parametrize("back", [timedelta(hours=3), SECOND])
def test_a_clock_that_was_set_back_locks_nobody_out(back: timedelta) -> None:
    rate = CallRate(per_minute=1)
    rate.take(ANN, now=NOW)
    assert rate.take(ANN, now=NOW - back) == NO_WAIT
    assert rate.take(ANN, now=NOW - back) == MINUTE


def test_callers_that_are_quiet_are_forgotten() -> None:
    rate = CallRate(per_minute=5)
    for number in range(50):
        rate.take(key(number), now=NOW)
    rate.take(ANN, now=NOW + MINUTE)
    assert list(rate._calls) == [ANN]
    assert rate._kept == 1


def test_ever_new_callers_take_no_more_memory_than_is_allowed() -> None:
    rate = CallRate(per_minute=5, max_kept_calls=20)
    for number in range(200):
        rate.take(key(number % 100), now=NOW)
        assert rate._kept == sum(map(len, rate._calls.values())) <= 20
    assert key(99) in rate._calls


def test_an_allowance_is_used_up_at_once_and_comes_back_evenly() -> None:
    allowance = Allowance(per_minute=30)
    assert [allowance.take(ANN, now=NOW) for _ in range(31)] == [NO_WAIT] * 30 + [2 * SECOND]
    later = NOW + 20 * SECOND
    assert [bool(allowance.take(ANN, now=later)) for _ in range(11)] == [False] * 10 + [True]
    assert allowance.take(ANN, now=later + SECOND) == SECOND
    assert allowance.take(ANN, now=later + 2 * SECOND) == NO_WAIT
    assert not allowance.take(BOB, now=NOW)


def test_who_has_used_up_a_large_allowance_waits_long_enough_for_many_calls() -> None:
    allowance = Allowance(per_minute=60_000)
    for _ in range(60_000):
        assert not allowance.take(ANN, now=NOW)
    wait = allowance.take(ANN, now=NOW)
    assert wait == SHORTEST_WAIT
    assert [bool(allowance.take(ANN, now=NOW + wait)) for _ in range(1001)] == [False] * 1000 + [True]


def test_an_allowance_of_zero_bounds_nothing_and_keeps_nothing() -> None:
    allowance = Allowance(per_minute=0)
    assert {allowance.take(ANN, now=NOW) for _ in range(1000)} == {NO_WAIT}
    assert not allowance._used


def test_an_allowance_is_neither_given_nor_taken_by_a_clock_that_is_set_back() -> None:
    allowance = Allowance(per_minute=2)
    assert [bool(allowance.take(ANN, now=NOW)) for _ in range(3)] == [False, False, True]
    back = NOW - timedelta(hours=3)
    assert allowance.take(ANN, now=back) == 30 * SECOND
    assert allowance.take(ANN, now=back + 30 * SECOND) == NO_WAIT


def test_who_has_regained_all_is_forgotten_and_ever_new_callers_take_no_more_memory_than_is_allowed() -> None:
    allowance = Allowance(per_minute=5, max_kept_callers=20)
    for number in range(200):
        allowance.take(key(number % 100), now=NOW)
        assert len(allowance._used) <= 20
    assert key(99) in allowance._used
    allowance.take(ANN, now=NOW + MINUTE)
    assert list(allowance._used) == [ANN]


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:192.0.2.7:50000", bytes([192, 0, 2, 7])),
        ("ipv6:[::ffff:192.0.2.7]:50000", bytes([192, 0, 2, 7])),
        ("ipv6:%5B2001:db8:1:2:3::9%5D:50000", bytes.fromhex("20010db800010002")),
        ("ipv6:[fe80::1%25eth0]:50000", bytes.fromhex("fe80000000000000")),
        ("unix:", b"unix:"),
    ],
)
def test_calls_are_counted_by_address_and_not_by_port(peer: str, address: bytes) -> None:
    assert address_of(peer) == address
