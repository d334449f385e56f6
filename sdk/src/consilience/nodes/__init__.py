"""Nodes: who a node is and what it offers (spec chapter 1).

Value types with their rules, and the pure decisions about cards: which of two wins, what may sign, where to connect.
"""

from __future__ import annotations

from consilience.nodes.addresses import (
    NodeAddress,
    host_is_loopback,
)
from consilience.nodes.cards import (
    MAX_MESSAGE_BYTES,
    DataClass,
    DataPolicy,
    Endpoint,
    Limits,
    MeasuredQuality,
    Model,
    NodeCard,
    Profile,
    SigningKey,
    Skill,
    TlsMode,
    effective_data_class,
    key_digest_matches,
    tighter_limits,
)
from consilience.nodes.selection import (
    MAX_CARD_BYTES,
    MAX_SIGNING_KEY_LIFETIME,
    check_card,
    check_commitment_kept,
    keeps_commitment,
    newer_card,
)
from consilience.nodes.successions import (
    KeyAcceptance,
    KeySuccession,
    check_succession,
)

__all__ = [
    "MAX_CARD_BYTES",
    "MAX_MESSAGE_BYTES",
    "MAX_SIGNING_KEY_LIFETIME",
    "DataClass",
    "DataPolicy",
    "Endpoint",
    "KeyAcceptance",
    "KeySuccession",
    "Limits",
    "MeasuredQuality",
    "Model",
    "NodeAddress",
    "NodeCard",
    "Profile",
    "SigningKey",
    "Skill",
    "TlsMode",
    "check_card",
    "check_commitment_kept",
    "check_succession",
    "effective_data_class",
    "host_is_loopback",
    "keeps_commitment",
    "key_digest_matches",
    "newer_card",
    "tighter_limits",
]
