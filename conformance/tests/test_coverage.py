"""Each complaint about requirements, checks and exclusions appears where it should, and nowhere else."""

from dataclasses import dataclass, replace

import pytest

from consilience_conformance.coverage import coverage_complaints, review_complaints
from consilience_conformance.requirements import Requirement, Role

_MUST = Requirement(
    id="ASK-IDEM-002",
    level="MUST",
    role="node",
    profile="core",
    page="2-asks.md",
    anchor="22-the-checks-of-an-ask",
    sentence="A node MUST sing.",
)
_NEVER = replace(_MUST, id="ASK-IDEM-005", level="MUST NOT", role="both", sentence="A node MUST NOT whistle.")
_SHOULD = replace(_MUST, id="ASK-ANS-006", level="SHOULD", sentence="A node SHOULD dance.")
_OF_CLIENTS = replace(_MUST, id="ASK-DATA-001", role="client", sentence="A client MUST listen.")
_ALL = {one.id: one for one in (_MUST, _NEVER, _SHOULD, _OF_CLIENTS)}


@dataclass(frozen=True, kw_only=True)
class _Check:
    name: str
    requirements: tuple[str, ...]


_SINGS = _Check(name="sings", requirements=(_MUST.id,))
_QUIET = _Check(name="does-not-whistle", requirements=(_NEVER.id, _SHOULD.id))
_LISTENS = _Check(name="listens", requirements=(_OF_CLIENTS.id,))
_REVIEWED = {name: one.digest for name, one in _ALL.items()}


def _complaints(
    *checks: _Check, role: Role = "node", exclusions: dict[str, str] | None = None, of: dict[str, Requirement] = _ALL
) -> list[str]:
    return coverage_complaints(of, role=role, checks=checks, exclusions=exclusions or {})


def test_a_set_in_order_has_no_complaints() -> None:
    assert _complaints(_SINGS, _QUIET) == []
    assert _complaints(_SINGS, exclusions={_NEVER.id: "whistling is not heard outside"}) == []
    assert review_complaints(_ALL, checks=[_SINGS, _QUIET], reviewed=_REVIEWED) == []


def test_a_must_that_binds_both_sides_is_wanted_of_each() -> None:
    (complaint,) = _complaints(_LISTENS, role="client")
    assert complaint.startswith("ASK-IDEM-005 is a MUST for a client that is neither tested nor excluded")
    assert _complaints(_LISTENS, role="client", exclusions={_NEVER.id: "nobody listens"}) == []


def test_a_must_without_check_and_reason_is_named_with_its_sentence() -> None:
    (complaint,) = _complaints(_QUIET)
    assert "ASK-IDEM-002 is a MUST for a node that is neither tested nor excluded" in complaint
    assert _MUST.sentence in complaint


def test_without_checks_every_must_is_missed_and_nothing_else() -> None:
    assert [complaint.split()[0] for complaint in _complaints()] == [_MUST.id, _NEVER.id]


@pytest.mark.parametrize(
    ("exclusions", "complaint"),
    [
        ({_MUST.id: "cannot be heard"}, "ASK-IDEM-002 is excluded and is tested"),
        ({_OF_CLIENTS.id: "no client here"}, "ASK-DATA-001 is excluded and is no MUST for a node"),
        ({"ASK-IDEM-02": "a slip"}, "the exclusions name ASK-IDEM-02, which is no requirement; did you mean ASK-IDEM"),
        ({"COOKING": "a joke"}, "the exclusions name COOKING, which is no requirement"),
    ],
)
def test_an_exclusion_that_excuses_nothing_is_named(exclusions: dict[str, str], complaint: str) -> None:
    (found,) = _complaints(_SINGS, _QUIET, exclusions=exclusions)
    assert found.startswith(complaint)


