"""Statements: what takes a review back, or answers it, is read if it passes every step of spec section 4.4."""

from __future__ import annotations

from consilience.v1 import registry_pb2
from consilience_conformance.client_side.checks import ClientCheck
from consilience_conformance.client_side.forgeries import by_a_stranger, unsigned
from consilience_conformance.client_side.readings import Make, rejected_record
from consilience_conformance.client_side.subjects import HOUR, Subject, enlarged
from consilience_conformance.records.made_up import DAY, LONGEST

_WORDS = "It is as it was answered."


def _retraction(subject: Subject) -> registry_pb2.Record:
    return subject.retraction(subject.review())


def _rebuttal(subject: Subject) -> registry_pb2.Record:
    return subject.rebuttal(subject.review(), _WORDS)


def _large_retraction(subject: Subject) -> registry_pb2.Record:
    return subject.retraction(subject.review(), sealed=lambda one: enlarged(one, by=subject.reviewer))


def _large_rebuttal(subject: Subject) -> registry_pb2.Record:
    return subject.rebuttal(subject.review(), _WORDS, sealed=lambda one: enlarged(one, by=subject.node.signer))


def _expired_rebuttal(subject: Subject) -> registry_pb2.Record:
    age = LONGEST + DAY
    beside = subject.shown(issued=subject.today - age - HOUR)
    return subject.rebuttal(subject.review(), _WORDS, issued=subject.now - age, beside=beside)


def _no_retraction(name: str, *, what: str, make: Make) -> ClientCheck:
    return rejected_record(name, what=f"a retraction {what}", right=_retraction, make=make)


def _no_rebuttal(name: str, *, what: str, make: Make) -> ClientCheck:
    return rejected_record(name, what=f"a rebuttal {what}", right=_rebuttal, make=make)


CHECKS = (
    _no_retraction("retraction-that-is-too-large", what="of more than 65536 bytes", make=_large_retraction),
    _no_retraction(
        "retraction-without-signature",
        what="without a signature",
        make=lambda one: one.retraction(one.review(), sealed=unsigned),
    ),
    _no_retraction(
        "retraction-signed-by-another",
        what="that another key than its author signed",
        make=lambda one: one.retraction(one.review(), sealed=by_a_stranger),
    ),
    _no_retraction(
        "retraction-with-a-broken-field",
        what="that is to be kept for 731 days",
        make=lambda one: one.retraction(one.review(), end=one.today + LONGEST + DAY),
    ),
    _no_retraction(
        "retraction-from-the-future",
        what="from the future",
        make=lambda one: one.retraction(one.review(), issued=one.now + HOUR),
    ),
    _no_retraction(
        "retraction-that-expired",
        what="after its expire_time",
        make=lambda one: one.retraction(one.review(), issued=one.now - 2 * HOUR, end=one.now - HOUR),
    ),
    _no_rebuttal("rebuttal-that-is-too-large", what="of more than 65536 bytes", make=_large_rebuttal),
    _no_rebuttal(
        "rebuttal-without-signature",
        what="without a signature",
        make=lambda one: one.rebuttal(one.review(), _WORDS, sealed=unsigned),
    ),
    _no_rebuttal(
        "rebuttal-signed-by-another",
        what="that another key than it names signed",
        make=lambda one: one.rebuttal(one.review(), _WORDS, sealed=by_a_stranger),
    ),
    _no_rebuttal(
        "rebuttal-with-a-broken-field",
        what="that says nothing",
        make=lambda one: one.rebuttal(one.review(), ""),
    ),
    _no_rebuttal(
        "rebuttal-from-the-future",
        what="from the future",
        make=lambda one: one.rebuttal(one.review(), _WORDS, issued=one.now + HOUR),
    ),
    _no_rebuttal("rebuttal-that-expired", what="of more than 730 days ago", make=_expired_rebuttal),
)
