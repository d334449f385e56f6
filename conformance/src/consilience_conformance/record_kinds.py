"""Kinds of records: for each of the six, a good one of people who are made up for it, ready to be spoilt.

All records of one cast compete for the same slot of its kind: where a spoilt one was taken in, the good one finds its
place taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from consilience.v1 import registry_pb2, review_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.records import MadeUpNode, MadeUpTicket, advisory, record_of, retraction_of


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
        return cls(
            node=node,
            reviewer=reviewer,
            ticket=node.ticket(reviewer),
            warning=advisory(reviewer, node_id=node.node_id),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One of the six types of records.

    Attributes:
        word: What names of exchanges call it: `review`.
        payload_type: The full name of what is signed.
        signs: Who of a cast signs it, and so is its author.
        make: Returns what is signed, which keeps all rules.
        card: Returns the card that stands beside it, or None.
    """

    word: str
    payload_type: str
    signs: Callable[[Cast], Caller]
    make: Callable[[Cast], Message]
    card: Callable[[Cast], SignedEnvelope | None] = lambda _: None

    def record(self, cast: Cast) -> registry_pb2.Record:
        """Returns a record that keeps all rules."""
        return record_of(self.signs(cast).seal(self.make(cast)), card=self.card(cast))


def _root(cast: Cast) -> Caller:
    return cast.node.root


def _reviewer(cast: Cast) -> Caller:
    return cast.reviewer


CARD = Kind(word="card", payload_type="consilience.v1.NodeCard", signs=_root, make=lambda cast: cast.node.card())
SUCCESSION = Kind(
    word="succession",
    payload_type="consilience.v1.KeySuccession",
    signs=_root,
    make=lambda cast: cast.node.succession(),
    card=lambda cast: cast.node.sealed_card(),
)
REVIEW = Kind(
    word="review", payload_type="consilience.v1.Review", signs=_reviewer, make=lambda cast: cast.ticket.review()
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
)
ADVISORY = Kind(
    word="advisory", payload_type="consilience.v1.Advisory", signs=_reviewer, make=lambda cast: cast.warning
)

KINDS = (CARD, SUCCESSION, REVIEW, RETRACTION, REBUTTAL, ADVISORY)
"""In the order of the specification."""
