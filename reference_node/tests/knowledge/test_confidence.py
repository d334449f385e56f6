"""A confidence is what was measured, with its interval, its method and its data; or it is absent."""

import random
from dataclasses import replace

import pytest

from consilience.asks import Confidence
from consilience_node.knowledge.calibration import Calibration, ClosedBookRow, GroundedRow
from consilience_node.knowledge.confidence import SURE, Confidences
from consilience_node.knowledge.estimates import proportion
from consilience_node.knowledge.gate import Evidence
from consilience_node.knowledge.topic import TopicRule

GOOD = Evidence(topic=TopicRule.HEADWORD, mean_logprob=-0.3, support=1.0, echo=False, finished=True)
DIGEST = b"\x07" * 32


def grounded_row(*, topic: TopicRule = TopicRule.HEADWORD, mean: float = -0.3, right: bool = True) -> GroundedRow:
    return GroundedRow(id="a", topic=topic, mean_logprob=mean, support=1.0, echo=False, finished=True, right=right)


def closed_book_rows() -> tuple[ClosedBookRow, ...]:
    """Sure, short answers are mostly right here; unsure, long ones mostly wrong."""
    chance = random.Random(3)  # noqa: S311 - a simulation
    rows = []
    for number in range(200):
        sure = number % 2 == 0
        rows.append(
            ClosedBookRow(
                id=str(number),
                mean_logprob=-0.1 if sure else -1.0,
                min_logprob=-0.5 if sure else -4.0,
                token_count=6 if sure else 60,
                echo=False,
                right=chance.random() < (0.9 if sure else 0.1),
            )
        )
    return tuple(rows)


def calibration(*, grounded: tuple[GroundedRow, ...] = (), closed_book: tuple[ClosedBookRow, ...] = ()) -> Calibration:
    return Calibration(
        model="m",
        weights_sha256=bytes(32),
        measured="",
        grounded=grounded,
        closed_book=closed_book,
        digest=DIGEST,
    )


def p_of(confidence: Confidence | None) -> float:
    assert confidence is not None
    assert confidence.p_correct is not None
    return confidence.p_correct


def test_a_grounded_confidence_is_the_share_of_right_answers_that_the_gate_accepted_by_the_same_rule() -> None:
    rows = (
        *[grounded_row()] * 9,
        grounded_row(right=False),
        *[grounded_row(mean=-2.0, right=False)] * 50,
        *[grounded_row(topic=TopicRule.NAMED, right=False)] * 3,
    )
    confidences = Confidences(calibration(grounded=rows))
    expected = proportion(9, trials=10)
    confidence = confidences.grounded(GOOD)
    assert confidence == Confidence(
        method="share of right ones accepted by topic=headword,mean-logprob,support; n=10",
        p_correct=expected.p,
        lower=expected.lower,
        upper=expected.upper,
        calibration_digest=DIGEST,
    )
    assert p_of(confidences.grounded(replace(GOOD, topic=TopicRule.NAMED))) < 0.5


@pytest.mark.parametrize(
    "evidence",
    [
        replace(GOOD, mean_logprob=-0.6),
        replace(GOOD, support=0.1),
        replace(GOOD, topic=TopicRule.NONE),
        replace(GOOD, topic=TopicRule.NAMED),
    ],
    ids=["unsure", "unsupported", "off topic", "never measured"],
)
def test_there_is_no_grounded_confidence_where_the_gate_does_not_answer_or_nothing_was_measured(
    evidence: Evidence,
) -> None:
    assert Confidences(calibration(grounded=(grounded_row(),))).grounded(evidence) is None


def test_a_short_sure_answer_from_memory_is_likelier_right_than_a_long_unsure_one() -> None:
    confidences = Confidences(calibration(closed_book=closed_book_rows()))
    short = confidences.closed_book("Paris.", question="What is the capital of France?", logprobs=[-0.1] * 6)
    long = confidences.closed_book("It is a thing.", question="What is a bug?", logprobs=[-1.0] * 59 + [-4.0])
    assert p_of(short) > 0.8 > SURE > 0.2 > p_of(long)
    assert short is not None
    assert short.method.endswith("n=200")
    assert short.calibration_digest == DIGEST
    assert short.lower is not None
    assert short.upper is not None
    assert short.lower < p_of(short) < short.upper


@pytest.mark.parametrize("right", [True, False])
def test_answers_from_memory_that_were_all_right_or_all_wrong_teach_nothing(*, right: bool) -> None:
    rows = tuple(row.model_copy(update={"right": right}) for row in closed_book_rows())
    assert Confidences(calibration(closed_book=rows)).closed_book("a", question="q", logprobs=[-0.1]) is None


def test_without_log_probabilities_or_calibration_there_is_no_confidence() -> None:
    measured = Confidences(calibration(closed_book=closed_book_rows(), grounded=(grounded_row(),)))
    unmeasured = Confidences.of_model(bytes(32))
    assert measured.closed_book("Paris.", question="q", logprobs=()) is None
    assert unmeasured.closed_book("Paris.", question="q", logprobs=[-0.1]) is None
    assert unmeasured.grounded(GOOD) is None


@pytest.mark.parametrize("rule", [TopicRule.HEADWORD, TopicRule.NAMED])
def test_methods_fit_into_the_field_of_the_wire(smollm2: Confidences, rule: TopicRule) -> None:
    confidence = smollm2.grounded(replace(GOOD, topic=rule))
    assert confidence is not None
    assert len(confidence.method) <= 128


def test_an_explanation_from_the_memory_of_the_packaged_model_is_a_guess(smollm2: Confidences) -> None:
    confidence = smollm2.closed_book(
        "A heisenbug is a theoretical concept in physics.",
        question="What is a heisenbug?",
        logprobs=[-0.6] * 60 + [-3.0],
    )
    assert p_of(confidence) < SURE


def test_what_the_packaged_model_reads_well_is_likelier_right_than_not_and_never_certain(smollm2: Confidences) -> None:
    confidence = smollm2.grounded(GOOD)
    assert SURE < p_of(confidence) < 1
