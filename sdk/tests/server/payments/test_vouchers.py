import asyncio
import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from consilience._wire.payments import pack_envelope
from consilience.envelopes import Envelope
from consilience.errors import (
    BalanceTooLowError,
    RefusedError,
    SessionClosedError,
    SessionUnknownError,
)
from consilience.identity import KeyPair
from consilience.payments import TransferStatus
from consilience.rails.hold import issue_hold
from consilience.tariffs import Backing
from consilience.units import Digest
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.tellers import ISSUER, Payer, carries_voucher

STRANGER = KeyPair(b"x" * 32)
MOST = 2**63 - 1


async def test_only_the_highest_voucher_counts(payer: Payer) -> None:
    session_id = await payer.funded(100)
    highest = payer.voucher(session_id, 60)
    assert (await payer.submit(highest)).authorized == 60
    for cumulative in (59, 0, 60):
        state = await payer.submit(payer.voucher(session_id, cumulative))
        assert (state.authorized, state.voucher) == (60, highest)
    many = range(61, 101)
    await asyncio.gather(*(payer.submit(payer.voucher(session_id, cumulative)) for cumulative in many))
    assert (await payer.state(session_id)).authorized == 100


SpoilVoucher = Callable[[Envelope, Payer, Digest], Envelope]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda good, *_: replace(good, payload_type="consilience.v1.SessionTerms"), "PAYLOAD_TYPE_WRONG"),
        (lambda good, *_: replace(good, signature=b""), "SIGNATURE_MISSING"),
        (lambda good, *_: replace(good, signature=bytes(64)), "SIGNATURE_INVALID"),
        (lambda _, payer, of: payer.voucher(of, 50, payer=STRANGER.public_key), "SIGNER_WRONG"),
        (lambda _, payer, of: payer.voucher(of, -1), "FIELD_INVALID"),
        (lambda _, payer, of: payer.voucher(Digest(of[:-1]), 50), "FIELD_INVALID"),
        (lambda _, payer, of: replace(payer, key=STRANGER).voucher(of, 50), "SESSION_UNKNOWN"),
        (lambda _, payer, __: payer.voucher(Digest(bytes(32)), 50), "SESSION_UNKNOWN"),
        (lambda _, payer, of: payer.voucher(of, 101), "BALANCE_TOO_LOW"),
        (lambda _, payer, of: payer.voucher(of, MOST), "BALANCE_TOO_LOW"),
    ],
)
async def test_a_voucher_that_does_not_hold_changes_nothing(payer: Payer, spoil: SpoilVoucher, reason: str) -> None:
    session_id = await payer.funded(100)
    await payer.submit(payer.voucher(session_id, 40))
    before = await payer.state(session_id)
    with pytest.raises(RefusedError) as refused:
        await payer.submit(spoil(payer.voucher(session_id, 50), payer, session_id))
    assert refused.value.reason == reason
    assert await payer.state(session_id) == before


async def test_a_voucher_is_refused_for_the_first_reason_that_holds(payer: Payer) -> None:
    session_id = await payer.funded(100)
    await payer.close(session_id)
    with pytest.raises(SessionClosedError):
        await payer.submit(payer.voucher(session_id, 101))
    stranger = payer.teller.payer()
    with pytest.raises(SessionUnknownError):
        await stranger.submit(stranger.voucher(session_id, 101))


async def test_a_payer_finds_its_last_word_again(payer: Payer) -> None:
    session_id = await payer.funded(100)
    with pytest.raises(BalanceTooLowError) as refused:
        await payer.submit(payer.voucher(session_id, 101))
    carries_voucher(refused.value, None, available=100)
    voucher = payer.voucher(session_id, 60)
    await payer.submit(voucher)
    with pytest.raises(BalanceTooLowError) as refused:
        await payer.submit(payer.voucher(session_id, 101))
    carries_voucher(refused.value, voucher, available=100)
    await payer.close(session_id)
    with pytest.raises(SessionClosedError) as closed:
        await payer.submit(payer.voucher(session_id, 61))
    carries_voucher(closed.value, voucher, available=100)


async def test_a_voucher_that_comes_with_an_ask_has_to_name_its_session(payer: Payer) -> None:
    named, other = await payer.funded(100), await payer.funded(100)
    sessions = payer.service.sessions
    with pytest.raises(SessionUnknownError):
        await sessions.take_voucher(payer.voucher(other, 50), session_id=named)
    assert (await payer.state(other)).authorized == 0
    session = await sessions.take_voucher(payer.voucher(named, 50), session_id=named)
    assert session.account.authorized == 50


async def test_a_higher_voucher_wakes_what_waits_for_it_and_no_other_does(payer: Payer) -> None:
    session_id = await payer.funded(100)
    await payer.submit(payer.voucher(session_id, 40))
    with payer.service.till.changes.watching(session_id) as changed:
        for cumulative in (40, 39):
            await payer.submit(payer.voucher(session_id, cumulative))
        assert not changed.is_set()
        await payer.submit(payer.voucher(session_id, 41))
        assert changed.is_set()


async def test_on_credit_vouchers_go_up_to_what_is_lent(payer: Payer) -> None:
    terms = payer.terms(Backing.CREDIT)
    await payer.open(terms)
    assert (await payer.submit(payer.voucher(terms.digest, 50))).authorized == 50
    with pytest.raises(BalanceTooLowError):
        await payer.submit(payer.voucher(terms.digest, 51))


async def test_in_escrow_vouchers_go_up_to_what_the_issuer_holds(payer: Payer, clock: ManualClock) -> None:
    terms, deposit_id = payer.terms(Backing.ESCROW), os.urandom(16)
    _, instruction = await payer.open(terms, deposit_id=deposit_id, deposit=100)
    assert instruction is not None
    assert instruction.detail is None
    hold = issue_hold(issuer=ISSUER, session_id=terms.digest, deposit_id=deposit_id, amount=100, expire_time=clock.now)
    state, status = await payer.confirm(terms.digest, deposit_id, pack_envelope(hold.envelope))
    assert (state.deposited, status) == (100, TransferStatus.SUCCEEDED)
    assert (await payer.submit(payer.voucher(terms.digest, 100))).authorized == 100
