"""Records of each type, signed, as tests of rules, stores and registries want them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from consilience import nodes, reviews
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.identity import KeyPair, next_root_digest
from consilience.reviews.tickets import day_of
from consilience.units import Digest, card_sequence

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LIMITS = nodes.Limits(
    max_message_bytes=1 << 20,
    max_turns=8,
    max_input_bytes=1 << 16,
    max_running_asks=4,
    max_running_asks_per_caller=4,
    max_run_time=timedelta(minutes=1),
    answer_retention=timedelta(minutes=10),
    max_readers_per_answer=4,
)


def key(name: str) -> KeyPair:
    """Returns the key of a name, always the same."""
    return KeyPair(name.encode().ljust(32, b".")[:32])


@dataclass(frozen=True, slots=True, kw_only=True)
class TestNode:
    """A node with a root key, a signing key, and a key that may succeed the root."""

    __test__ = False

    root: KeyPair
    signing: KeyPair
    next_root: KeyPair

    @classmethod
    def named(cls, name: str) -> "TestNode":
        """Returns the node of a name."""
        return cls(root=key(f"root of {name}"), signing=key(f"signs for {name}"), next_root=key(f"succeeds {name}"))

    def card(
        self, *, issued: datetime = NOW - HOUR, skills: Iterable[nodes.Skill] | None = None, **changes: Any
    ) -> Signed[nodes.NodeCard]:
        """Returns a card that lives for a week."""
        described: dict[str, Any] = {
            "node_id": self.root.public_key,
            "sequence": card_sequence(issued),
            "expire_time": issued + 7 * DAY,
            "name": "units",
            "next_root_digest": next_root_digest(self.next_root.public_key),
            "signing_keys": (nodes.SigningKey(public_key=self.signing.public_key, expire_time=issued + 20 * DAY),),
            "endpoints": (nodes.Endpoint(uri="https://node.example:7341", tls_mode=nodes.TlsMode.WEBPKI),),
            "skills": (nodes.Skill(id="units.convert", domains=("units",)),) if skills is None else tuple(skills),
            "limits": LIMITS,
            "data_policy": nodes.DataPolicy(max_data_class=nodes.DataClass.INTERNAL),
        }
        return envelopes.seal(nodes.NodeCard(**(described | changes)), signer=self.root)

    def ticket(
        self,
        *,
        reviewer: KeyPair,
        salt: bytes,
        at: datetime = NOW - HOUR,
        signer: KeyPair | None = None,
        **changes: Any,
    ) -> Signed[reviews.ReviewTicket]:
        """Returns a ticket for a reviewer, signed by the signing key unless another one is named."""
        signer = signer or self.signing
        described: dict[str, Any] = {
            "node_id": self.root.public_key,
            "signing_key": signer.public_key,
            "skill_id": "units.convert",
            "reviewer_commitment": reviews.reviewer_commitment(reviewer.public_key, salt=salt),
            "issue_day": day_of(at),
        }
        return envelopes.seal(reviews.ReviewTicket(**(described | changes)), signer=signer)

    def succession(
        self, *, to: KeyPair | None = None, at: datetime = NOW, card: Signed[nodes.NodeCard] | None = None
    ) -> reviews.OpenRecord:
        """Returns the hand-over of the root key, with the card that commits to the next one."""
        new = to or self.next_root
        old_id = self.root.public_key
        acceptance = nodes.KeyAcceptance(old_node_id=old_id, new_node_id=new.public_key, issue_time=at)
        handed = nodes.KeySuccession(old_node_id=old_id, acceptance=envelopes.seal(acceptance, signer=new))
        return reviews.OpenRecord(object=envelopes.seal(handed, signer=self.root), card=card or self.card())

    def rebuttal(
        self, target: reviews.OpenRecord, *, at: datetime = NOW, card: Signed[nodes.NodeCard] | None = None
    ) -> reviews.OpenRecord:
        """Returns what the node has to say to a review or an advisory."""
        place = reviews.place_of(target, now=NOW)
        rebuttal = reviews.Rebuttal(
            node_id=self.root.public_key,
            signing_key=self.signing.public_key,
            target_type=place.type,
            target_digest=place.slot,
            comment="It was right.",
            issue_time=at,
        )
        return reviews.OpenRecord(object=envelopes.seal(rebuttal, signer=self.signing), card=card or self.card())


def review_of(
    node: TestNode,
    *,
    reviewer: KeyPair,
    number: int = 0,
    at: datetime = NOW,
    ticket: Signed[reviews.ReviewTicket] | None = None,
    card: Signed[nodes.NodeCard] | None = None,
    **changes: Any,
) -> reviews.OpenRecord:
    """Returns a review, with the card of the node beside it; its `number` tells tickets apart."""
    salt = b"salt %d" % number
    described: dict[str, Any] = {
        "reviewer": reviewer.public_key,
        "ticket": ticket or node.ticket(reviewer=reviewer, salt=salt.ljust(32, b".")),
        "ticket_salt": salt.ljust(32, b"."),
        "verdict": reviews.Verdict.CORRECT,
        "verification": reviews.Verification(method=reviews.VerificationMethod.TOOL),
        "issue_time": at,
    }
    signed = envelopes.seal(reviews.Review(**(described | changes)), signer=reviewer)
    return reviews.OpenRecord(object=signed, card=card or node.card())


def advisory_about(
    subject: bytes, *, author: KeyPair, at: datetime = NOW, days: int = 30, summary: str = "Beware."
) -> reviews.OpenRecord:
    """Returns a warning of a node."""
    advisory = reviews.Advisory(
        author=author.public_key,
        node_id=subject,
        category=reviews.AdvisoryCategory.FRAUD,
        severity=reviews.Severity.HIGH,
        summary=summary,
        issue_time=at,
        expire_time=at + days * DAY,
    )
    return reviews.OpenRecord(object=envelopes.seal(advisory, signer=author))


def retraction_of(
    target: reviews.OpenRecord, *, author: KeyPair, at: datetime = NOW, end: datetime | None = None
) -> reviews.OpenRecord:
    """Returns the retraction of a review or an advisory, which ends with it unless told otherwise."""
    place = reviews.place_of(target, now=NOW)
    retraction = reviews.Retraction(
        author=author.public_key,
        target_type=place.slot_type,
        target_digest=place.slot,
        subject=place.subject,
        issue_time=at,
        expire_time=end or place.end,
    )
    return reviews.OpenRecord(object=envelopes.seal(retraction, signer=author))


def card_record(node: TestNode, **changes: Any) -> reviews.OpenRecord:
    """Returns the record of a card."""
    return reviews.OpenRecord(object=node.card(**changes))


def placed(record: reviews.OpenRecord, *, now: datetime = NOW) -> reviews.Placed:
    """Returns a record with its place."""
    return reviews.Placed(record=record, place=reviews.place_of(record, now=now))


def digests(records: Iterable[reviews.OpenRecord]) -> set[Digest]:
    """Returns the names of records."""
    return {record.digest for record in records}
