"""Mutants of records: what a registry admits (spec section 4.4, steps 1 to 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

from sqlalchemy import delete

from consilience import envelopes
from consilience._wire import convert
from consilience._wire import records as wire
from consilience.errors import RecordExpiredError, RecordNotYetValidError, TicketInvalidError
from consilience.nodes import KeyAcceptance, KeySuccession, NodeCard
from consilience.reviews import (
    Advisory,
    PaymentAttestation,
    Placed,
    PublishOutcome,
    Rebuttal,
    Retraction,
    Review,
    ReviewTicket,
    records,
)
from consilience.reviews import statements as fields
from consilience.server.registry import intake, statements
from consilience.server.registry.schema import RECORDS
from consilience.units import CardSequence, card_sequence, utc_now
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]

_KEPT = (KeySuccession, Review, Retraction, Rebuttal, Advisory)
_WITHIN = (KeyAcceptance, ReviewTicket, PaymentAttestation)


@mutant("known-records-are-stored-again")
def _known_records_are_stored_again() -> None:
    """A registry says of a record that it knows that it was taken in."""

    def forgetful(admit: Make) -> Make:
        def admitted(*arguments: Any, **more: Any) -> Any:
            outcomes = admit(*arguments, **more)
            return tuple(PublishOutcome.STORED if one is PublishOutcome.KNOWN else one for one in outcomes)

        return admitted

    replace(statements, "admit", forgetful)


@mutant("reviews-are-lost")
def _reviews_are_lost() -> None:
    """A registry says that it took a review in, and keeps nothing."""

    def losing(admit: Make) -> Make:
        def admitted(connection: Any, placed: Any, *, serial: int, **more: Any) -> Any:
            outcome = admit(connection, placed, serial=serial, **more)
            if isinstance(placed.record.object.value, Review):
                connection.execute(delete(RECORDS).where(RECORDS.c.serial == serial))
            return outcome

        return admitted

    replace(statements, "_admit", losing)


@mutant("records-of-any-size")
def _records_of_any_size() -> None:
    """A record may be as large as it likes."""
    replace(wire, "MAX_RECORD_BYTES", lambda _: 2**31)


def _unverified(types: tuple[type, ...]) -> None:
    """Takes the signatures of these types for good, whatever they are."""
    names = {convert.full_name(one) for one in types}

    def lenient(verify: Make) -> Make:
        def verified(envelope: Any, *, payload_type: str) -> None:
            if payload_type not in names:
                verify(envelope, payload_type=payload_type)

        return verified

    replace(envelopes, "verify", lenient)


@mutant("records-unverified")
def _records_unverified() -> None:
    """The signature of a record is not looked at, but for that of a card."""
    _unverified(_KEPT)


@mutant("tickets-unverified")
def _tickets_unverified() -> None:
    """The signatures of tickets, attestations and acceptances are not looked at."""
    _unverified(_WITHIN)


@mutant("fields-of-records-unchecked")
def _fields_of_records_unchecked() -> None:
    """Whatever a statement says is taken in."""
    replace(records, "check_statement", lambda _: lambda *_, **__: None)


@mutant("fields-of-cards-unchecked")
def _fields_of_cards_unchecked() -> None:
    """A card is taken in whose fields break their rules."""
    replace(records, "card_violations", lambda _: lambda *_, **__: ())


@mutant("fields-of-tickets-unchecked")
def _fields_of_tickets_unchecked() -> None:
    """A ticket may break the rules of its fields."""
    replace(fields, "ticket_violations", lambda _: lambda *_, **__: ())


@mutant("records-from-the-future-ok")
def _records_from_the_future_ok() -> None:
    """Clocks may be off by a day, but for those of cards."""
    replace(records, "MAX_CLOCK_SKEW", lambda _: timedelta(days=1))


@mutant("ended-records-ok")
def _ended_records_ok() -> None:
    """A record is taken in after its end."""

    def late(place_of: Make) -> Make:
        def place(record: Any, *, now: Any) -> Any:
            try:
                return place_of(record, now=now)
            except RecordExpiredError:
                return changed(records._place(record), end=now + timedelta(days=1))

        return place

    replace(intake, "place_of", late)


@mutant("times-before-fields")
def _times_before_fields() -> None:
    """Whether a record is from the future is checked before its fields are."""

    def hasty(place_of: Make) -> Make:
        def place(record: Any, *, now: Any) -> Any:
            issued = getattr(record.object.value, "issue_time", now)
            if issued - now > timedelta(seconds=30):
                raise RecordNotYetValidError("the record was issued in the future")
            return place_of(record, now=now)

        return place

    replace(intake, "place_of", hasty)


def _ticket_without(words: str) -> None:
    """Leaves out the check of tickets that says this."""

    def forgiving(check: Make) -> Make:
        def checked(review: Any) -> None:
            try:
                check(review)
            except TicketInvalidError as error:
                if words not in str(error):
                    raise

        return checked

    replace(records, "_check_ticket", forgiving)


@mutant("tickets-of-anybody")
def _tickets_of_anybody() -> None:
    """A review need not open its ticket."""
    _ticket_without("does not open")


@mutant("scripts-are-reviewed")
def _scripts_are_reviewed() -> None:
    """A scripted answer is reviewed as any other."""
    _ticket_without("are not reviewed")


@mutant("reviews-before-their-tickets")
def _reviews_before_their_tickets() -> None:
    """A review may be older than its ticket."""
    _ticket_without("older than its ticket")


@mutant("attestations-of-other-tickets")
def _attestations_of_other_tickets() -> None:
    """A review may carry the attestation of another ticket, or of another node."""
    _ticket_without("of another ticket")


@mutant("refused-reviews-are-kept")
def _refused_reviews_are_kept() -> None:
    """A review that opens no ticket is refused, and kept all the same."""

    def keeping(admit: Make) -> Make:
        async def admitted(self: Any, brought: Any) -> Any:
            admissions = await admit(self, brought)
            for record, admission in zip(brought, admissions, strict=True):
                if isinstance(admission, TicketInvalidError):
                    opened = wire.open_record(record)
                    placed = Placed(record=opened, place=records._place(opened))
                    await self._store.admit([placed], now=utc_now())
            return admissions

        return admitted

    replace(intake.Intake, "admit", keeping)


@mutant("any-key-signs-for-a-node")
def _any_key_signs_for_a_node() -> None:
    """Nobody asks whether a key signs for the node that it names."""
    replace(records, "check_signing_key", lambda _: lambda *_, **__: None)


@mutant("cards-show-keys-of-any-time")
def _cards_show_keys_of_any_time() -> None:
    """A key that a card lists signs for the node at any time."""

    def timeless(check: Make) -> Make:
        def checked(node_id: Any, key: Any, *, at: Any, card: Any, what: str) -> None:
            listed = (
                card is not None
                and card.value.node_id == node_id
                and any(one.public_key == key for one in card.value.signing_keys)
            )
            if not listed:
                check(node_id, key, at=at, card=card, what=what)

        return checked

    replace(records, "check_signing_key", timeless)


@mutant("own-card-unused")
def _own_card_unused() -> None:
    """What comes without a card is not checked with the one that is there."""

    def without(_: Make) -> Make:
        async def own_card(*_: Any, **__: Any) -> None:
            return None

        return own_card

    replace(intake.Intake, "_own_card", without)


@mutant("succession-without-commitment")
def _succession_without_commitment() -> None:
    """A root key whose card commits to nobody is succeeded by anybody."""

    def lenient(check: Make) -> Make:
        def checked(succession: Any, *, card: Any) -> None:
            if card.value.next_root_digest:
                check(succession, card=card)

        return checked

    replace(records, "check_commitment", lenient)


@mutant("succession-on-a-later-card")
def _succession_on_a_later_card() -> None:
    """The card that shows a succession may have been issued after it, if only at a time that there is."""

    def early(check: Make) -> Make:
        def checked(succession: Any, *, card: Any) -> None:
            value = None if card is None else card.value
            if isinstance(value, NodeCard) and value.sequence <= card_sequence(records.NEVER):
                card = changed(card, value=changed(value, sequence=CardSequence(1)))
            check(succession, card=card)

        return checked

    replace(records, "_check_succession", early)


@mutant("own-card-has-no-say")
def _own_card_has_no_say() -> None:
    """A succession is held against the card beside it alone, though the registry has a newer one."""
    replace(intake, "check_commitment", lambda _: lambda *_, **__: None)
