"""The little statistics that confidence needs: a proportion with its interval, and a logistic regression. Pure.

Both give an interval, because a calibration of a hundred answers leaves much open and an asker should see how much.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

_Z = 1.959964
"""Quantile of the normal distribution for an interval of 95 %."""
_STEPS = 50
_SMALL = 1e-10

Matrix: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Is a probability with its 95 % interval; lower <= p <= upper, all in 0 to 1."""

    p: float
    lower: float
    upper: float


def proportion(successes: int, *, trials: int) -> Estimate:
    """Estimates a probability from counts by Wilson's score interval, p being its centre.

    The centre is never 0 or 1, so a short run of luck claims no certainty (E. B. Wilson, JASA 22, 1927).

    Raises:
        ValueError: There are fewer trials than successes, or none.
    """
    if not 0 <= successes <= trials or trials == 0:
        raise ValueError(f"{successes} of {trials} is no proportion")
    share, weight = successes / trials, _Z**2 / trials
    centre = (share + weight / 2) / (1 + weight)
    half = _Z / (1 + weight) * math.sqrt(share * (1 - share) / trials + weight / (4 * trials))
    return Estimate(p=centre, lower=max(0.0, centre - half), upper=min(1.0, centre + half))


@dataclass(frozen=True, slots=True, kw_only=True)
class Logistic:
    """Is a fitted logistic regression.

    Attributes:
        coefficients: The constant first, then one per feature.
        covariance: Of the coefficients, from the curvature of the likelihood at its maximum.
    """

    coefficients: tuple[float, ...]
    covariance: Matrix

    def estimate(self, features: Sequence[float]) -> Estimate:
        """Estimates the probability for one case, with the interval of the delta method on the log odds."""
        row = (1.0, *features)
        odds = _dot(self.coefficients, row)
        spread = _Z * math.sqrt(max(0.0, _dot(row, [_dot(line, row) for line in self.covariance])))
        return Estimate(p=_sigmoid(odds), lower=_sigmoid(odds - spread), upper=_sigmoid(odds + spread))


def fit_logistic(cases: Sequence[Sequence[float]], outcomes: Sequence[bool], *, ridge: float = 0.1) -> Logistic:
    """Fits a logistic regression by Newton's method.

    Args:
        cases: One row of features per case, all of one length.
        outcomes: What came of each case.
        ridge: Weight of the penalty on squared coefficients, the constant excepted. It keeps the coefficients finite
            where a feature separates the outcomes.

    Raises:
        ValueError: There is no case of one of the two outcomes.
    """
    if len(set(outcomes)) < 2:  # noqa: PLR2004 - right and wrong
        raise ValueError("a logistic regression needs right and wrong cases")
    rows = [(1.0, *case) for case in cases]
    size = len(rows[0])
    penalties = [0.0] + [ridge] * (size - 1)
    beta = [0.0] * size
    inverse: Matrix = ()
    for _ in range(_STEPS):
        chances = [_sigmoid(_dot(beta, row)) for row in rows]
        slope = [
            sum((outcome - chance) * row[i] for row, outcome, chance in zip(rows, outcomes, chances, strict=True))
            - penalties[i] * beta[i]
            for i in range(size)
        ]
        curvature = [
            [
                sum(chance * (1 - chance) * row[i] * row[j] for row, chance in zip(rows, chances, strict=True))
                + (penalties[i] if i == j else 0.0)
                for j in range(size)
            ]
            for i in range(size)
        ]
        inverse = _inverse(curvature)
        step = [_dot(line, slope) for line in inverse]
        beta = [value + change for value, change in zip(beta, step, strict=True)]
        if max(map(abs, step)) < _SMALL:
            break
    return Logistic(coefficients=tuple(beta), covariance=inverse)


def _dot(left: Sequence[float], right: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def _sigmoid(odds: float) -> float:
    return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))


def _inverse(matrix: Sequence[Sequence[float]]) -> Matrix:
    """Inverts a small symmetric positive definite matrix by elimination."""
    size = len(matrix)
    rows = [[*line, *(1.0 if i == j else 0.0 for j in range(size))] for i, line in enumerate(matrix)]
    for i in range(size):
        rows[i] = [value / rows[i][i] for value in rows[i]]
        for j in range(size):
            if j != i:
                rows[j] = [value - rows[j][i] * pivot for value, pivot in zip(rows[j], rows[i], strict=True)]
    return tuple(tuple(row[size:]) for row in rows)
