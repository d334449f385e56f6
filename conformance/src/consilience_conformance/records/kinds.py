"""Kinds of records: for each of the six, a good one of people who are made up for it, ready to be spoilt.

All records of one cast compete for the same slot of its kind: where a spoilt one was taken in, the good one finds its
place taken.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from consilience.v1 import ask_pb2, node_pb2, registry_pb2, review_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.records.made_up import (
    SKILL,
    MadeUpNode,
    MadeUpTicket,
    advisory,
    moment,
    record_of,
    retraction_of,
)
from consilience_conformance.wire_values import timestamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who is made up for one record.

    Attributes:
        node: A node.
        reviewer: Who asked it, reviews it and warns of it.
        ticket: For the answer that the reviewer got; the root key signed it.
        warning: What the reviewer warns of.
    """

    node: MadeUpNode
    reviewer: Caller
    ticket: MadeUpTicket
    warning: review_pb2.Advisory

    @classmethod
    def new(cls) -> Cast:
        """Returns people of whom no registry has heard."""
        node, reviewer = MadeUpNode.new(), Caller.new()
        return cls._of(node, reviewer)

    @classmethod
    def _of(cls, node: MadeUpNode, reviewer: Caller) -> Cast:
        return cls(
            node=node,
            reviewer=reviewer,
            ticket=node.ticket(reviewer),
            warning=advisory(reviewer, node_id=node.node_id),
        )

    def beside(self) -> Cast:
        """Returns the same two, with another ticket and another warning."""
        return self._of(self.node, self.reviewer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of the six types of records.

    Attributes:
        word: What names of exchanges call it: `review`.
        payload_type: The full name of what is signed.
        signs: Who of a cast signs it, and so is its author.
        make: Returns what is signed, which keeps all rules.
        full: Returns the same with something in every list, so that each rule can be broken; None: `make` does.
        card: Returns the card that stands beside it, or None.
        beside: Returns people with a record that competes for another slot, of the same author where he may have two.
    """

    word: str
    payload_type: str
    signs: Callable[[Cast], Caller]
    make: Callable[[Cast], Message]
    full: Callable[[Cast], Message] | None = None
    card: Callable[[Cast], SignedEnvelope | None] = lambda _: None
    beside: Callable[[Cast], Cast] = lambda cast: cast.beside()

    def record(self, cast: Cast) -> registry_pb2.Record:
        """Returns a record that keeps all rules."""
        return record_of(self.signs(cast).seal(self.make(cast)), card=self.card(cast))


def _root(cast: Cast) -> Caller:
    return cast.node.root


def _reviewer(cast: Cast) -> Caller:
    return cast.reviewer


def _full_card(cast: Cast) -> node_pb2.NodeCard:
    """Returns a card in which something stands in every list, so that each rule can be broken."""
    card = cast.node.card(
        models=[node_pb2.Model(id="model", weights_digest=secrets.token_bytes(32))],
        tariffs=[
            tariff_pb2.Tariff(
                id="tariff",
                asset="TEST/0",
                prices=[tariff_pb2.UnitPrice(unit=tariff_pb2.PRICED_UNIT_INPUT_TOKEN, price=1, per=1000)],
                tokenizer="words",
            )
        ],
        rails=[
            tariff_pb2.Rail(
                id="rail",
                network="test",
                assets=["TEST/0"],
                backings=[tariff_pb2.BACKING_ESCROW],
                issuers=[cast.node.node_id],
            )
        ],
        profiles=[node_pb2.PROFILE_CORE, node_pb2.PROFILE_PAY],
        registries=["https://192.0.2.8:7341"],
    )
    quality = node_pb2.MeasuredQuality(dataset_name="made up", dataset_digest=secrets.token_bytes(32), sample_count=1)
    card.skills[0].measured_quality.append(quality)
    card.skills[0].model_ids.append("model")
    card.skills[0].tariff_ids.append("tariff")
    card.skills[0].limits.max_turns = 1
    card.data_policy.jurisdictions.append("CH")
    return card


def _full_advisory(cast: Cast) -> review_pb2.Advisory:
    """Returns a warning of a node in which something stands in every list, so that each rule can be broken."""
    document = ask_pb2.DocumentSource(
        uri="https://example.org/",
        digest=secrets.token_bytes(32),
        place=ask_pb2.ByteSpan(start_byte=0, end_byte=1),
        retrieval_time=timestamp(moment()),
    )
    return advisory(
        cast.reviewer, node_id=cast.node.node_id, skill_id=SKILL, documents=[document], objects=[cast.ticket.envelope]
    )


CARD = Kind(
    word="card",
    payload_type="consilience.v1.NodeCard",
    signs=_root,
    make=lambda cast: cast.node.card(),
    full=_full_card,
)
SUCCESSION = Kind(
    word="succession",
    payload_type="consilience.v1.KeySuccession",
    signs=_root,
    make=lambda cast: cast.node.succession(),
    card=lambda cast: cast.node.sealed_card(),
    beside=lambda _: Cast.new(),
)
REVIEW = Kind(
    word="review",
    payload_type="consilience.v1.Review",
    signs=_reviewer,
    make=lambda cast: cast.ticket.review(domain="conformance"),
)
RETRACTION = Kind(
    word="retraction",
    payload_type="consilience.v1.Retraction",
    signs=_reviewer,
    make=lambda cast: retraction_of(cast.reviewer, cast.warning),
)
REBUTTAL = Kind(
    word="rebuttal",
    payload_type="consilience.v1.Rebuttal",
    signs=_root,
    make=lambda cast: cast.node.rebuttal(cast.ticket.digest),
    full=lambda cast: cast.node.rebuttal(cast.ticket.digest, objects=[cast.ticket.envelope]),
)
ADVISORY = Kind(
    word="advisory",
    payload_type="consilience.v1.Advisory",
    signs=_reviewer,
    make=lambda cast: review_pb2.Advisory.FromString(cast.warning.SerializeToString()),
    full=_full_advisory,
)

KINDS = (CARD, SUCCESSION, REVIEW, RETRACTION, REBUTTAL, ADVISORY)
"""In the order of the specification."""
