"""Says in a few lines what calibration data holds: `python -m benchmarks.knowledge.report [FILE]`.

The area under the ROC curve of answers from memory is cross-validated: each answer is estimated by a regression that
did not see it.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.knowledge.measure import HERE, questions_of
from consilience_node.knowledge import calibration as calibrations
from consilience_node.knowledge.calibration import Calibration, ClosedBookRow, GroundedRow, read_calibration
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.estimates import proportion
from consilience_node.knowledge.gate import Decision, judge
from consilience_node.knowledge.topic import TopicRule

FOLDS = 5


def share(right: Sequence[bool]) -> str:
    """Writes a share with its interval."""
    if not right:
        return "none"
    estimate = proportion(sum(right), trials=len(right))
    return f"{sum(right)} of {len(right)} right ({estimate.lower:.2f} to {estimate.upper:.2f})"


def report_grounded(rows: Sequence[GroundedRow]) -> None:
    """Reports, by topic rule and by part of the questions, what the gate accepts and how much of it is right."""
    parts = {question.id: question.part for question in questions_of(HERE / "grounded.jsonl")}
    accepted = [row for row in rows if judge(row.evidence).decision is Decision.ANSWER]
    print(f"grounded: {share([row.right for row in rows])}; accepted {len(accepted)}")
    for rule in TopicRule:
        print(f"  accepted by {rule}: {share([row.right for row in accepted if row.topic is rule])}")
    for part in sorted(set(parts.values())):
        of_part = [row for row in rows if parts[row.id] == part]
        print(
            f"  {part}: {share([row.right for row in of_part])};"
            f" accepted {share([row.right for row in accepted if parts[row.id] == part])}"
        )


def area_under_curve(scores: Sequence[float], right: Sequence[bool]) -> float:
    """Computes the chance that a right answer scores above a wrong one."""
    pairs = [
        (a > b) + (a == b) / 2
        for a, good in zip(scores, right, strict=True)
        if good
        for b, other in zip(scores, right, strict=True)
        if not other
    ]
    return sum(pairs) / len(pairs)


def held_out_scores(calibration: Calibration) -> list[float]:
    """Estimates each answer from memory by the data without its fold."""
    rows = calibration.closed_book
    scores = [0.0] * len(rows)
    for fold in range(FOLDS):
        seen = tuple(row for number, row in enumerate(rows) if number % FOLDS != fold)
        confidences = Confidences(calibration.model_copy(update={"closed_book": seen}))
        for number in range(fold, len(rows), FOLDS):
            scores[number] = _estimate(confidences, rows[number])
    return scores


def _estimate(confidences: Confidences, row: ClosedBookRow) -> float:
    confidence = confidences.closed_book_of(
        mean=row.mean_logprob, minimum=row.min_logprob, tokens=row.token_count, echo=row.echo
    )
    return 0.0 if confidence is None or confidence.p_correct is None else confidence.p_correct


def report_closed_book(calibration: Calibration) -> None:
    """Reports how well right answers from memory are told from wrong ones, and whether the probabilities hold."""
    right = [row.right for row in calibration.closed_book]
    print(f"closed book: {share(right)}")
    scores = held_out_scores(calibration)
    print(f"  area under the curve, held out: {area_under_curve(scores, right):.2f}")
    means = [row.mean_logprob for row in calibration.closed_book]
    print(f"  the same of the mean logprob alone: {area_under_curve(means, right):.2f}")
    for low, high in ((0.0, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01)):
        chosen = [good for score, good in zip(scores, right, strict=True) if low <= score < high]
        print(f"  stated {low:.2f} to {min(high, 1.0):.2f}: {share(chosen)}")


def main() -> None:
    """Reads the file and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = Path(calibrations.__file__).parent / "calibrations"
    parser.add_argument("file", type=Path, nargs="*", default=sorted(folder.glob("*.json")))
    for path in parser.parse_args().file:
        calibration = read_calibration(path.read_bytes(), name=path.name)
        print(f"{calibration.model} ({calibration.measured})")
        report_grounded(calibration.grounded)
        report_closed_book(calibration)


if __name__ == "__main__":
    main()
