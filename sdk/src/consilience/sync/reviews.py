"""Reviews without `async`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from consilience import client as asynchronous
from consilience.asks import DocumentSource
from consilience.client.late_peers import LatePeers
from consilience.client.reviews import HeldTicket, Publication
from consilience.client.reviews.desk import DEFAULT_WARNING, Registries
from consilience.envelopes import Envelope, Signed
from consilience.identity import Signer
from consilience.nodes import NodeCard
from consilience.reviews import AdvisoryCategory, Record, Severity, Verdict, VerificationMethod
from consilience.sync.background import Background
from consilience.units import Digest, PublicKey


class ReviewDesk:
    """Reviews and warnings: `consilience.client.ReviewDesk`, whose methods these are."""

    def __init__(self, desk: asynchronous.ReviewDesk, *, background: Background) -> None:
        self._desk = desk
        self._background = background

    @property
    def late(self) -> LatePeers:
        """The registries that this client waits for; any thread may look."""
        return self._desk.late

    def review(
        self,
        answer: asynchronous.AskResult | HeldTicket,
        *,
        verdict: Verdict,
        method: VerificationMethod = VerificationMethod.HUMAN,
        independent_nodes: int = 0,
        score_milli: int | None = None,
        comment: str = "",
        domain: str | None = None,
        registries: Registries = None,
    ) -> Publication:
        """Says what an answer was worth, once and for ever."""
        return self._background.run(
            self._desk.review(
                answer,
                verdict=verdict,
                method=method,
                independent_nodes=independent_nodes,
                score_milli=score_milli,
                comment=comment,
                domain=domain,
                registries=registries,
            )
        )

    def warn(
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
        """Warns of a node, of a skill of it, or of a model."""
        return self._background.run(
            self._desk.warn(
                category=category,
                severity=severity,
                summary=summary,
                node=node,
                weights_digest=weights_digest,
                skill=skill,
                lifetime=lifetime,
                documents=documents,
                objects=objects,
                registries=registries,
            )
        )

    def rebut(
        self,
        target: Record,
        *,
        comment: str,
        signer: Signer | None = None,
        card: Signed[NodeCard] | None = None,
        objects: Iterable[Envelope] = (),
        registries: Registries = None,
    ) -> Publication:
        """Answers, as the node that it is about, a review or an advisory."""
        return self._background.run(
            self._desk.rebut(target, comment=comment, signer=signer, card=card, objects=objects, registries=registries)
        )

    def retract(self, target: Record, *, comment: str = "", registries: Registries = None) -> Publication:
        """Takes back a review or an advisory of this client, for good."""
        return self._background.run(self._desk.retract(target, comment=comment, registries=registries))

    def publish(self, record: Record | Signed[NodeCard], *, registries: Registries = None) -> Publication:
        """Hands in a record of anybody, or a card."""
        return self._background.run(self._desk.publish(record, registries=registries))

    def about(self, subject: str | PublicKey | bytes, *, registries: Registries = None) -> asynchronous.Opinions:
        """Returns what is said about a node or a model, by all registries that are asked."""
        return self._background.run(self._desk.about(subject, registries=registries))

    def get(self, digest: Digest, *, registries: Registries = None) -> Record:
        """Returns a record that holds, from the first registry that has it."""
        return self._background.run(self._desk.get(digest, registries=registries))
