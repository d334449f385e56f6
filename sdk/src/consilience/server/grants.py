"""Grants: how the operator of a node lets a tester write answers for an hour at most (spec section 7.2)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from consilience._wire import envelopes
from consilience.conformance import ConformanceGrant, check_grant
from consilience.errors import FieldInvalidError, UsageError
from consilience.identity import Signer
from consilience.units import PublicKey


def grant_tester(root: Signer, *, testers: Iterable[PublicKey], lifetime: timedelta, now: datetime) -> bytes:
    """Signs a grant for the skill `conformance.script` of a node.

    Args:
        root: The root key of the node.
        testers: The keys that may ask, 32 bytes each, at most 64.
        lifetime: How long the grant holds, an hour at most.
        now: From when, aware UTC.

    Returns:
        The encoded SignedEnvelope, for a file.

    Raises:
        UsageError: It would be a grant that the node refuses.
    """
    grant = ConformanceGrant(
        node_id=root.public_key,
        testers=tuple(dict.fromkeys(testers)),
        issue_time=now,
        expire_time=now + lifetime,
    )
    try:
        check_grant(grant)
    except FieldInvalidError as error:
        raise UsageError(f"no node accepts such a grant: {error}") from error
    return envelopes.to_bytes(envelopes.seal(grant, signer=root).envelope)
