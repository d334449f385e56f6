"""Makes records.json: what may be kept, whose it is, in which slot and until when.

What has to hold of reviews besides stands in `reviewed`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from google.protobuf.message import Message

from consilience.v1 import node_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience.v1.registry_pb2 import Record
from consilience_conformance import envelopes
from consilience_conformance.vectors.generator import messages, reviewed, reviews
from consilience_conformance.vectors.generator.actors import (
    ASKER,
    NEXT_ROOT,
    NODE,
    OTHER_NODE,
    SIGNING_KEY,
    STRANGER,
    Actor,
    fixed_bytes,
    timestamp,
)
from consilience_conformance.vectors.generator.layout import BugType, Case, Group, Note, VectorFile
from consilience_conformance.vectors.generator.record_cases import (
    DAY,
    ENDED,
    FIELD,
    FUTURE,
    KEY_OF_REBUTTAL,
    MICROSECOND,
    NOW,
    SIGNATURE,
    SIGNER,
    SUCCESSION,
    TYPE,
    Place,
    changed,
    kept,
    refused,
    sealed_card,
    setting,
)

_NOTES = {
    "Place": Note(bug_type=BugType.DISAGREEMENT, description="Whose a record is, in which slot, and until when."),
    "End": Note(bug_type=BugType.DISAGREEMENT, description="A review ends by its ticket, whenever it was written."),
    "Type": Note(bug_type=BugType.MISSING_CHECK, description="A signed object that nobody keeps."),
    "Envelope": Note(bug_type=BugType.AUTH_BYPASS, description="Somebody else signed than the record says."),
    "Fields": Note(bug_type=BugType.MISSING_CHECK, description="A field breaks its rules."),
    "Future": Note(bug_type=BugType.BOUNDARY, description="30 seconds is the most by which clocks may differ."),
    "Ended": Note(bug_type=BugType.BOUNDARY, description="What ends now has ended; a card has 30 seconds."),
    "Opening": Note(bug_type=BugType.AUTH_BYPASS, description="The ticket does not open for this reviewer and salt."),
    "Script": Note(bug_type=BugType.MISSING_CHECK, description="What a tester wrote itself is not reviewed."),
    "Day": Note(bug_type=BugType.BOUNDARY, description="No review is older than the day of its ticket."),
    "Attestation": Note(bug_type=BugType.AUTH_BYPASS, description="The payment of another answer, or node."),
    "Key": Note(bug_type=BugType.AUTH_BYPASS, description="Nothing shows that the key signs for the node."),
    "KeyTime": Note(
        bug_type=BugType.BOUNDARY,
        description="The key had not expired at the time, and the card is no more than a day newer.",
    ),
    "NodeKey": Note(bug_type=BugType.DISAGREEMENT, description="The root key signs for its node, without any card."),
    "NotCommitted": Note(bug_type=BugType.AUTH_BYPASS, description="No card commits to the key that takes over."),
    "Order": Note(bug_type=BugType.WRONG_ORDER, description="Two things are wrong, and the first one is told."),
}
_SKEW = timedelta(seconds=30)
_WEIGHTS = fixed_bytes("weights of a model", size=32)
_ADVISORY_END = reviews.REVIEW_TIME + timedelta(days=30)


def make() -> VectorFile:
    """Returns the file."""
    return VectorFile(
        name="records",
        subject="Records: which ones may be kept, whose they are, in which slot and until when.",
        spec="docs/spec/4-reviews.md",
        notes=_NOTES,
        groups=[
            Group(
                type="RecordCheck",
                comment="A record of each type, and the clock of its reader",
                cases=[
                    *_places(),
                    *_strange_envelopes(),
                    *_broken_fields(),
                    *_times(),
                    *_rebuttals(),
                    *_successions(),
                ],
            ),
            Group(type="RecordCheck", comment="A review, and the clock of its reader", cases=[*reviewed.cases()]),
        ],
    )


def _sealed(message: Message, *, by: Actor = ASKER) -> SignedEnvelope:
    return envelopes.seal(message, seed=by.seed)


def _record(message: Message, *, by: Actor = ASKER) -> Record:
    return reviews.record(_sealed(message, by=by))


def _advisory_place(advisory: SignedEnvelope, *, subject: bytes = NODE.public_key) -> Place:
    return Place(
        author=ASKER.public_key,
        subject=subject,
        slot=envelopes.envelope_digest(advisory),
        issued=reviews.REVIEW_TIME,
        end=_ADVISORY_END,
        quota=1000,
    )


def _place_of_card() -> Place:
    return Place(
        author=NODE.public_key,
        subject=NODE.public_key,
        slot=NODE.public_key,
        issued=messages.CARD_ISSUE_TIME,
        end=messages.CARD_ISSUE_TIME + timedelta(days=7),
        quota=1,
    )


def _place_of_rebuttal() -> Place:
    issued = reviews.REVIEW_TIME + timedelta(minutes=20)
    return Place(
        author=NODE.public_key,
        subject=NODE.public_key,
        slot=envelopes.envelope_digest(reviews.sealed_ticket()),
        issued=issued,
        end=issued + reviews.LIFETIME,
        quota=10_000,
    )


def _place_of_succession() -> Place:
    return Place(
        author=NODE.public_key,
        subject=NODE.public_key,
        slot=NODE.public_key,
        issued=reviews.REVIEW_TIME,
        end=None,
        quota=1,
    )


def _places() -> Iterator[Case]:
    yield kept("a card", "Place", reviews.record(messages.sealed_card()), _place_of_card())
    yield kept("a succession", "Place", _handed_over(), _place_of_succession())
    yield kept("a rebuttal", "Place", reviews.shown(reviews.rebuttal(), by=SIGNING_KEY), _place_of_rebuttal())
    advisory = _sealed(reviews.advisory())
    yield kept("an advisory on a node", "Place", reviews.record(advisory), _advisory_place(advisory))
    of_model = _sealed(changed(reviews.advisory(), setting(node_id=b"", weights_digest=_WEIGHTS)))
    place = _advisory_place(of_model, subject=_WEIGHTS)
    yield kept("an advisory on a model", "Place", reviews.record(of_model), place)
    retraction = reviews.retraction()
    issued = reviews.REVIEW_TIME + timedelta(minutes=10)
    place = Place(
        author=ASKER.public_key,
        subject=NODE.public_key,
        slot=envelopes.envelope_digest(reviews.sealed_ticket()),
        issued=issued,
        end=reviews.REVIEW_END,
        quota=10_000,
    )
    yield kept("a retraction of a review", "Place", _record(retraction), place)
    retraction.target_type = review_pb2.RECORD_TYPE_ADVISORY
    retraction.target_digest = envelopes.envelope_digest(of_model)
    retraction.subject = _WEIGHTS
    place = Place(
        author=ASKER.public_key,
        subject=_WEIGHTS,
        slot=retraction.target_digest,
        issued=issued,
        end=reviews.REVIEW_END,
        quota=1000,
    )
    yield kept("a retraction of an advisory on a model", "Place", _record(retraction), place)


def _strange_envelopes() -> Iterator[Case]:
    yield refused("a ticket", "Type", reviews.record(reviews.sealed_ticket()), TYPE)
    yield refused("an ask", "Type", reviews.record(messages.sealed_ask()), TYPE)
    advisory = _sealed(reviews.advisory())
    yield refused("an advisory that a stranger signed", "Envelope", _record(reviews.advisory(), by=STRANGER), SIGNER)
    advisory.payload = changed(reviews.advisory(), setting(summary="It is harmless.")).SerializeToString()
    yield refused("an advisory that was changed", "Envelope", reviews.record(advisory), SIGNATURE)
    retraction = _record(reviews.retraction(), by=STRANGER)
    yield refused("a retraction that somebody else signed", "Envelope", retraction, SIGNER)
    rebuttal = reviews.shown(reviews.rebuttal(), by=NODE)
    yield refused("a rebuttal that another key signed than it names", "Envelope", rebuttal, SIGNER)
    yield refused("a card that its signing key signed", "Envelope", _record(messages.card(), by=SIGNING_KEY), SIGNER)
    yield refused("a succession that the new key alone signed", "Envelope", _handed_over(by=NEXT_ROOT), SIGNER)
    yield refused("a succession that the new key did not accept", "Envelope", _handed_over(accepted_by=NODE), SIGNER)


def _broken_fields() -> Iterator[Case]:
    end = reviews.REVIEW_TIME + reviews.LIFETIME
    longest = _sealed(changed(reviews.advisory(), setting(expire_time=timestamp(end))))
    place = Place(
        author=ASKER.public_key,
        subject=NODE.public_key,
        slot=envelopes.envelope_digest(longest),
        issued=reviews.REVIEW_TIME,
        end=end,
        quota=1000,
    )
    yield kept("an advisory for 730 days", "Fields", reviews.record(longest), place)
    for comment, change in (
        ("an advisory for longer than 730 days", setting(expire_time=timestamp(end + MICROSECOND))),
        ("an advisory that ends as it begins", setting(expire_time=timestamp(reviews.REVIEW_TIME))),
        ("an advisory on a node and a model", setting(weights_digest=_WEIGHTS)),
        ("an advisory on nobody", setting(node_id=b"")),
        ("an advisory on a skill of a model", setting(node_id=b"", weights_digest=_WEIGHTS, skill_id="units.convert")),
        ("an advisory of no category", setting(category=review_pb2.ADVISORY_CATEGORY_UNSPECIFIED)),
    ):
        yield refused(comment, "Fields", _record(changed(reviews.advisory(), change)), FIELD)
    of_rebuttal = changed(reviews.retraction(), setting(target_type=review_pb2.RECORD_TYPE_REBUTTAL))
    yield refused("a retraction of a rebuttal", "Fields", _record(of_rebuttal), FIELD)
    silent = reviews.shown(changed(reviews.rebuttal(), setting(comment="")), by=SIGNING_KEY)
    yield refused("a rebuttal that says nothing", "Fields", silent, FIELD)
    bare = changed(messages.card(), lambda card: card.ClearField("profiles"))
    bare.profiles.append(node_pb2.PROFILE_DURABLE)
    yield refused("a card without the profile core", "Fields", _record(bare, by=NODE), FIELD)
    lasting = messages.card()
    lasting.signing_keys[0].expire_time.CopyFrom(timestamp(messages.CARD_ISSUE_TIME + 30 * DAY + MICROSECOND))
    yield refused("a card with a key for longer than 30 days", "Fields", _record(lasting, by=NODE), FIELD)


def _times() -> Iterator[Case]:
    advisory = reviews.advisory()
    record, place = _record(advisory), _advisory_place(_sealed(advisory))
    begin, end = reviews.REVIEW_TIME, _ADVISORY_END
    yield kept("an advisory 30 s before its issue", "Future", record, place, now=begin - _SKEW)
    yield refused(
        "an advisory more than 30 s before its issue", "Future", record, FUTURE, now=begin - _SKEW - MICROSECOND
    )
    yield kept("an advisory a microsecond before its end", "Ended", record, place, now=end - MICROSECOND)
    yield refused("an advisory at its end", "Ended", record, ENDED, now=end)
    card, issued = reviews.record(messages.sealed_card()), messages.CARD_ISSUE_TIME
    late = issued + timedelta(days=7) + _SKEW
    yield kept("a card 30 s before its issue", "Future", card, _place_of_card(), now=issued - _SKEW)
    yield refused("a card more than 30 s before its issue", "Future", card, FUTURE, now=issued - _SKEW - MICROSECOND)
    yield kept("a card 30 s after its end", "Ended", card, _place_of_card(), now=late)
    yield refused("a card more than 30 s after its end", "Ended", card, ENDED, now=late + MICROSECOND)
    rebuttal, place = reviews.shown(reviews.rebuttal(), by=SIGNING_KEY), _place_of_rebuttal()
    end = place.issued + reviews.LIFETIME
    yield kept("a rebuttal a microsecond before its end", "Ended", rebuttal, place, now=end - MICROSECOND)
    yield refused("a rebuttal at its end", "Ended", rebuttal, ENDED, now=end)
    retraction = _record(reviews.retraction())
    yield refused("a retraction at its end", "Ended", retraction, ENDED, now=reviews.REVIEW_END)
    yield kept("a succession after a century", "Ended", _handed_over(), _place_of_succession(), now=NOW + 36525 * DAY)
    future = _record(changed(reviews.advisory(), setting(summary="")))
    yield refused("of the future, and a field is broken", "Order", future, FIELD, now=begin - DAY)
    ended = reviews.record(_sealed(reviews.rebuttal(), by=SIGNING_KEY))
    yield refused("ended, and nothing shows the key", "Order", ended, ENDED, now=end)


def _rebuttals() -> Iterator[Case]:
    by_root = _sealed(reviews.rebuttal(signing_key=NODE), by=NODE)
    yield kept("a rebuttal by the root key", "NodeKey", reviews.record(by_root), _place_of_rebuttal())
    said, issued = _sealed(reviews.rebuttal(), by=SIGNING_KEY), reviews.REVIEW_TIME + timedelta(minutes=20)
    yield refused("a rebuttal without a card", "Key", reviews.record(said), KEY_OF_REBUTTAL)
    forged = reviews.shown(reviews.rebuttal(signing_key=STRANGER), by=STRANGER)
    yield refused("a rebuttal by a stranger", "Key", forged, KEY_OF_REBUTTAL)
    of_other = reviews.shown(changed(reviews.rebuttal(), setting(node_id=OTHER_NODE.public_key)), by=SIGNING_KEY)
    yield refused("a rebuttal of another node", "Key", of_other, KEY_OF_REBUTTAL)
    for comment, expiry, ends in (
        ("a rebuttal in the instant in which its key expires", issued, False),
        ("a rebuttal a microsecond after its key expired", issued - MICROSECOND, True),
    ):
        card = messages.card()
        card.signing_keys[0].expire_time.CopyFrom(timestamp(expiry))
        record = reviews.record(said, card=_sealed(card, by=NODE))
        if ends:
            yield refused(comment, "KeyTime", record, KEY_OF_REBUTTAL)
        else:
            yield kept(comment, "KeyTime", record, _place_of_rebuttal())
    later = _sealed(messages.card(issue_time=issued + DAY), by=NODE)
    record = reviews.record(said, card=later)
    yield kept("a rebuttal beside a card of a day later", "KeyTime", record, _place_of_rebuttal())
    later = _sealed(messages.card(issue_time=issued + DAY + MICROSECOND), by=NODE)
    record = reviews.record(said, card=later)
    yield refused("a rebuttal beside a card of more than a day later", "KeyTime", record, KEY_OF_REBUTTAL)


def _handed_over(
    *,
    by: Actor = NODE,
    accepted_by: Actor | None = None,
    to: Actor = NEXT_ROOT,
    of: Actor = NODE,
    card: SignedEnvelope | None = None,
) -> Record:
    """Returns a succession beside a card, the node's usual one if no other is given."""
    acceptance = changed(reviews.acceptance(), setting(new_node_id=to.public_key, old_node_id=of.public_key))
    accepted = _sealed(acceptance, by=accepted_by or to)
    said = _sealed(reviews.succession(accepted=accepted), by=by)
    return reviews.record(said, card=card or messages.sealed_card())


def _successions() -> Iterator[Case]:
    at_once = _sealed(messages.card(issue_time=reviews.REVIEW_TIME), by=NODE)
    yield kept(
        "a succession in the instant of its card", "NotCommitted", _handed_over(card=at_once), _place_of_succession()
    )
    later = _sealed(messages.card(issue_time=reviews.REVIEW_TIME + MICROSECOND), by=NODE)
    alone = reviews.record(_handed_over().object)
    other = envelopes.seal(changed(messages.card(), setting(node_id=OTHER_NODE.public_key)), seed=OTHER_NODE.seed)
    for comment, record in (
        ("a succession before its card", _handed_over(card=later)),
        ("a succession without a card", alone),
        ("a succession beside the card of another node", _handed_over(card=other)),
        ("a succession to another key", _handed_over(to=STRANGER)),
        ("a succession that was accepted of another node", _handed_over(of=OTHER_NODE)),
        (
            "a succession beside a card that commits to nobody",
            _handed_over(card=sealed_card(setting(next_root_digest=b""))),
        ),
        ("a succession beside a forged card", _handed_over(card=sealed_card(lambda _: None, by=STRANGER))),
    ):
        yield refused(comment, "NotCommitted", record, SUCCESSION)
