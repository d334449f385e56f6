"""Escrow: what the issuer of a session pays to whom, and when, by the algorithm "settle an escrow" (spec section 3.4).

An issuer holds the money of a payer and signs holds for it (`hold.issue_hold`). Payee or payer show it what they have.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.payments import (
    ACKNOWLEDGE_METHOD,
    AcknowledgeReceiptCall,
    Hold,
    HoldRelease,
    SessionTerms,
    Voucher,
)
from consilience.tariffs import Backing

DISPUTE_TIME = timedelta(days=7)
"""How long a payer has to show an acknowledgement of less, once it was told of a voucher."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowPayment:
    """What an issuer pays, in units of the asset.

    Attributes:
        to_payee: To the node.
        to_payer: Back to the payer: the rest of all holds. What it got back before, for releases, is part of it.
        pay_time: Not before, aware UTC.
        disputable: The payer has to be told now: an acknowledgement of less, shown before `pay_time`, changes it.
    """

    to_payee: int
    to_payer: int
    pay_time: datetime
    disputable: bool = False


def settle_escrow(
    terms: Signed[SessionTerms],
    *,
    holds: Iterable[Signed[Hold]],
    releases: Iterable[Signed[HoldRelease]] = (),
    acknowledgement: Signed[AcknowledgeReceiptCall] | None = None,
    voucher: Signed[Voucher] | None = None,
    show_time: datetime,
    now: datetime,
) -> EscrowPayment:
    """Returns what the issuer of a session pays. Run it again with whatever is shown later, until it has paid.

    Args:
        terms: Those of the session, its signature verified.
        holds: The promises that the issuer gave for it; one that had expired at `show_time` counts nothing.
        releases: What the payee gave back, each signed by a key that its card lists.
        acknowledgement: The payer's word for the receipts, the highest that was shown.
        voucher: The highest that was shown; without an acknowledgement it counts, once the time to dispute is over.
        show_time: When the promises were called in, and the payer was told, aware UTC.
        now: Aware UTC.

    Raises:
        UsageError: Something is of another session, payer or issuer.
    """
    if terms.value.backing is not Backing.ESCROW:
        raise UsageError("the session is not in escrow")
    held = _amounts(terms, holds)
    called_in = sum(amount for amount, expire_time in held.values() if show_time <= expire_time)
    left = max(0, called_in - _released(terms, releases))
    whole = sum(amount for amount, _ in held.values())
    if acknowledgement is not None:
        _check_acknowledgement(terms, acknowledgement)
        to_payee, pay_time = min(acknowledgement.value.session_spent, left), now
    elif voucher is not None:
        _check_voucher(terms, voucher)
        to_payee, pay_time = min(voucher.value.cumulative, left), max(now, show_time + DISPUTE_TIME)
    else:
        to_payee, pay_time = 0, now
    return EscrowPayment(
        to_payee=to_payee, to_payer=whole - to_payee, pay_time=pay_time, disputable=pay_time > now and to_payee > 0
    )


def _amounts(terms: Signed[SessionTerms], holds: Iterable[Signed[Hold]]) -> dict[bytes, tuple[int, datetime]]:
    """Returns how much is promised for each deposit, and until when: one counts once, however often it is signed."""
    held: dict[bytes, tuple[int, datetime]] = {}
    for hold in holds:
        value = hold.value
        if (value.session_id, value.issuer) != (terms.digest, terms.value.issuer):
            raise UsageError("a hold is for another session or of another issuer")
        amount, expire_time = held.get(value.deposit_id, (0, value.expire_time))
        held[value.deposit_id] = max(amount, value.amount), max(expire_time, value.expire_time)
    return held


def _released(terms: Signed[SessionTerms], releases: Iterable[Signed[HoldRelease]]) -> int:
    """Returns how much was given back: of each withdrawal once, whatever keys have signed it."""
    by_withdrawal: dict[bytes, int] = {}
    for release in releases:
        value = release.value
        if (value.session_id, value.node_id) != (terms.digest, terms.value.payee):
            raise UsageError("a release is for another session or of another node")
        by_withdrawal[value.withdrawal_id] = value.amount
    return sum(by_withdrawal.values())


def _check_voucher(terms: Signed[SessionTerms], voucher: Signed[Voucher]) -> None:
    if (voucher.value.session_id, voucher.value.payer) != (terms.digest, terms.value.payer):
        raise UsageError("the voucher is for another session or of another payer")


def _check_acknowledgement(terms: Signed[SessionTerms], acknowledgement: Signed[AcknowledgeReceiptCall]) -> None:
    call = acknowledgement.value
    named = call.session_id, call.header.caller, call.header.audience, call.header.method
    if named != (terms.digest, terms.value.payer, terms.value.payee, ACKNOWLEDGE_METHOD):
        raise UsageError("the acknowledgement is for another session or of another payer")
