"""Sessions, deposits, reservations and receipts to store, and the way from nothing to a paid ask that runs."""

import hashlib
import os
from dataclasses import dataclass

from consilience.payments import Account, TransferStatus
from consilience.server.store.contract import AskReservation, Settlement, StoredAsk, StoredReceipt
from consilience.server.store.ledger import Ledger, PayingStore, StoredDeposit, StoredSession, StoredWithdrawal
from consilience.units import Digest, EncodedEnvelope
from sdk.tests.server.store.specimens import ACCEPTED, FINISH, KEEP_END, entry, running_ask

VOUCHER = EncodedEnvelope(b"voucher \x00\xff")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paid:
    """A paid ask that runs."""

    ask: StoredAsk
    reservation: AskReservation


def new_digest() -> Digest:
    return Digest(os.urandom(32))


def new_session(*, credit_limit: int = 0) -> StoredSession:
    """Returns a session as a node opens it."""
    return StoredSession(
        session_id=new_digest(),
        terms=EncodedEnvelope(b"terms \x00\xff"),
        account=Account(credit_limit=credit_limit),
    )


def new_deposit(session: StoredSession, *, amount: int = 100) -> StoredDeposit:
    """Returns a deposit as a node begins it."""
    return StoredDeposit(
        session_id=session.session_id,
        deposit_id=os.urandom(16),
        amount=amount,
        instruction=b"instruction \x00\xff",
        rail_ref=os.urandom(20),
    )


def new_withdrawal(session: StoredSession, *, amount: int) -> StoredWithdrawal:
    """Returns a payout as a node begins it."""
    return StoredWithdrawal(session_id=session.session_id, withdrawal_id=os.urandom(16), amount=amount)


def new_reservation(
    session: StoredSession,
    *,
    reserved: int = 10,
    ceiling: int = 50,
    quote_digest: Digest | None = None,
    max_asks: int = 1000,
    total_max_charge: int = 100_000,
) -> AskReservation:
    """Returns what an ask is bound with; under a quote of its own, unless one is named."""
    return AskReservation(
        session_id=session.session_id,
        quote=EncodedEnvelope(b"quote \x00\xff"),
        quote_digest=quote_digest or new_digest(),
        max_asks=max_asks,
        total_max_charge=total_max_charge,
        ceiling=ceiling,
        reserved=reserved,
    )


def receipt(session_id: Digest, number: int, *, charge: int, refund_of: bytes = b"") -> StoredReceipt:
    """Returns the receipt of a session with this number."""
    return StoredReceipt(
        session_id=session_id,
        number=number,
        digest=receipt_digest(session_id, number),
        charge=charge,
        envelope=EncodedEnvelope(b"receipt %d \x00\xff" % number),
        refund_of=refund_of,
    )


def receipt_digest(session_id: Digest, number: int) -> Digest:
    """Returns the digest that `receipt` gives the receipt with this number."""
    return Digest(hashlib.sha256(session_id + b"%d" % number).digest())


async def funded(ledger: Ledger, *, amount: int = 100, authorized: int = 0) -> StoredSession:
    """Opens a session and credits a deposit to it."""
    session = await ledger.open_session(new_session())
    deposit = await ledger.begin_deposit(new_deposit(session, amount=amount))
    credited = await ledger.credit(session.session_id, deposit.deposit_id, amount=amount, reference=new_digest())
    if not authorized:
        return credited
    return await ledger.authorize(session.session_id, cumulative=authorized, voucher=VOUCHER)


async def bind(store: PayingStore, reservation: AskReservation) -> Paid:
    """Binds a new ask."""
    ask = running_ask(replica=store.replica)
    assert await store.bind(ask, first=ACCEPTED, reservation=reservation) is None
    return Paid(ask=ask, reservation=reservation)


async def finish(store: PayingStore, paid: Paid, settled: StoredReceipt | None, *, epoch: int | None = None) -> None:
    """Ends an ask of which the log has one entry."""
    await store.finish(
        paid.ask.key,
        (entry(2),),
        epoch=epoch or paid.ask.epoch,
        finish_time=FINISH,
        keep_until_time=KEEP_END,
        settlement=None if settled is None else Settlement(receipt=settled),
    )


async def state(ledger: Ledger, session: StoredSession) -> StoredSession:
    """Returns a session as it stands now."""
    found = await ledger.find_session(session.session_id)
    assert found is not None
    return found


async def charged(store: PayingStore, session: StoredSession, *, charge: int) -> StoredReceipt:
    """Has an ask of a session run and end, and returns its receipt."""
    paid = await bind(store, new_reservation(session, reserved=charge, ceiling=charge))
    number = (await state(store.ledger, session)).receipt_count + 1
    settled = receipt(session.session_id, number, charge=charge)
    await finish(store, paid, settled)
    return settled


async def status_of(ledger: Ledger, deposit: StoredDeposit) -> TransferStatus:
    """Returns how a deposit stands."""
    found = await ledger.find_deposit(deposit.session_id, deposit.deposit_id)
    assert found is not None
    return found.status
