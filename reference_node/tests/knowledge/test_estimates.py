"""Proportions and regressions give intervals, and never certainty from a short run of luck."""

import math
import random

import pytest

from consilience_node.knowledge.estimates import fit_logistic, proportion


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    estimate = proportion(8, trials=10)
    assert (round(estimate.lower, 4), round(estimate.upper, 4)) == (0.4902, 0.9433)
    assert estimate.p == pytest.approx((0.4902 + 0.9433) / 2, abs=1e-4)


@pytest.mark.parametrize("trials", [1, 5, 50, 5000])
def test_all_right_is_not_certain_and_all_wrong_is_not_impossible(trials: int) -> None:
    right, wrong = proportion(trials, trials=trials), proportion(0, trials=trials)
    assert 0.5 < right.p < 1
    assert right.upper == pytest.approx(1.0)
    assert right.p + wrong.p == pytest.approx(1.0)
    assert wrong.lower == pytest.approx(0.0)


def test_more_trials_make_a_narrower_interval() -> None:
    few, many = proportion(9, trials=10), proportion(900, trials=1000)
    assert many.upper - many.lower < few.upper - few.lower


@pytest.mark.parametrize(("successes", "trials"), [(0, 0), (2, 1), (-1, 5)])
def test_impossible_counts_are_refused(successes: int, trials: int) -> None:
    with pytest.raises(ValueError, match="no proportion"):
        proportion(successes, trials=trials)


def test_a_regression_finds_the_coefficients_it_was_made_from() -> None:
    chance = random.Random(1)  # noqa: S311 - a simulation
    cases = [(chance.gauss(0, 1), chance.gauss(0, 2)) for _ in range(4000)]
    right = [chance.random() < 1 / (1 + math.exp(-(0.5 + 2 * a - b))) for a, b in cases]
    model = fit_logistic(cases, right)
    for found, made, variance in zip(
        model.coefficients, (0.5, 2.0, -1.0), (line[i] for i, line in enumerate(model.covariance)), strict=True
    ):
        assert abs(found - made) < 4 * math.sqrt(variance)


def test_without_a_feature_the_estimate_is_the_share_of_successes() -> None:
    model = fit_logistic([()] * 10, [True] * 3 + [False] * 7)
    assert model.estimate(()).p == pytest.approx(0.3)


def test_a_feature_that_separates_the_outcomes_leaves_the_coefficients_finite() -> None:
    model = fit_logistic([(-1.0,)] * 20 + [(1.0,)] * 20, [False] * 20 + [True] * 20)
    estimate = model.estimate((1.0,))
    assert 0.9 < estimate.p < 1
    assert estimate.lower < estimate.p < estimate.upper


def test_the_interval_widens_away_from_the_data() -> None:
    model = fit_logistic([(x / 10,) for x in range(-20, 20)], [x > (x % 7) for x in range(-20, 20)])
    near, far = model.estimate((0.0,)), model.estimate((-30.0,))
    assert math.log(far.upper / (1 - far.upper) / (far.lower / (1 - far.lower))) > math.log(
        near.upper / (1 - near.upper) / (near.lower / (1 - near.lower))
    )


def test_extreme_cases_stay_probabilities() -> None:
    model = fit_logistic([(-1.0,), (0.5,), (1.0,), (0.0,)], [False, True, True, False])
    for value in (-1e6, 1e6):
        estimate = model.estimate((value,))
        assert 0 <= estimate.lower <= estimate.p <= estimate.upper <= 1


def test_one_sided_outcomes_are_refused() -> None:
    with pytest.raises(ValueError, match="right and wrong"):
        fit_logistic([(1.0,), (2.0,)], [True, True])
