"""Envelopes of records (spec section 4.4, steps 1 and 2): the record itself, and what is signed within it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

from consilience.v1 import node_pb2, registry_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.error_details_pb2 import LimitExceeded
from consilience_conformance.envelopes import seal_bytes
from consilience_conformance.records.forgeries import FORGERIES, Forgery
from consilience_conformance.records.kinds import ADVISORY, KINDS, REVIEW, SUCCESSION, Cast, Kind
from consilience_conformance.records.made_up import advisory, record_of
from consilience_conformance.records.twins import Spoilt, record_twins
from consilience_conformance.rules.refusals import refusal_of
from consilience_conformance.transcripts import Exchange
from consilience_conformance.verdicts import Finding

MAX_RECORD_BYTES = 65536
_UNKNOWN_FIELD = b"\xc2\x3e\x05newer"
"""Field 1000 with five bytes, which no message of this version has."""

_NAMES = {
    "consilience.v1.NodeCard": "node_id",
    "consilience.v1.KeySuccession": "old_node_id",
    "consilience.v1.Review": "reviewer",
    "consilience.v1.Retraction": "author",
    "consilience.v1.Rebuttal": "signing_key",
    "consilience.v1.Advisory": "author",
}
"""By type, the field that names who signs it."""


def _forged(kind: Kind, forgery: Forgery) -> Spoilt:
    def make(cast: Cast) -> registry_pb2.Record:
        named = _NAMES[kind.payload_type]
        return record_of(forgery.forge(kind.make(cast), kind.signs(cast), named), card=kind.card(cast))

    return Spoilt(name=forgery.name, reason=forgery.reason, make=make, requirement=forgery.requirement)


def _forged_within(what: str, forgery: Forgery, make: Callable[[Cast, Forgery], registry_pb2.Record]) -> Spoilt:
    return Spoilt(
        name=f"{what} {forgery.name}",
        reason=forgery.reason,
        make=lambda cast: make(cast, forgery),
        requirement=forgery.requirement,
    )


def _with_acceptance(cast: Cast, forgery: Forgery) -> registry_pb2.Record:
    acceptance = forgery.forge(cast.node.acceptance(), cast.node.successor, "new_node_id")
    succession = node_pb2.KeySuccession(old_node_id=cast.node.node_id, acceptance=acceptance)
    return record_of(cast.node.root.seal(succession), card=cast.node.sealed_card())


def _with_ticket(cast: Cast, forgery: Forgery) -> registry_pb2.Record:
    value = review_pb2.ReviewTicket.FromString(cast.ticket.envelope.payload)
    return _reviewed(cast, "ticket", forgery.forge(value, cast.node.root, "signing_key"))


def _with_attestation(cast: Cast, forgery: Forgery) -> registry_pb2.Record:
    attestation = cast.node.attestation(cast.ticket)
    return _reviewed(cast, "attestation", forgery.forge(attestation, cast.node.root, "signing_key"))


def _reviewed(cast: Cast, name: str, forged: SignedEnvelope) -> registry_pb2.Record:
    review = cast.ticket.review()
    getattr(review, name).CopyFrom(forged)
    return record_of(cast.reviewer.seal(review))


def too_large(cast: Cast) -> registry_pb2.Record:
    """Returns an advisory that keeps all rules and is a byte too large: nobody looks at its fields."""
    return _of_size(cast, MAX_RECORD_BYTES + 1)


def _just_fits(cast: Cast) -> registry_pb2.Record:
    return _of_size(cast, MAX_RECORD_BYTES)


def _of_size(cast: Cast, size: int) -> registry_pb2.Record:
    objects = [SignedEnvelope(payload=secrets.token_bytes(9000)) for _ in range(7)]
    warning = advisory(cast.reviewer, objects=objects)
    rest = size - warning.ByteSize() - 8
    warning.objects.append(SignedEnvelope(payload=bytes(rest)))
    while warning.ByteSize() < size:
        warning.objects[-1].payload += b"\0"
    while warning.ByteSize() > size:
        warning.objects[-1].payload = warning.objects[-1].payload[:-1]
    return record_of(cast.reviewer.seal(warning))


def _names_the_limit(exchange: Exchange) -> Iterator[Finding]:
    detail = refusal_of(exchange).details.get(LimitExceeded.DESCRIPTOR.full_name)
    if isinstance(detail, LimitExceeded) and (detail.limit, detail.maximum) == ("record_bytes", MAX_RECORD_BYTES):
        return
    got = f"{detail.limit} {detail.maximum}" if isinstance(detail, LimitExceeded) else "no LimitExceeded"
    yield Finding(
        requirement="REC-ADM-001",
        message="the refusal of a record that is too large names another limit",
        expected=f"record_bytes {MAX_RECORD_BYTES}",
        got=got,
        exchange=exchange.name,
    )


def _request(data: bytes) -> Callable[[Cast], bytes]:
    return lambda _: data


def _cut_off(cast: Cast) -> bytes:
    return registry_pb2.PublishRecordRequest(record=ADVISORY.record(cast)).SerializeToString()[:-7]


_NO_RECORDS = (
    Spoilt(name="that is no message", reason="ENVELOPE_MALFORMED", make=_request(b"\xff\xff\xff")),
    Spoilt(name="that breaks off", reason="ENVELOPE_MALFORMED", make=_cut_off),
    Spoilt(name="that is nothing", reason="ENVELOPE_MALFORMED", make=_request(b"")),
    Spoilt(name="without an object", reason="ENVELOPE_MALFORMED", make=_request(b"\x0a\x00")),
    Spoilt(name="a byte too large", reason="LIMIT_EXCEEDED", make=too_large, look=_names_the_limit),
    Spoilt(name="as large as may be", reason="", make=_just_fits),
)


def _of_a_newer_version(kind: Kind) -> Spoilt:
    def make(cast: Cast) -> bytes:
        record = kind.record(cast)
        signed = record.object.payload + _UNKNOWN_FIELD
        seed = kind.signs(cast).seed

        record.object.CopyFrom(seal_bytes(signed, payload_type=kind.payload_type, seed=seed))
        return registry_pb2.PublishRecordRequest(record=record).SerializeToString() + _UNKNOWN_FIELD

    return Spoilt(name="of a newer version", reason="", make=make, requirement="VER-FLD-001")


FORGED = {kind: [_forged(kind, forgery) for forgery in FORGERIES] for kind in KINDS}
FORGED_WITHIN = {
    SUCCESSION: [_forged_within("acceptance", one, _with_acceptance) for one in FORGERIES],
    REVIEW: [
        *(_forged_within("ticket", one, _with_ticket) for one in FORGERIES),
        *(_forged_within("attestation", one, _with_attestation) for one in FORGERIES),
    ],
}

CHECKS = (
    record_twins(
        "a-record-in-a-bad-envelope-is-refused",
        title="A record of each type is refused when its envelope is not in order, and nothing comes of it.",
        spoilt=FORGED,
    ),
    record_twins(
        "a-record-with-a-forgery-in-it-is-refused",
        title="A record is refused when a ticket, attestation or acceptance in it does not open.",
        spoilt=FORGED_WITHIN,
    ),
    record_twins(
        "what-is-no-record-is-refused",
        title="What is no record, or is too large, is refused; fields of later versions are kept.",
        spoilt={ADVISORY: _NO_RECORDS, **{kind: [_of_a_newer_version(kind)] for kind in KINDS if kind is not ADVISORY}},
        requirements=("VER-FLD-001",),
    ),
)
