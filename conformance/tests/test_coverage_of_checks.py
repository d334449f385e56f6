"""Our own checks were held against the sentences as they are now."""

from consilience_conformance.cases import all_checks
from consilience_conformance.coverage import review_complaints
from consilience_conformance.requirements import requirements
from scripts.review_requirements import reviewed


def test_every_check_was_held_against_its_sentence_as_it_is_now() -> None:
    complaints = review_complaints(requirements(), checks=all_checks(), reviewed=reviewed())
    assert complaints == [], "\n".join(complaints)
