import pytest

from consilience.errors import LimitExceededError
from consilience.nodes import Limits, Skill
from consilience.server.load import Load
from consilience.units import PublicKey

ANN, BOB = PublicKey(b"a" * 32), PublicKey(b"b" * 32)
WIDE = Skill(id="wide")
NARROW = Skill(id="narrow", limits=Limits(max_running_asks=1))
LIMITS = Limits(max_running_asks=3, max_running_asks_per_caller=2)


def test_a_place_that_is_given_back_can_be_taken_again() -> None:
    load = Load()
    places = [load.take(caller, skill=WIDE, limits=LIMITS) for caller in (ANN, ANN, BOB)]
    with pytest.raises(LimitExceededError):
        load.take(BOB, skill=WIDE, limits=LIMITS)
    load.give_back(places[2])
    load.take(BOB, skill=WIDE, limits=LIMITS)


def test_a_refusal_takes_no_place() -> None:
    load = Load()
    load.take(ANN, skill=NARROW, limits=LIMITS)
    for _ in range(5):
        with pytest.raises(LimitExceededError):
            load.take(BOB, skill=NARROW, limits=LIMITS)
    load.take(BOB, skill=WIDE, limits=LIMITS)
    load.take(BOB, skill=WIDE, limits=LIMITS)


def test_no_limit_is_no_limit() -> None:
    load = Load()
    for _ in range(1000):
        load.take(ANN, skill=WIDE, limits=Limits())


def test_nothing_is_kept_of_callers_that_are_done() -> None:
    load = Load()
    for number in range(100):
        load.give_back(load.take(PublicKey(bytes([number]) * 32), skill=NARROW, limits=LIMITS))
    assert not load._by_caller
    assert not load._by_skill
    assert not load._by_both
