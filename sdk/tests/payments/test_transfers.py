from datetime import timedelta
from typing import Any

import pytest

from consilience._wire import envelopes
from consilience.errors import DepositInvalidError
from consilience.payments import Hold, check_hold
from consilience.units import Digest
from sdk.tests._wire.chains import NOW
from sdk.tests.payments.deals import Deal

DEPOSIT_ID = b"d" * 16


def _check(deal: Deal, *, later: timedelta = timedelta(0), **changed: Any) -> None:
    """Checks a promise of the node over 50, with some fields changed, against the deposit that it is for."""
    fields: dict[str, Any] = {
        "issuer": deal.chain.node.public_key,
        "session_id": deal.terms.digest,
        "deposit_id": DEPOSIT_ID,
        "amount": 50,
        "expire_time": NOW + timedelta(hours=1),
    }
    hold = Hold(**(fields | changed))
    signer = deal.chain.asker if hold.issuer == deal.chain.asker.public_key else deal.chain.node
    check_hold(
        envelopes.seal(hold, signer=signer),
        terms=deal.terms.value,
        session_id=deal.terms.digest,
        deposit_id=DEPOSIT_ID,
        amount=50,
        now=NOW + later,
    )


def test_a_promise_of_the_issuer_for_the_deposit_is_taken_until_it_expires(deal: Deal) -> None:
    _check(deal)
    _check(deal, later=timedelta(hours=1))


@pytest.mark.parametrize(
    "changed",
    [
        {"session_id": Digest(b"x" * 32)},
        {"deposit_id": b"x" * 16},
        {"amount": 49},
        {"amount": 51},
        {"expire_time": NOW - timedelta(microseconds=1)},
    ],
)
def test_a_promise_for_something_else_is_refused(deal: Deal, changed: dict[str, Any]) -> None:
    with pytest.raises(DepositInvalidError):
        _check(deal, **changed)


def test_nobody_promises_to_pay_themselves_prepaid(deal: Deal) -> None:
    with pytest.raises(DepositInvalidError, match="issuer"):
        _check(deal, issuer=deal.chain.asker.public_key)
