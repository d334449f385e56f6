"""Our own checks and exclusions leave out no MUST, and were held against the sentences as they are now."""

from consilience_conformance.cases import all_checks
from consilience_conformance.coverage import coverage_complaints, review_complaints
from consilience_conformance.exclusions import EXCLUSIONS, OPEN_PARTS
from consilience_conformance.requirements import requirements
from scripts.review_requirements import reviewed


def test_every_must_of_a_node_is_tested_or_excluded_with_a_reason() -> None:
    complaints = coverage_complaints(
        requirements(),
        role="node",
        checks=all_checks(),
        exclusions=EXCLUSIONS["node"],
        open_parts=OPEN_PARTS["node"],
    )
    assert complaints == [], "\n".join(complaints)


def test_every_check_was_held_against_its_sentence_as_it_is_now() -> None:
    complaints = review_complaints(requirements(), checks=all_checks(), reviewed=reviewed())
    assert complaints == [], "\n".join(complaints)
