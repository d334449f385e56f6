from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from consilience._wire.envelopes import seal
from consilience.calls import new_header
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
from consilience.rails.escrow import DISPUTE_TIME, EscrowPayment, settle_escrow
from consilience.rails.hold import issue_hold
from consilience.tariffs import Backing
from consilience.units import Digest
from sdk.tests.rails.promises import DAY, ISSUER, NOW, PAYEE, PAYER, terms

MOMENT = timedelta(microseconds=1)
TERMS = terms(Backing.ESCROW)


def hold(number: int, amount: int, **changes: Any) -> Signed[Hold]:
    made = issue_hold(
        issuer=ISSUER, session_id=TERMS.digest, deposit_id=bytes([number]) * 16, amount=amount, expire_time=NOW + DAY
    )
    return seal(replace(made.value, **changes), signer=ISSUER)


def release(number: int, amount: int, **changes: Any) -> Signed[HoldRelease]:
    made = HoldRelease(
        node_id=PAYEE.public_key,
        signing_key=PAYEE.public_key,
        session_id=TERMS.digest,
        withdrawal_id=bytes([number]) * 16,
        amount=amount,
    )
    return seal(replace(made, **changes), signer=PAYEE)


def voucher(cumulative: int, **changes: Any) -> Signed[Voucher]:
    made = Voucher(payer=PAYER.public_key, session_id=TERMS.digest, cumulative=cumulative)
    return seal(replace(made, **changes), signer=PAYER)


def acknowledged(spent: int, *, session_id: Digest = TERMS.digest, **header: Any) -> Signed[AcknowledgeReceiptCall]:
    made = new_header(method=ACKNOWLEDGE_METHOD, audience=PAYEE.public_key, caller=PAYER.public_key, now=NOW)
    call = AcknowledgeReceiptCall(
        header=replace(made, **header), session_id=session_id, receipt_digest=Digest(bytes(32)), session_spent=spent
    )
    return seal(call, signer=PAYER)


HOLDS = (hold(1, 60), hold(2, 40))


def settled(*, terms: Signed[SessionTerms] = TERMS, at: timedelta = timedelta(0), **shown: Any) -> EscrowPayment:
    what: dict[str, Any] = {"holds": HOLDS, "show_time": NOW} | shown
    return settle_escrow(terms, **what, now=NOW + at)


def paid(payment: EscrowPayment) -> tuple[int, int]:
    return payment.to_payee, payment.to_payer


def test_what_the_payer_acknowledged_is_paid_at_once_whatever_was_authorized() -> None:
    payment = settled(acknowledgement=acknowledged(30), voucher=voucher(90), at=MOMENT)
    assert payment == EscrowPayment(to_payee=30, to_payer=70, pay_time=NOW + MOMENT)


def test_a_voucher_is_paid_after_seven_days_in_which_the_payer_can_answer() -> None:
    payment = settled(voucher=voucher(90))
    assert payment == EscrowPayment(to_payee=90, to_payer=10, pay_time=NOW + timedelta(days=7), disputable=True)
    assert settled(voucher=voucher(90), at=DISPUTE_TIME - MOMENT).disputable
    assert not settled(voucher=voucher(90), at=DISPUTE_TIME).disputable
    late = settled(voucher=voucher(90), at=2 * DISPUTE_TIME)
    assert (paid(late), late.pay_time) == ((90, 10), NOW + 2 * DISPUTE_TIME)


def test_without_a_word_of_the_payer_all_goes_back() -> None:
    assert settled() == EscrowPayment(to_payee=0, to_payer=100, pay_time=NOW)
    assert not settled(voucher=voucher(0)).disputable


@pytest.mark.parametrize(("said", "to_payee"), [(99, 99), (100, 100), (101, 100), (2**63 - 1, 100)])
def test_no_more_is_paid_than_was_held(said: int, to_payee: int) -> None:
    assert paid(settled(acknowledgement=acknowledged(said))) == (to_payee, 100 - to_payee)
    assert paid(settled(voucher=voucher(said))) == (to_payee, 100 - to_payee)


def test_what_was_released_is_not_paid_to_the_node() -> None:
    releases = [release(1, 10), release(2, 15)]
    assert paid(settled(acknowledgement=acknowledged(100), releases=releases)) == (75, 25)
    assert paid(settled(acknowledgement=acknowledged(75), releases=releases)) == (75, 25)
    assert paid(settled(voucher=voucher(100), releases=[release(1, 1000)])) == (0, 100)


def test_a_withdrawal_and_a_deposit_count_once_however_often_they_are_shown() -> None:
    again = [release(1, 10), release(1, 10)]
    assert paid(settled(acknowledgement=acknowledged(100), releases=again)) == (90, 10)
    doubled = (*HOLDS, hold(1, 60, expire_time=NOW + 2 * DAY))
    assert paid(settled(acknowledgement=acknowledged(200), holds=doubled)) == (100, 0)


def test_a_hold_that_had_expired_when_it_was_called_in_goes_back() -> None:
    holds = hold(1, 60), hold(2, 40, expire_time=NOW - MOMENT)
    assert paid(settled(acknowledgement=acknowledged(100), holds=holds)) == (60, 40)
    in_time = hold(1, 60, expire_time=NOW), hold(2, 40)
    assert paid(settled(voucher=voucher(100), holds=in_time, at=DISPUTE_TIME)) == (100, 0)


OTHER = Digest(bytes(32))


@pytest.mark.parametrize(
    "shown",
    [
        {"holds": (hold(1, 60, session_id=OTHER),)},
        {"releases": [release(1, 10, session_id=OTHER)]},
        {"releases": [release(1, 10, node_id=PAYER.public_key)]},
        {"voucher": voucher(10, session_id=OTHER)},
        {"acknowledgement": acknowledged(10, session_id=OTHER)},
        {"acknowledgement": acknowledged(10, audience=ISSUER.public_key)},
        {"acknowledgement": acknowledged(10, method="consilience.v1.PaymentService/Withdraw")},
        {"terms": terms(Backing.PREPAID), "holds": ()},
    ],
)
def test_what_is_of_another_session_settles_nothing(shown: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        settled(**shown)


def test_the_word_of_somebody_else_settles_nothing() -> None:
    stranger = PAYEE.public_key
    strange_voucher = seal(replace(voucher(10).value, payer=stranger), signer=PAYEE)
    call = acknowledged(10).value
    strange_call = seal(replace(call, header=replace(call.header, caller=stranger)), signer=PAYEE)
    strange_hold = seal(replace(hold(1, 60).value, issuer=stranger), signer=PAYEE)
    strange: list[dict[str, Any]] = [
        {"voucher": strange_voucher},
        {"acknowledgement": strange_call},
        {"holds": (strange_hold,)},
    ]
    for shown in strange:
        with pytest.raises(UsageError):
            settled(**shown)
