"""Opinions: of a ticket one review counts, of what was taken back nothing, and no warning that is over (4.2, 4.3)."""

from __future__ import annotations

from collections.abc import Callable

from consilience.v1 import registry_pb2
from consilience_conformance import envelopes
from consilience_conformance.callers import Caller
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.forgeries import by_a_stranger, of_other_bytes, unsigned
from consilience_conformance.client_side.readings import Make, Step, Steps, decided, rejected
from consilience_conformance.client_side.subjects import HOUR, Subject, enlarged


def _two_reviews(subject: Subject) -> tuple[registry_pb2.Record, registry_pb2.Record]:
    """Returns two reviews of a ticket, the earlier one first."""
    ticket = subject.ticket()
    return subject.review(ticket, issued=subject.today), subject.review(ticket, comment="on second thoughts")


def _in_one_registry(subject: Subject) -> Steps:
    earlier, later = _two_reviews(subject)
    return (
        Step(served=[[earlier]], right=[earlier]),
        Step(served=[[later, earlier]], right=[earlier]),
        Step(served=[[earlier, later]], right=[earlier]),
    )


def _in_two_registries(subject: Subject) -> Steps:
    earlier, later = _two_reviews(subject)
    return (
        Step(served=[[earlier], [earlier]], right=[earlier]),
        Step(served=[[later], [earlier]], right=[earlier]),
        Step(served=[[earlier], [later]], right=[earlier]),
    )


def _of_one_time(subject: Subject) -> Steps:
    ticket = subject.ticket()
    two = [subject.review(ticket), subject.review(ticket, comment="on second thoughts")]
    smaller, larger = sorted(two, key=lambda one: envelopes.envelope_digest(one.object))
    return (
        Step(served=[[smaller]], right=[smaller]),
        Step(served=[[larger, smaller]], right=[smaller]),
        Step(served=[[smaller, larger]], right=[smaller]),
    )


def _taken_back(make: Make) -> Callable[[Subject], Steps]:
    """Shows a statement, then along with it what takes it back, and then another one besides."""

    def steps(subject: Subject) -> Steps:
        said, other = make(subject), subject.review()
        retraction = subject.retraction(said)
        return (
            Step(served=[[said]], right=[said]),
            Step(served=[[said, retraction]], right=[]),
            Step(served=[[retraction, other, said]], right=[other]),
        )

    return steps


def _taken_back_elsewhere(subject: Subject) -> Steps:
    said, other = subject.review(), subject.review()
    retraction = subject.retraction(said)
    return (
        Step(served=[[said], [said]], right=[said]),
        Step(served=[[said, other], [retraction]], right=[other]),
        Step(served=[[retraction], [other, said]], right=[other]),
    )


def _taken_back_and_hidden(subject: Subject) -> Steps:
    """Shows a retraction once; the registry that has served it is silent about it from then on."""
    said, other = subject.review(), subject.review()
    return (
        Step(served=[[said]], right=[said]),
        Step(served=[[subject.retraction(said)]], right=[]),
        Step(served=[[said, other]], right=[other]),
    )


def _written_anew(subject: Subject) -> Steps:
    first, second = _two_reviews(subject)
    retraction, other = subject.retraction(second), subject.review()
    return (
        Step(served=[[second]], right=[second]),
        Step(served=[[first, retraction]], right=[]),
        Step(served=[[retraction, first, other]], right=[other]),
    )


def _not_taken_back(make: Callable[[Subject, registry_pb2.Record], registry_pb2.Record]) -> Callable[[Subject], Steps]:
    """Shows a review along with a retraction that takes nothing back."""

    def steps(subject: Subject) -> Steps:
        said = subject.review()
        wrong = make(subject, said)
        return (
            Step(served=[[said]], right=[said]),
            Step(served=[[said, wrong]], right=[said]),
            Step(served=[[wrong, said]], right=[said]),
        )

    return steps


def _too_large(subject: Subject) -> registry_pb2.Record:
    return subject.advisory(sealed=lambda one: enlarged(one, by=subject.reviewer))


def _of_a_ticket(name: str, *, title: str, steps: Callable[[Subject], Steps]) -> ClientCheck:
    return decided(name, title=title, what="a second review of a ticket", requirement="REV-ONE-001", steps=steps)


def _retraction(name: str, *, title: str, steps: Callable[[Subject], Steps]) -> ClientCheck:
    return decided(name, title=title, what="what was taken back", requirement="REV-RTR-001", steps=steps)


CHECKS = (
    _of_a_ticket(
        "two-reviews-of-a-ticket",
        title="Of two reviews of a ticket the earlier one counts, in whatever order they come.",
        steps=_in_one_registry,
    ),
    _of_a_ticket(
        "two-reviews-in-two-registries",
        title="Of two reviews of a ticket that two registries serve the earlier one counts.",
        steps=_in_two_registries,
    ),
    _of_a_ticket(
        "two-reviews-of-one-time",
        title="Of two reviews of a ticket that were issued at one time the one with the smaller digest counts.",
        steps=_of_one_time,
    ),
    _retraction(
        "review-that-was-taken-back",
        title="A review that its author has taken back does not count.",
        steps=_taken_back(Subject.review),
    ),
    _retraction(
        "advisory-that-was-taken-back",
        title="An advisory that its author has taken back does not count.",
        steps=_taken_back(Subject.advisory),
    ),
    _retraction(
        "retraction-in-another-registry",
        title="A review does not count that one registry serves and whose retraction another one has.",
        steps=_taken_back_elsewhere,
    ),
    _retraction(
        "retraction-that-is-hidden-again",
        title="A review does not count whose retraction was seen, though nobody serves that any more.",
        steps=_taken_back_and_hidden,
    ),
    _retraction(
        "review-after-a-retraction",
        title="After a retraction no other review of the ticket counts.",
        steps=_written_anew,
    ),
    _retraction(
        "retraction-by-another",
        title="A review counts that somebody else wants to take back.",
        steps=_not_taken_back(lambda subject, said: subject.retraction(said, by=Caller.new())),
    ),
    _retraction(
        "retraction-that-is-forged",
        title="A review counts whose retraction carries a signature that does not verify.",
        steps=_not_taken_back(lambda subject, said: subject.retraction(said, sealed=of_other_bytes)),
    ),
    rejected(
        "advisory-that-expired",
        what="an advisory after its expire_time",
        make=lambda one: one.advisory(issued=one.now - 2 * HOUR, lasting=HOUR),
        requirement="REV-ADV-001",
    ),
    rejected(
        "advisory-from-the-future",
        what="an advisory from the future",
        make=lambda one: one.advisory(issued=one.now + HOUR),
    ),
    rejected("advisory-that-is-too-large", what="an advisory of more than 65536 bytes", make=_too_large),
    rejected(
        "advisory-without-signature",
        what="an advisory without a signature",
        make=lambda one: one.advisory(sealed=unsigned),
    ),
    rejected(
        "advisory-signed-by-another",
        what="an advisory that another key than its author signed",
        make=lambda one: one.advisory(sealed=by_a_stranger),
    ),
    rejected(
        "advisory-with-a-broken-field",
        what="an advisory without a summary",
        make=lambda one: one.advisory(summary=""),
    ),
)
