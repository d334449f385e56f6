"""Rules of releases (spec section 3.4): by what the rail `hold.v1` gives part of its promises back."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import payment_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.rules.answers import card_of
from consilience_conformance.rules.payments import differs, lacks, opened, response_of, signed_by_the_node
from consilience_conformance.transcripts import Exchange, Transcript
from consilience_conformance.verdicts import Finding


def release_findings(seen: Transcript, exchange: Exchange) -> Iterator[Finding]:
    """Yields that a payout of the rail hold.v1 is not by a release of the node over what was wanted (PAY-WDR-001)."""
    response = response_of(exchange, payment_pb2.WithdrawResponse)
    if response is None:
        return
    if response.status != payment_pb2.TRANSFER_STATUS_SUCCEEDED:
        yield differs(
            "PAY-WDR-001",
            "a payout of promises has not succeeded",
            expected="TRANSFER_STATUS_SUCCEEDED",
            got=response.status,
            exchange=exchange.name,
        )
    envelope = SignedEnvelope()
    if not response.detail.Unpack(envelope):
        yield lacks(exchange, "HoldRelease", requirement="PAY-WDR-001")
        return
    card = card_of(seen)[1]
    yield from signed_by_the_node(envelope, payment_pb2.HoldRelease, card=card, exchange=exchange.name)
    release = opened(envelope, payment_pb2.HoldRelease)
    call = _withdrawal_sent(exchange)
    if release is None:
        return
    for what, expected, got in (
        ("session_id", call.session_id, release.value.session_id),
        ("withdrawal_id", call.withdrawal_id, release.value.withdrawal_id),
        ("amount", call.amount, release.value.amount),
    ):
        if expected != got:
            yield differs(
                "PAY-WDR-001", f"the release has another {what}", expected=expected, got=got, exchange=exchange.name
            )


def _withdrawal_sent(exchange: Exchange) -> payment_pb2.WithdrawCall:
    envelope = payment_pb2.WithdrawRequest.FromString(exchange.request).call
    return payment_pb2.WithdrawCall.FromString(envelope.payload)