@pytest.mark.parametrize(
    ("open_parts", "complaint"),
    [
        ({_NEVER.id: "whistling through the nose"}, "a part of ASK-IDEM-005 is left open, and nothing of it is tested"),
        ({_SHOULD.id: "waltzes"}, "a part of ASK-ANS-006 is left open, which is no MUST for a node"),
        ({"COOKING": "desserts"}, "the open parts name COOKING, which is no requirement"),
        ({_MUST.id: " "}, "a part of ASK-IDEM-002 is left open, and nobody says which"),
    ],
)
def test_a_part_that_is_left_open_of_nothing_is_named(open_parts: dict[str, str], complaint: str) -> None:
    (found,) = coverage_complaints(
        _ALL, role="node", checks=[_SINGS], exclusions={_NEVER.id: "not heard"}, open_parts=open_parts
    )
    assert found.startswith(complaint)


def test_a_part_of_a_tested_must_may_be_left_open() -> None:
    assert (
        coverage_complaints(
            _ALL, role="node", checks=[_SINGS, _QUIET], exclusions={}, open_parts={_MUST.id: "songs without words"}
        )
        == []
    )


def test_a_should_needs_no_exclusion() -> None:
    quiet = replace(_QUIET, requirements=(_NEVER.id,))
    (found,) = _complaints(_SINGS, quiet, exclusions={_SHOULD.id: "dancing is not seen"})
    assert found == "ASK-ANS-006 is excluded and is no MUST for a node: nothing is to be excused"


def test_an_exclusion_without_a_reason_is_named() -> None:
    assert _complaints(_SINGS, exclusions={_NEVER.id: " "}) == ["ASK-IDEM-005 is excluded without a reason"]


@pytest.mark.parametrize(
    ("requirements", "complaint"),
    [
        ((), "check odd names no requirement"),
        (("ASK-IDEM-20",), "check odd names ASK-IDEM-20, which is no requirement; did you mean ASK-IDEM-00"),
        (("COOKING",), "check odd names COOKING, which is no requirement"),
        ((_OF_CLIENTS.id,), "check odd judges a node by ASK-DATA-001, which does not bind it"),
    ],
)
def test_a_check_that_names_no_requirement_of_its_side_is_named(requirements: tuple[str, ...], complaint: str) -> None:
    (found,) = _complaints(_SINGS, _QUIET, _Check(name="odd", requirements=requirements))
    assert found.startswith(complaint)


def test_a_changed_sentence_asks_for_a_review_of_the_checks_that_name_it() -> None:
    changed = {**_ALL, _NEVER.id: replace(_NEVER, sentence="A node MUST NOT hum.")}
    hums = _Check(name="does-not-hum", requirements=(_MUST.id, _NEVER.id))
    (complaint,) = review_complaints(changed, checks=[_SINGS, _QUIET, hums], reviewed=_REVIEWED)
    assert complaint == (
        "ASK-IDEM-005 has changed since its checks were reviewed: A node MUST NOT hum. "
        "Its checks: does-not-whistle, does-not-hum. Then: python -m scripts.review_requirements ASK-IDEM-005"
    )


def test_a_requirement_that_moved_needs_no_review() -> None:
    moved = {**_ALL, _MUST.id: replace(_MUST, page="1-nodes.md", anchor="12-the-card")}
    assert review_complaints(moved, checks=[_SINGS], reviewed=_REVIEWED) == []


def test_a_requirement_that_nobody_reviewed_is_named() -> None:
    reviewed = {name: digest for name, digest in _REVIEWED.items() if name != _SHOULD.id}
    (complaint,) = review_complaints(_ALL, checks=[], reviewed=reviewed)
    assert complaint.startswith("ASK-ANS-006 was never reviewed: A node SHOULD dance. Its checks: none yet.")


def test_a_review_of_what_is_gone_is_named() -> None:
    left = {name: one for name, one in _ALL.items() if name != _MUST.id}
    (complaint,) = review_complaints(left, checks=[], reviewed=_REVIEWED)
    assert complaint == (
        "ASK-IDEM-002 is no requirement any more. Then: python -m scripts.review_requirements ASK-IDEM-002"
    )
