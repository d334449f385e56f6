from datetime import timedelta

import pytest

from consilience.network.reputation import Policy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"half_life": timedelta(0)}, "half-life"),
        ({"cap_start": -0.1}, "cap_start"),
        ({"counts_per_flow": float("inf")}, "counts_per_flow"),
        ({"damping": 1.0}, "damping"),
        ({"damping": 1.5}, "damping"),
        ({"lower_quantile": 0.0}, "lower_quantile"),
        ({"unpaid_weight": float("nan")}, "unpaid_weight"),
        ({"audit_rate": 0.5}, "most_audit_rate"),
    ],
)
def test_a_number_that_cannot_be_is_refused(change: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Policy(**change)  # type: ignore[arg-type]


def test_a_cap_that_would_let_a_good_outcome_lower_a_score_is_refused() -> None:
    with pytest.raises(ValueError, match=r"cap_growth is at most 1\.5"):
        Policy(cap_growth=1.6, cap_start=0.5)


@pytest.mark.parametrize("own_count", [0, 1, 10, 200])
def test_the_default_cap_moves_a_mean_by_a_fifth_whatever_one_knows_oneself(own_count: float) -> None:
    assert Policy().most_shift(own_count) == pytest.approx(0.2)


def test_little_inflow_moves_little() -> None:
    policy = Policy()
    assert policy.most_shift(0, inflow=0.001) == pytest.approx(0.032)
    assert policy.most_shift(30, inflow=0.001) == pytest.approx(0.002)
    assert policy.most_shift(30, inflow=0) == 0
