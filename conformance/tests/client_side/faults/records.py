"""Faults in admitting what registries serve: steps 1 to 5 of spec section 4.4, and the card beside a record."""

import dataclasses
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from conformance.tests.client_side.faults.registry import fault, replace
from consilience import envelopes
from consilience._wire import convert
from consilience._wire import records as wire_records
from consilience.client.reviews import verifying
from consilience.envelopes import Signed
from consilience.errors import (
    PayloadTypeWrongError,
    RefusedError,
    SignatureInvalidError,
    SignatureMissingError,
    SignerWrongError,
)
from consilience.nodes import KeySuccession, NodeCard, selection
from consilience.reviews import Advisory, OpenRecord, Rebuttal, Record, RecordType, Retraction, Review, records
from consilience.units import card_sequence

_KINDS: tuple[type, ...] = (NodeCard, KeySuccession, Review, Retraction, Rebuttal, Advisory)


@fault("reads-large-records")
def _reads_large_records() -> None:
    replace(wire_records, "MAX_RECORD_BYTES", lambda _: 1 << 30)
    replace(selection, "MAX_CARD_BYTES", lambda _: 1 << 30)


def _opens(name: str, overlooked: type[RefusedError]) -> None:
    """Registers the fault of a client that opens a record all the same."""

    def apply() -> None:
        def make(open_record: Callable[[Record], OpenRecord]) -> Callable[[Record], OpenRecord]:
            def lenient(record: Record) -> OpenRecord:
                try:
                    return open_record(record)
                except overlooked:
                    bare = OpenRecord(object=Signed(value=_parsed(record), envelope=record.object))
                    return bare if record.card is None else bare.resting_on(wire_records._open_card(record.card))

            return lenient

        replace(verifying, "open_record", make)

    fault(name)(apply)


def _parsed(record: Record) -> Any:
    """Returns what the payload is, whatever the envelope calls it."""
    named = [kind for kind in _KINDS if convert.full_name(kind) == record.object.payload_type]
    for kind in named or _KINDS:
        try:
            return convert.parse(record.object.payload, kind)
        except RefusedError:
            continue
    raise PayloadTypeWrongError("it is nothing that registries keep")


_opens("takes-unsigned-records", SignatureMissingError)
_opens("takes-forged-records", SignatureInvalidError)
_opens("takes-records-under-any-name", PayloadTypeWrongError)
_opens("takes-records-signed-by-anybody", SignerWrongError)


@fault("overlooks-signatures-in-records")
def _overlooks_signatures_in_records() -> None:
    names = [f"consilience.v1.{name}" for name in ("ReviewTicket", "PaymentAttestation", "KeyAcceptance")]
    signed = tuple(f"DSSEv1 {len(name)} {name} ".encode() for name in names)

    def make(valid: Any) -> Any:
        return lambda signature, *, message, public_key: (
            message.startswith(signed) or valid(signature, message=message, public_key=public_key)
        )

    replace(envelopes, "signature_is_valid", make)


@fault("overlooks-fields-of-statements")
def _overlooks_fields_of_statements() -> None:
    replace(records, "check_statement", lambda _: lambda _: None)


@fault("overlooks-fields-of-found-cards")
def _overlooks_fields_of_found_cards() -> None:
    replace(records, "card_violations", lambda _: lambda _: ())


@fault("counts-what-comes-from-the-future")
def _counts_what_comes_from_the_future() -> None:
    replace(records, "MAX_CLOCK_SKEW", lambda _: timedelta(days=1))
    _overlooks_in_cards(lambda card, now: {"sequence": min(card.sequence, card_sequence(now))})


@fault("finds-nodes-without-core")
def _finds_nodes_without_core() -> None:
    _overlooks_in_cards(lambda card, _: {"profiles": (*card.profiles, 1)})


def _overlooks_in_cards(right: Any) -> None:
    """Checks cards that are found as if some of their fields were right."""

    def make(check: Any) -> Any:
        def lenient(card: Any, *, now: Any) -> None:
            value = dataclasses.replace(card.value, **right(card.value, now))
            check(dataclasses.replace(card, value=value), now=now)

        return lenient

    replace(records, "check_card", make)


