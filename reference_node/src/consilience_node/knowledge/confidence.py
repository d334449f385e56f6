"""States how likely an answer is right, from answers of the same model that were measured before.

Two kinds of answers are told apart, because the signs of one say nothing about the other:

* *grounded*: accepted by the gate; the probability is the share of right ones among measured answers that the gate
  accepts by the same topic rule;
* *closed book*: made from memory; a logistic regression on the mean and the minimum log probability of the tokens, on
  the number of tokens and on whether the answer only gives the question back. Short answers that a model is sure of
  are often right; an explanation of what something is, made from memory by a small model, hardly ever.

Each states its method with the number of measured answers behind it, a 95 % interval, and the digest of the data. For
a model that was not measured there is no confidence at all, which is not the same as one half.

Example::

    confidences = Confidences.of_model(engine.model.weights_sha256)
    confidence = confidences.closed_book(text, question=question, logprobs=completion.logprobs)
    is_a_guess = confidence is not None and confidence.p_correct < SURE
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from consilience.asks import Confidence
from consilience_node.knowledge.calibration import (
    Calibration,
    ClosedBookRow,
    GroundedRow,
    calibration_of,
)
from consilience_node.knowledge.estimates import Estimate, Logistic, fit_logistic, proportion
from consilience_node.knowledge.gate import Decision, Evidence, judge
from consilience_node.knowledge.topic import TopicRule
from consilience_node.knowledge.wording import echoes

SURE = 0.5
"""An answer from memory that is less likely right than this should be told to be a guess."""


class Confidences:
    """Knows one model's measured answers, and states confidences from them.

    Args:
        calibration: What was measured of the model that answers, or None; then there is never a confidence.
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self._digest = calibration.digest if calibration else b""
        self._grounded = _shares(calibration.grounded) if calibration else {}
        self._closed_book = _regression(calibration.closed_book) if calibration else None
        self._closed_book_count = len(calibration.closed_book) if calibration else 0

    @classmethod
    def of_model(cls, weights_sha256: bytes) -> Self:
        """Takes the packaged calibration of a model, if it has one."""
        return cls(calibration_of(weights_sha256))

    def grounded(self, evidence: Evidence) -> Confidence | None:
        """Returns how likely an answer is right that the gate accepted on this evidence.

        Returns:
            None if the gate does not accept it, or if no measured answer is like it.
        """
        share = self._grounded.get(evidence.topic)
        if share is None or judge(evidence).decision is not Decision.ANSWER:
            return None
        method = f"share of right ones accepted by topic={evidence.topic},mean-logprob,support; n={share.trials}"
        return self._stated(share.estimate, method=method)

    def closed_book(self, answer: str, *, question: str, logprobs: Sequence[float]) -> Confidence | None:
        """Returns how likely an answer from memory is right.

        Args:
            answer: The whole text.
            question: What was asked.
            logprobs: Natural log probability of each token of the answer; empty if the engine gives none.

        Returns:
            None if there is nothing to judge by: no log probabilities, or no measured answers of both kinds.
        """
        if not logprobs:
            return None
        return self.closed_book_of(
            mean=sum(logprobs) / len(logprobs),
            minimum=min(logprobs),
            tokens=len(logprobs),
            echo=echoes(answer, question=question),
        )

    def closed_book_of(self, *, mean: float, minimum: float, tokens: int, echo: bool) -> Confidence | None:
        """Returns the same from the features of an answer; see `calibration.ClosedBookRow` for what they are."""
        if self._closed_book is None:
            return None
        estimate = self._closed_book.estimate(_features(mean=mean, minimum=minimum, tokens=tokens, echo=echo))
        method = f"logistic: mean-logprob,min-logprob,tokens,echo; n={self._closed_book_count}"
        return self._stated(estimate, method=method)

    def _stated(self, estimate: Estimate, *, method: str) -> Confidence:
        return Confidence(
            method=method,
            p_correct=estimate.p,
            lower=estimate.lower,
            upper=estimate.upper,
            calibration_digest=self._digest,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    estimate: Estimate
    trials: int


def _shares(rows: Sequence[GroundedRow]) -> dict[TopicRule, _Share]:
    """Counts, per topic rule, how many of the answers that the gate accepts were right."""
    shares = {}
    for rule in TopicRule:
        right = [row.right for row in rows if row.topic is rule and judge(row.evidence).decision is Decision.ANSWER]
        if right:
            shares[rule] = _Share(estimate=proportion(sum(right), trials=len(right)), trials=len(right))
    return shares


def _regression(rows: Sequence[ClosedBookRow]) -> Logistic | None:
    right = [row.right for row in rows]
    if not any(right) or all(right):
        return None
    cases = [
        _features(mean=row.mean_logprob, minimum=row.min_logprob, tokens=row.token_count, echo=row.echo) for row in rows
    ]
    return fit_logistic(cases, right)


def _features(*, mean: float, minimum: float, tokens: int, echo: bool) -> tuple[float, float, float, float]:
    return (mean, minimum, math.log(tokens), float(echo))
