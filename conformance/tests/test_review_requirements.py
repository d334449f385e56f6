"""A review is recorded for the ids that are named, and for no others."""

from dataclasses import replace

import pytest

from consilience_conformance.requirements import UnknownRequirementError, requirement
from scripts.review_requirements import with_review

_ONE = requirement("ASK-IDEM-002")
_OTHER = requirement("ASK-IDEM-003")
_REQUIREMENTS = {_ONE.id: replace(_ONE, sentence="It MUST sing."), _OTHER.id: replace(_OTHER, sentence="It MUST hum.")}
_BEFORE = {_ONE.id: _ONE.digest, _OTHER.id: _OTHER.digest}


def test_a_review_is_of_the_sentence_as_it_is_now() -> None:
    after = with_review(_BEFORE, requirements=_REQUIREMENTS, names=[_ONE.id])
    assert after == {_ONE.id: _REQUIREMENTS[_ONE.id].digest, _OTHER.id: _OTHER.digest}
    assert after[_ONE.id] != _BEFORE[_ONE.id]


def test_reviews_stand_in_the_order_of_ids() -> None:
    after = with_review({}, requirements=_REQUIREMENTS, names=[_OTHER.id, _ONE.id])
    assert list(after) == [_ONE.id, _OTHER.id]


def test_what_is_no_requirement_any_more_is_taken_out() -> None:
    after = with_review(_BEFORE, requirements={_ONE.id: _ONE}, names=[_OTHER.id])
    assert after == {_ONE.id: _ONE.digest}


def test_an_id_that_never_was_is_refused_with_a_near_one() -> None:
    with pytest.raises(UnknownRequirementError, match=r"did you mean .*ASK-IDEM-002"):
        with_review(_BEFORE, requirements=_REQUIREMENTS, names=["ASK-IDEM-02"])