@fault("finds-expired-nodes")
def _finds_expired_nodes() -> None:
    def make(open_record: Any) -> Any:
        def lasting(record: Record) -> Any:
            opened = open_record(record)
            if not isinstance(opened.object.value, NodeCard):
                return opened
            value = dataclasses.replace(opened.object.value, expire_time=opened.object.value.expire_time + _DAY)
            return dataclasses.replace(opened, object=dataclasses.replace(opened.object, value=value))

        return lasting

    replace(verifying, "open_record", make)


def _never_ends(name: str, kind: RecordType) -> None:
    """Registers the fault of a client for which records of a type never end."""

    def apply() -> None:
        def make(place: Any) -> Any:
            def lasting(record: Any) -> Any:
                placed = place(record)
                return dataclasses.replace(placed, end=records.NEVER) if placed.type is kind else placed

            return lasting

        replace(records, "_place", make)

    fault(name)(apply)


_DAY = timedelta(days=1)
_never_ends("counts-expired-reviews", RecordType.REVIEW)
_never_ends("reads-expired-retractions", RecordType.RETRACTION)
_never_ends("reads-expired-rebuttals", RecordType.REBUTTAL)
_never_ends("heeds-expired-advisories", RecordType.ADVISORY)


@fault("checks-a-record-once")
def _checks_a_record_once() -> None:
    def make(has_ended: Any) -> Any:
        checked: dict[bytes, bool] = {}

        def once(place: records.Place, *, now: Any) -> bool:
            if place.digest not in checked:
                checked[place.digest] = has_ended(place, now=now)
            return checked[place.digest]

        return once

    replace(records.Place, "has_ended", make)


@fault("overlooks-signatures-of-cards-beside")
def _overlooks_signatures_of_cards_beside() -> None:
    def make(open_card: Any) -> Any:
        return lambda card: open_card(card) or Signed(value=convert.parse(card.payload, NodeCard), envelope=card)

    replace(wire_records, "_open_card", make)


@fault("reads-large-cards-beside")
def _reads_large_cards_beside() -> None:
    for module in (wire_records, records):
        replace(module, "MAX_CARD_BYTES", lambda _: 1 << 30)


def _overlooks_in_cards_beside(name: str, right: Any) -> None:
    """Registers the fault of a client that checks keys by a card beside as if some of its fields were right."""

    def apply() -> None:
        def make(check: Any) -> Any:
            def lenient(node_id: Any, key: Any, *, at: Any, card: Any, what: str) -> None:
                if card is not None:
                    value = dataclasses.replace(card.value, **right(card.value, node_id, at))
                    card = dataclasses.replace(card, value=value)
                check(node_id, key, at=at, card=card, what=what)

            return lenient

        replace(records, "check_signing_key", make)

    fault(name)(apply)


_overlooks_in_cards_beside("overlooks-whose-card-stands-beside", lambda _, node_id, __: {"node_id": node_id})
_overlooks_in_cards_beside("overlooks-when-a-card-beside-was-issued", lambda _, __, at: {"sequence": card_sequence(at)})
_overlooks_in_cards_beside(
    "overlooks-when-a-key-of-a-card-beside-ends",
    lambda card, _, at: {
        "signing_keys": tuple(dataclasses.replace(key, expire_time=at + _DAY) for key in card.signing_keys)
    },
)


@fault("needs-no-card-beside")
def _needs_no_card_beside() -> None:
    def make(check: Any) -> Any:
        return lambda *named, card, **rest: None if card is None else check(*named, card=card, **rest)

    replace(records, "check_signing_key", make)


@fault("overlooks-who-signs-for-a-node")
def _overlooks_who_signs_for_a_node() -> None:
    replace(records, "check_signing_key", lambda _: lambda *_, **__: None)


@fault("overlooks-who-attests")
def _overlooks_who_attests() -> None:
    replace(records, "_node_keys", lambda keys: lambda review: list(keys(review))[:1])
