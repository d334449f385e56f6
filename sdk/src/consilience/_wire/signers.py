"""Signers: the role key that each signed payload names (SIG-ENV-005)."""

from __future__ import annotations

import typing
from typing import Any

from consilience import asks, conformance, nodes, payments, reviews
from consilience.units import PublicKey

NAMED_SIGNER: dict[type, str] = {
    nodes.NodeCard: "node_id",
    nodes.KeySuccession: "old_node_id",
    nodes.KeyAcceptance: "new_node_id",
    asks.Ask: "header.caller",
    asks.ResumeAnswerCall: "header.caller",
    asks.GetAnswerCall: "header.caller",
    asks.CancelAnswerCall: "header.caller",
    asks.Answer: "signing_key",
    payments.Quote: "signing_key",
    payments.SessionTerms: "payer",
    payments.SessionState: "signing_key",
    payments.Voucher: "payer",
    payments.Meter: "signing_key",
    payments.Receipt: "signing_key",
    payments.Hold: "issuer",
    payments.HoldRelease: "signing_key",
    **dict.fromkeys(typing.get_args(payments.PaymentCall), "header.caller"),
    reviews.ReviewTicket: "signing_key",
    reviews.PaymentAttestation: "signing_key",
    reviews.Review: "reviewer",
    reviews.Retraction: "author",
    reviews.Rebuttal: "signing_key",
    reviews.Advisory: "author",
    conformance.ConformanceGrant: "node_id",
}
"""By the type of the payload, the path of the field that names the key."""


def named_signer(value: Any) -> tuple[PublicKey, str]:
    """Returns the key that a signed value names as its signer, and the path of the field."""
    path = NAMED_SIGNER[type(value)]
    named: Any = value
    for name in path.split("."):
        named = getattr(named, name)
    return PublicKey(named), path
