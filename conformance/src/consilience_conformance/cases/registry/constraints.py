"""Constraints of records (spec section 4.4, step 3): every declared rule of their fields, broken once.

The breakages are drawn from the descriptors, so a rule that is added to a proto is checked by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from google.protobuf.message import Message

from consilience.v1 import node_pb2, registry_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.breakages import Breakage, breakages
from consilience_conformance.callers import Caller
from consilience_conformance.cases.constraints import names_the_field
from consilience_conformance.image import message_class
from consilience_conformance.records.kinds import CARD, KINDS, REVIEW, SUCCESSION, Cast, Kind
from consilience_conformance.records.made_up import record_of
from consilience_conformance.records.twins import Spoilt, record_twins

_RULE = "ERR-FLD-001"

_SIGNERS = {
    "consilience.v1.NodeCard": "node_id",
    "consilience.v1.KeySuccession": "old_node_id",
    "consilience.v1.Review": "reviewer",
    "consilience.v1.Retraction": "author",
    "consilience.v1.Rebuttal": "signing_key",
    "consilience.v1.Advisory": "author",
    "consilience.v1.KeyAcceptance": "new_node_id",
    "consilience.v1.ReviewTicket": "signing_key",
    "consilience.v1.PaymentAttestation": "signing_key",
}
"""Who signs is compared before the rules of fields are."""


def _broken(message: Message, breakage: Breakage) -> Message:
    """Returns a message with one rule broken."""
    broken = message_class(message.DESCRIPTOR.full_name).FromString(message.SerializeToString())
    breakage.change(broken)
    return broken


def _of_kind(kind: Kind) -> Iterator[Spoilt]:
    for one in breakages(kind.payload_type):

        def make(cast: Cast, one: Breakage = one) -> registry_pb2.Record:
            signed = kind.signs(cast).seal(_broken((kind.full or kind.make)(cast), one))
            return record_of(signed, card=kind.card(cast))

        yield Spoilt(
            name=f"with {one.name.strip()}",
            reason="" if _is_of_a_later_version(kind, one) else _reason(kind.payload_type, one),
            make=make,
            requirement=_RULE,
            look=names_the_field(one),
        )


def _is_of_a_later_version(kind: Kind, breakage: Breakage) -> bool:
    """Tells whether a breakage is an enum value that this version does not have, which is no breach in a card."""
    return kind is CARD and breakage.rule == "enum.defined_only"


def _reason(payload_type: str, breakage: Breakage) -> str:
    return "SIGNER_WRONG" if breakage.path == _SIGNERS[payload_type] else "FIELD_INVALID"


def _within(what: str, payload_type: str, put: Callable[[Cast, Breakage], registry_pb2.Record]) -> Iterator[Spoilt]:
    """Yields a record for each rule of what is signed within it; where in the record that stands, no path tells."""
    for one in breakages(payload_type):

        def make(cast: Cast, one: Breakage = one) -> registry_pb2.Record:
            return put(cast, one)

        name = f"whose {what} has {one.name.strip()}"
        yield Spoilt(name=name, reason=_reason(payload_type, one), make=make, requirement=_RULE)


def _acceptance(cast: Cast, breakage: Breakage) -> registry_pb2.Record:
    acceptance = cast.node.successor.seal(_broken(cast.node.acceptance(), breakage))
    succession = node_pb2.KeySuccession(old_node_id=cast.node.node_id, acceptance=acceptance)
    return record_of(cast.node.root.seal(succession), card=cast.node.sealed_card())


def _ticket(cast: Cast, breakage: Breakage) -> registry_pb2.Record:
    return _reviewed(cast, "ticket", cast.node.root.seal(_broken(cast.ticket.value, breakage)))


def _attestation(cast: Cast, breakage: Breakage) -> registry_pb2.Record:
    attestation = cast.node.attestation(cast.ticket)
    return _reviewed(cast, "attestation", cast.node.root.seal(_broken(attestation, breakage)))


def _reviewed(cast: Cast, name: str, broken: SignedEnvelope) -> registry_pb2.Record:
    review = cast.ticket.review()
    getattr(review, name).CopyFrom(broken)
    return record_of(cast.reviewer.seal(review))


def _beyond_fields(name: str, change: Callable[[node_pb2.NodeCard, Caller], None]) -> Spoilt:
    """Returns a card that breaks what section 1.2 wants besides."""

    def make(cast: Cast) -> registry_pb2.Record:
        card = cast.node.card()
        change(card, cast.node.root)
        return record_of(cast.node.root.seal(card))

    return Spoilt(name=name, reason="FIELD_INVALID", make=make)


def _let_a_key_live(card: node_pb2.NodeCard, _: Caller) -> None:
    card.signing_keys[0].expire_time.FromMicroseconds(card.sequence + 30 * 24 * 3600 * 10**6 + 1)


def _serve_plainly(card: node_pb2.NodeCard, _: Caller) -> None:
    card.endpoints[0].uri = "http://192.0.2.7:7341"
    card.endpoints[0].tls_mode = node_pb2.TLS_MODE_LOOPBACK_PLAIN


_CARDS = (
    _beyond_fields("with a key that lives too long", _let_a_key_live),
    _beyond_fields("with a plain endpoint elsewhere", _serve_plainly),
)

CHECKS = (
    record_twins(
        "a-record-that-breaks-a-rule-is-refused",
        title="A record is refused when a field breaks its declared rule, and the field is named.",
        spoilt={kind: [*_of_kind(kind), *(_CARDS if kind is CARD else ())] for kind in KINDS},
        requirements=("ERR-STAT-003",),
    ),
    record_twins(
        "a-record-with-a-broken-rule-in-it-is-refused",
        title="A record is refused when a field of a ticket, attestation or acceptance in it breaks its declared rule.",
        spoilt={
            SUCCESSION: [*_within("acceptance", "consilience.v1.KeyAcceptance", _acceptance)],
            REVIEW: [
                *_within("ticket", "consilience.v1.ReviewTicket", _ticket),
                *_within("attestation", "consilience.v1.PaymentAttestation", _attestation),
            ],
        },
    ),
)
