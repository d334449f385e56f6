"""Receipts that are listed, acknowledged and refunded. Charges are made by hand here."""

import asyncio
import os
from datetime import timedelta

import pytest

from consilience._wire import envelopes
from consilience._wire.envelopes import open_envelope, seal
from consilience.asks import Outcome, Usage
from consilience.envelopes import Signed
from consilience.errors import ReceiptUnknownError, UsageError
from consilience.payments import AcknowledgeReceiptCall, Receipt, SessionTerms
from consilience.payments.receipts import check_chain, check_refund
from consilience.server.store.contract import StoredReceipt
from consilience.tariffs import Backing
from consilience.units import Digest, EncodedEnvelope, RequestId
from sdk.tests.server.payments.tellers import Payer, Teller
from sdk.tests.server.store import ledger_specimens as specimens


async def charged(payer: Payer, session_id: Digest, charge: int) -> Signed[Receipt]:
    """Has an ask of a session run and end, and returns its receipt."""
    made, store = payer.teller, payer.teller.store
    session = await store.ledger.find_session(session_id)
    assert session is not None
    paid = await specimens.bind(store, specimens.new_reservation(session, reserved=charge, ceiling=charge))
    receipt = Receipt(
        node_id=made.key.public_key,
        signing_key=made.key.public_key,
        session_id=session_id,
        number=session.receipt_count + 1,
        previous_digest=session.last_receipt_digest,
        payer=payer.key.public_key,
        request_id=RequestId(os.urandom(16)),
        quote_digest=Digest(os.urandom(32)),
        ask_digest=Digest(os.urandom(32)),
        answer_digest=Digest(os.urandom(32)),
        usage=Usage(output_bytes=charge),
        asset="TEST/0",
        outcome=Outcome.ANSWERED,
        start_time=made.clock.now,
        finish_time=made.clock.now,
        backing=Backing.PREPAID,
        issuer=made.key.public_key,
        charge=charge,
        session_spent=session.account.spent + charge,
        session_authorized=session.account.authorized,
        session_refunded=session.account.refunded,
        funding_commitment=session.funding_commitment,
    )
    signed = seal(receipt, signer=made.key)
    await specimens.finish(store, paid, _stored(signed))
    return signed


def _stored(signed: Signed[Receipt]) -> StoredReceipt:
    return StoredReceipt(
        session_id=signed.value.session_id,
        number=signed.value.number,
        digest=signed.digest,
        charge=signed.value.charge,
        envelope=EncodedEnvelope(envelopes.to_bytes(signed.envelope)),
    )


@pytest.fixture
def terms(payer: Payer) -> Signed[SessionTerms]:
    return payer.terms()


@pytest.fixture
async def session_id(payer: Payer, terms: Signed[SessionTerms]) -> Digest:
    """Is a session of which all is authorized."""
    opened = await payer.funded(1000, terms)
    await payer.submit(payer.voucher(opened, 1000))
    return opened


async def test_receipts_come_in_their_order_from_behind_a_number(payer: Payer, session_id: Digest) -> None:
    assert await payer.receipts(session_id) == ()
    made = [(await charged(payer, session_id, charge)).value for charge in (5, 0, 7, 11)]
    assert list(await payer.receipts(session_id)) == made
    assert list(await payer.receipts(session_id, after=1, page_size=2)) == made[1:3]
    assert list(await payer.receipts(session_id, after=3, page_size=2**31 - 1)) == made[3:]
    for after in (4, 2**63 - 1):
        assert await payer.receipts(session_id, after=after) == ()


async def test_an_acknowledgement_repeats_a_receipt_and_is_kept(payer: Payer, session_id: Digest) -> None:
    first, second = await charged(payer, session_id, 5), await charged(payer, session_id, 7)
    for receipt_digest, spent in (
        (second.digest, 5),
        (second.digest, 13),
        (first.digest, 12),
        (Digest(bytes(32)), 12),
    ):
        with pytest.raises(ReceiptUnknownError):
            await payer.acknowledge(session_id, receipt_digest, spent)
    ledger = payer.teller.store.ledger
    assert await ledger.acknowledgement(session_id) is None
    assert (await payer.acknowledge(session_id, second.digest, 12)).spent == 12
    await payer.acknowledge(session_id, first.digest, 5)
    word = await ledger.acknowledgement(session_id)
    assert word is not None
    call = open_envelope(envelopes.from_bytes(word), AcknowledgeReceiptCall).value
    assert (call.receipt_digest, call.session_spent, call.header.caller) == (second.digest, 12, payer.key.public_key)


async def test_a_receipt_of_another_session_is_unknown(payer: Payer, session_id: Digest) -> None:
    receipt = await charged(payer, session_id, 5)
    other = await payer.funded(100)
    with pytest.raises(ReceiptUnknownError):
        await payer.acknowledge(other, receipt.digest, 5)


async def test_a_refund_gives_back_what_was_charged_by_a_receipt_that_follows(
    payer: Payer, node_teller: Teller, terms: Signed[SessionTerms], session_id: Digest
) -> None:
    accounts = node_teller.service.accounts
    first, second = await charged(payer, session_id, 5), await charged(payer, session_id, 7)
    node_teller.clock.advance(timedelta(hours=1))
    await payer.funded(500, terms)
    refund = await accounts.refund(session_id, first.digest, amount=3)
    check_chain(refund, before=second)
    check_refund(refund, earlier=(first, second))
    assert (refund.value.charge, refund.value.session_refunded, refund.value.session_spent) == (3, 3, 12)
    assert refund.value.finish_time == node_teller.clock.now
    session = await node_teller.store.ledger.find_session(session_id)
    assert session is not None
    assert refund.value.funding_commitment == session.funding_commitment != first.value.funding_commitment
    rest = await accounts.refund(session_id, first.digest, amount=2)
    check_chain(rest, before=refund)
    state = await payer.state(session_id)
    assert (state.refunded, state.spent, state.receipt_count) == (5, 12, 4)
    assert state.last_receipt_digest == rest.digest
    assert [receipt.refund_of for receipt in await payer.receipts(session_id, after=2)] == [first.digest] * 2
    assert (await payer.acknowledge(session_id, rest.digest, 12)).refunded == 5


async def test_no_more_is_given_back_than_was_charged_and_of_no_refund(
    payer: Payer, node_teller: Teller, session_id: Digest
) -> None:
    accounts = node_teller.service.accounts
    first = await charged(payer, session_id, 5)
    refund = await accounts.refund(session_id, first.digest, amount=3)
    for receipt_digest, amount, said in (
        (first.digest, 3, "3 TEST cannot be given back: .* more than the 5 TEST that it charged"),
        (first.digest, 0, "above zero"),
        (first.digest, -1, "above zero"),
        (refund.digest, 1, "no such receipt"),
        (Digest(bytes(32)), 1, "no such receipt"),
    ):
        with pytest.raises(UsageError, match=said):
            await accounts.refund(session_id, receipt_digest, amount=amount)
    assert (await payer.state(session_id)).refunded == 3


async def test_refunds_and_charges_that_come_at_once_make_one_chain(
    payer: Payer, node_teller: Teller, session_id: Digest
) -> None:
    first = await charged(payer, session_id, 50)
    refunds = (node_teller.service.accounts.refund(session_id, first.digest, amount=4) for _ in range(10))
    await asyncio.gather(*refunds)
    receipts = await payer.receipts(session_id)
    assert [receipt.number for receipt in receipts] == list(range(1, 12))
    assert [receipt.session_refunded for receipt in receipts] == [4 * number for number in range(11)]
    assert (await payer.state(session_id)).refunded == 40
