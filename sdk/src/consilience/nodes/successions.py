"""Successions: how a node is handed over from one root key to the next (spec section 1.3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.identity import next_root_digest
from consilience.nodes.cards import NodeCard
from consilience.units import PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyAcceptance:
    """The consent of a new root key to succeed an old one."""

    old_node_id: PublicKey
    new_node_id: PublicKey
    issue_time: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySuccession:
    """The hand-over of a node from an old root key to a new one, signed by both."""

    old_node_id: PublicKey
    acceptance: Signed[KeyAcceptance]

    @property
    def new_node_id(self) -> PublicKey:
        """The root key that succeeds."""
        return self.acceptance.value.new_node_id


def check_succession(succession: Signed[KeySuccession], *, old_card: Signed[NodeCard]) -> PublicKey:
    """Checks a hand-over against the newest card of the old root key, and returns the new root key.

    Raises:
        ProtocolError: It is not for this node, or the new key is not the one committed to (NODE-KEY-003).
    """
    value, acceptance = succession.value, succession.value.acceptance.value
    if not value.old_node_id == acceptance.old_node_id == old_card.value.node_id:
        raise ProtocolError("the succession is of another node", requirement="NODE-KEY-003")
    if next_root_digest(acceptance.new_node_id) != old_card.value.next_root_digest:
        raise ProtocolError("the new root key is not the one that the card commits to", requirement="NODE-KEY-003")
    return acceptance.new_node_id
