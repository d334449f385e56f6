"""The desk: what a user says about answers, nodes and models, and reads of it. `Client.reviews` is one.

>>> result = await client.ask("How many feet are 12 inches?", node=node)
>>> await client.reviews.review(result, verdict=Verdict.CORRECT, method=VerificationMethod.TOOL)
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from consilience._wire.envelopes import seal
from consilience.asks import DocumentSource
from consilience.client.caller import Caller
from consilience.client.cards import NodeReference
from consilience.client.late_peers import LatePeers
from consilience.client.results import AskResult
from consilience.client.reviews.opinions import Opinions, opinions_about
from consilience.client.reviews.registries import FAILURES, Registry, opened_registries
from consilience.client.reviews.retractions import Retractions
from consilience.client.reviews.statement_book import StatementBook
from consilience.client.reviews.verifying import opened
from consilience.client.tickets import HeldTicket
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    ConsilienceError,
    ProtocolError,
    RefusedError,
    TransportError,
    UsageError,
    WrongKeyError,
)
from consilience.identity import Signer, format_node_id, parse_node_id
from consilience.nodes import NodeCard
from consilience.reviews import (
    Advisory,
    AdvisoryCategory,
    Kept,
    OpenRecord,
    Placed,
    PublishOutcome,
    Rebuttal,
    Record,
    RecordType,
    Retraction,
    Review,
    Severity,
    Statement,
    Verdict,
    Verification,
    VerificationMethod,
    card_wanted,
    place_of,
)
from consilience.units import Digest, PublicKey

DEFAULT_WARNING = timedelta(days=90)
MAX_CARD_REGISTRIES = 4
"""How many registries of a stranger's card are published in, where there are none of one's own."""

_TAKEN = frozenset({PublishOutcome.STORED, PublishOutcome.KNOWN})

Registries = Iterable[NodeReference] | None
"""Where to publish or to read; None: the registries of the client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What was published, and what became of it.

    Attributes:
        record: As it travelled; keep it to take it back, or to bring it to other registries: `ReviewDesk.publish`.
        outcomes: By registry, what it did with it.
        failures: By registry, why it did nothing.
        was_said: Whether it is the record of an earlier time, at which the same was said.
    """

    record: Record
    outcomes: dict[str, PublishOutcome]
    failures: dict[str, ConsilienceError]
    was_said: bool = False


class ReviewDesk:
    """Reviews and warnings, to write and to read. What is published is public, and so is who has signed it.

    Args:
        caller: Who speaks.
        registries: Where, unless a call says otherwise.
        statement_book: Keeps what is said, so that the same words are the same record; None: each time is a new one.
    """

    def __init__(
        self, caller: Caller, *, registries: Sequence[NodeReference], statement_book: StatementBook | None = None
    ) -> None:
        self._caller = caller
        self._registries = registries
        self._statement_book = statement_book
        self._retractions = Retractions()

    @property
    def late(self) -> LatePeers:
        """The registries that this client waits for, whatever it asks them or brings to them."""
        return self._caller.late_registries

    async def review(
        self,
        answer: AskResult | HeldTicket,
        *,
        verdict: Verdict,
        method: VerificationMethod = VerificationMethod.HUMAN,
        independent_nodes: int = 0,
        score_milli: int | None = None,
        comment: str = "",
        domain: str | None = None,
        registries: Registries = None,
    ) -> Publication:
        """Says what an answer was worth, once and for ever: a review is not edited (REV-ONE-001).

        To bring it to another registry, publish its record there; with a `statement_file`, saying the same does that.

        Args:
            answer: Of this client, or its ticket.
            verdict: What it was.
            method: How you know.
            independent_nodes: How many others were asked the same, for `CROSS_CHECK`.
            score_milli: A finer grade, in thousandths.
            comment: More, for people.
            domain: What the question was about, as skills tell it; unless you say, the domain of the skill, if the card
                names just one. Empty: none, and scores in a domain do not count the review.
            registries: Where; unless you say, the client's own, else those that the card of the node names.

        Raises:
            UsageError: The answer has no ticket of this reviewer, a field cannot be, or there is no registry.
            ConsilienceError: No registry took it; why the first one did not.
        """
        held = answer if isinstance(answer, HeldTicket) else answer.ticket
        if held is None:
            raise UsageError("the answer came without a ticket that holds, so it cannot be reviewed; warn of the node")
        signer = self._caller.reviewer
        if signer.public_key != held.reviewer:
            raise WrongKeyError(
                "the ticket is for another reviewer: sign with the key that the client had when it asked"
            )
        review = Review(
            reviewer=signer.public_key,
            ticket=held.ticket,
            ticket_salt=held.salt,
            verdict=verdict,
            verification=Verification(method=method, independent_nodes=independent_nodes),
            issue_time=self._caller.clock(),
            score_milli=score_milli,
            comment=comment,
            domain=held.domain if domain is None else domain,
            answer_digest=held.answer_digest,
            attestation=held.attestation,
        )
        named = held.card.value.registries[:MAX_CARD_REGISTRIES]
        return await self._say(review, signer=signer, card=held.card, registries=registries, otherwise=named)

    async def warn(
        self,
        *,
        category: AdvisoryCategory,
        severity: Severity,
        summary: str,
        node: str | PublicKey = "",
        weights_digest: bytes = b"",
        skill: str = "",
        lifetime: timedelta = DEFAULT_WARNING,
        documents: Iterable[DocumentSource] = (),
        objects: Iterable[Envelope] = (),
        registries: Registries = None,
    ) -> Publication:
        """Warns of a node, of a skill of it, or of a model; raises as `review`.

        Args:
            category: What is wrong.
            severity: How bad it is.
            summary: What to know, for people.
            node: The node, `cn1…`; either this, or the weights.
            weights_digest: SHA-256 of the weights of a model.
            skill: The one skill of the node; all of them, unless you say.
            lifetime: How long the warning holds, 730 days at most.
            documents: What shows it.
            objects: Signed objects that show it: answers, receipts, cards that cannot both be true.
            registries: Where.
        """
        signer, now = self._caller.reviewer, self._caller.clock()
        advisory = Advisory(
            author=signer.public_key,
            category=category,
            severity=severity,
            summary=summary,
            issue_time=now,
            expire_time=now + lifetime,
            node_id=_node_id(node),
            weights_digest=weights_digest,
            skill_id=skill,
            documents=tuple(documents),
            objects=tuple(objects),
        )
        return await self._say(advisory, signer=signer, registries=registries)

    async def rebut(
        self,
        target: Record,
        *,
        comment: str,
        signer: Signer | None = None,
        card: Signed[NodeCard] | None = None,
        objects: Iterable[Envelope] = (),
        registries: Registries = None,
    ) -> Publication:
        """Answers, as the node that it is about, a review or an advisory; raises as `review`.

        Args:
            target: What is answered.
            comment: What the node has to say.
            signer: The root key of the node, or a signing key; the key of the client, unless you say.
            card: The card that lists the signing key; needed where that is not the root key.
            objects: Signed objects that show it.
            registries: Where.
        """
        signer = signer or self._caller.signer
        judged = self._own(target)
        node_id = signer.public_key if card is None else card.value.node_id
        if judged.place.subject != node_id:
            raise WrongKeyError(
                f"{format_node_id(node_id)} is not the node that this is about, which alone can answer it: sign with"
                " its root key, or with a signing key beside its card; nothing was sent"
            )
        rebuttal = Rebuttal(
            node_id=node_id,
            signing_key=signer.public_key,
            target_type=judged.place.type,
            target_digest=judged.place.slot,
            comment=comment,
            issue_time=self._caller.clock(),
            objects=tuple(objects),
        )
        return await self._say(rebuttal, signer=signer, card=card, registries=registries)

    async def retract(self, target: Record, *, comment: str = "", registries: Registries = None) -> Publication:
        """Takes back a review or an advisory of this client, for good; raises as `review`.

        Args:
            target: What was published: `Publication.record`.
            comment: Why, for people.
            registries: Where.
        """
        said = self._own(target)
        signer = next(
            (own for own in (self._caller.reviewer, self._caller.signer) if own.public_key == said.place.author), None
        )
        if said.place.type not in (RecordType.REVIEW, RecordType.ADVISORY):
            raise UsageError("only a review or an advisory is taken back; nothing was sent")
        if signer is None:
            author = format_node_id(said.place.author)
            raise WrongKeyError(f"it is taken back by its author alone: sign with the key {author}; nothing was sent")
        retraction = Retraction(
            author=signer.public_key,
            target_type=said.place.type,
            target_digest=said.place.slot,
            subject=said.place.subject,
            issue_time=self._caller.clock(),
            expire_time=said.place.end,
            comment=comment,
        )
        return await self._say(retraction, signer=signer, registries=registries)

    async def publish(self, record: Record | Signed[NodeCard], *, registries: Registries = None) -> Publication:
        """Hands in a record of anybody, or a card; raises as `review`.

        Args:
            record: It is checked first, as a registry does.
            registries: Where.
        """
        wanted = Record(object=record.envelope) if isinstance(record, Signed) else record
        self._own(wanted)
        return await self._publish(wanted, self._named(registries))

    async def about(self, subject: str | PublicKey | bytes, *, registries: Registries = None) -> Opinions:
        """Returns what is said about a node or a model, by all registries that are asked.

        Args:
            subject: The node, `cn1…`, or SHA-256 of the weights of a model.
            registries: Whom to ask.

        Raises:
            UsageError: There is no registry to ask.
            ConsilienceError: No registry answered; why the first one did not.
        """
        return await opinions_about(
            _node_id(subject),
            registries=self._named(registries),
            now=self._caller.clock(),
            retractions=self._retractions,
        )

    async def get(self, digest: Digest, *, registries: Registries = None) -> Record:
        """Returns a record that holds, from the first registry that has it; raises as `about`."""
        failure: ConsilienceError | None = None
        for registry in self._named(registries):
            try:
                record = await registry.record(digest)
                opened(record, now=self._caller.clock())
            except FAILURES as error:
                failure = failure or error
            else:
                return record
        raise failure or UsageError("there is no registry to ask")

    def _named(self, registries: Registries, *, otherwise: Sequence[NodeReference] = ()) -> tuple[Registry, ...]:
        named = self._registries or otherwise if registries is None else tuple(registries)
        return opened_registries(named, caller=self._caller)

    def _own(self, record: Record) -> Placed:
        """Checks a record before anything is said of it.

        Raises:
            UsageError: No registry would keep it.
        """
        try:
            return opened(record, now=self._caller.clock())
        except RefusedError as error:
            raise UsageError(f"the record does not hold: {error}; nothing was sent") from error

    async def _say(
        self,
        statement: Statement,
        *,
        signer: Signer,
        card: Signed[NodeCard] | None = None,
        registries: Registries,
        otherwise: Sequence[NodeReference] = (),
    ) -> Publication:
        named = self._named(registries, otherwise=otherwise)
        try:
            signed: Signed[Kept] = seal(statement, signer=signer)
            record = OpenRecord(object=signed)
            record = record.resting_on(card) if card_wanted(record) is not None else record
            said = Placed(record=record, place=place_of(record, now=self._caller.clock()))
        except RefusedError as error:
            raise UsageError(f"it cannot be published: {error}; nothing was sent") from error
        if self._statement_book is None:
            return await self._publish(record.record, named)
        return await self._say_once(said, named, book=self._statement_book)

    async def _say_once(self, said: Placed, registries: Sequence[Registry], *, book: StatementBook) -> Publication:
        """Publishes a statement, or the one that said the same before."""
        now = self._caller.clock()
        record = await asyncio.to_thread(book.settled, said, now=now)
        publication = await self._publish(record.record, registries)
        if not _TAKEN.isdisjoint(publication.outcomes.values()):
            taken = Placed(record=record, place=place_of(record, now=now))
            with contextlib.suppress(UsageError):  # it is out, whether or not that can be noted
                await asyncio.to_thread(book.note_taken, taken)
        return replace(publication, was_said=record.digest != said.record.digest)

    async def _publish(self, record: Record, registries: Sequence[Registry]) -> Publication:
        came = await asyncio.gather(*(_handed_in(record, registry) for registry in registries))
        told = dict(zip((registry.name for registry in registries), came, strict=True))
        outcomes = {name: one for name, one in told.items() if isinstance(one, PublishOutcome)}
        failures = {name: one for name, one in told.items() if isinstance(one, ConsilienceError)}
        if not outcomes:
            raise next(iter(failures.values()))
        return Publication(record=record, outcomes=outcomes, failures=failures)


async def _handed_in(record: Record, registry: Registry) -> PublishOutcome | ConsilienceError:
    try:
        return await registry.publish(record)
    except (TransportError, ProtocolError, RefusedError, UsageError) as error:
        return error


def _node_id(node: str | bytes) -> bytes:
    """Returns the key of a node, or the digest of a model, as it stands in records; empty: none."""
    if isinstance(node, bytes):
        return node
    return parse_node_id(node) if node else b""
