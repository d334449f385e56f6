"""Grants: what opens the scripted skill of a node to a tester (spec section 7.2), checked before a run relies on it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from google.protobuf.message import DecodeError

from consilience.v1.conformance_pb2 import ConformanceGrant
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import envelopes, node_ids
from consilience_conformance.callers import Caller

CLOCK_SKEW = timedelta(seconds=30)


class GrantError(Exception):
    """A grant does not open the script for this run; the text says why, and how to get one that does."""


def read_grant(file: Path, *, node_id: bytes, testers: Sequence[Caller], now: datetime) -> SignedEnvelope:
    """Returns the grant in a file, an encoded SignedEnvelope, if it holds for a node and for all these testers now.

    Args:
        file: As `consilience-node grant` writes it.
        node_id: Of the node that is judged, 32 bytes.
        testers: Those who are going to ask.
        now: Aware UTC.

    Raises:
        GrantError: It cannot be read or does not hold.
    """
    try:
        envelope = SignedEnvelope.FromString(file.read_bytes())
        grant = ConformanceGrant.FromString(envelope.payload)
    except OSError as error:
        raise GrantError(f"the grant {file} cannot be read: {error.strerror}") from error
    except DecodeError as error:
        raise GrantError(f"the file {file} holds no grant; {_anew(testers)}") from error
    if defect := envelopes.defect_of(
        envelope, payload_type=ConformanceGrant.DESCRIPTOR.full_name, signer=grant.node_id
    ):
        raise GrantError(f"the file {file} holds no grant: {defect}; {_anew(testers)}")
    if grant.node_id != node_id:
        raise GrantError(f"the grant is one of another node, {node_ids.text_of(grant.node_id)}; {_anew(testers)}")
    _check_time(grant, now=now, testers=testers)
    if missing := [tester for tester in testers if tester.key not in grant.testers]:
        raise GrantError(
            f"the grant leaves out {len(missing)} of this tester's {len(testers)} keys; {_anew(testers)}, or name with "
            "--tester-key the key file for which it was made"
        )
    return envelope


def _check_time(grant: ConformanceGrant, *, now: datetime, testers: Sequence[Caller]) -> None:
    if grant.expire_time.ToDatetime(tzinfo=UTC) < now:
        raise GrantError(f"the grant has expired, at {grant.expire_time.ToJsonString()}; {_anew(testers)}")
    if grant.issue_time.ToDatetime(tzinfo=UTC) - CLOCK_SKEW > now:
        begins = grant.issue_time.ToJsonString()
        raise GrantError(f"the grant holds from {begins} on only: set this clock, or the clock of the node, right")


def _anew(testers: Sequence[Caller]) -> str:
    return (
        "ask the operator of the node for one (`consilience-node grant`) for the "
        f"{len(testers)} keys that `consilience-conformance tester` prints"
    )
