"""Books: what an operator sees of the money of a node, and does with it, whether the node runs or not.

A store that replicas may share is opened as one more of them, which takes no asks::

    async with opened_books(store, root=root, keys=FixedKey(root)) as books:
        for row in await books.earnings():
            print(row.asset, row.earned)
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from consilience._wire import envelopes
from consilience._wire.payments import decode_instruction
from consilience.envelopes import Signed
from consilience.errors import UsageError
from consilience.identity import Signer
from consilience.payments import Account, Amount, Receipt, SessionStatus, SessionTerms
from consilience.rails.hold import HOLD_RAIL, issue_hold
from consilience.server.keys import SigningKeys
from consilience.server.payments.accounts import Accounts
from consilience.server.payments.changes import Changes
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.tills import Till
from consilience.server.store.contract import StoreLockedError
from consilience.server.store.ledger import Ledger, PayingStore, StoredDeposit, StoredSession
from consilience.tariffs import Backing
from consilience.units import Digest, EncodedEnvelope, PublicKey, utc_now

REPLICA = "books"
PAGE = 500
LEASE = timedelta(minutes=1)
PATIENCE_SECONDS = 10.0
"""How long the books are waited for while somebody else works on them."""

RETRY_SECONDS = 0.1


class BooksError(UsageError):
    """The books do not have what was asked for, or do not allow it."""

    remedy = "Look at the sessions and receipts that there are."


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedSession:
    """A session as the operator sees it.

    Attributes:
        session_id: The digest of the terms, 32 bytes.
        terms: Who pays, in what, and what stands behind it.
        status: What it is open for.
        account: Its counters, in units of the asset.
        receipt_count: How many receipts it has.
        awaited: The deposits that have not come yet.
    """

    session_id: Digest
    terms: SessionTerms
    status: SessionStatus
    account: Account
    receipt_count: int
    awaited: tuple[StoredDeposit, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Earnings:
    """What the sessions of one kind have brought, in units of the asset.

    Attributes:
        asset, rail_id, network, backing: The kind. What is earned on CREDIT is owed to the node.
        sessions, receipts: How many.
        deposited, authorized, reserved, spent, refunded, withdrawn: The sums of the counters.
    """

    asset: str
    rail_id: str
    network: str
    backing: Backing
    sessions: int = 0
    receipts: int = 0
    deposited: int = 0
    authorized: int = 0
    reserved: int = 0
    spent: int = 0
    refunded: int = 0
    withdrawn: int = 0

    @property
    def earned(self) -> int:
        """What was charged and not given back."""
        return self.spent - self.refunded

    def and_of(self, session: BookedSession) -> Earnings:
        """Returns the sum of this and a session."""
        account = session.account
        sums = {
            name: getattr(self, name) + getattr(account, name)
            for name in ("deposited", "authorized", "reserved", "spent", "refunded", "withdrawn")
        }
        return replace(self, sessions=self.sessions + 1, receipts=self.receipts + session.receipt_count, **sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantedHold:
    """A promise for one deposit, to hand to its payer.

    Attributes:
        payer: Whose session it is for, 32 bytes.
        amount: Of the deposit.
        expire_time: Until when the payer has to show it, aware UTC.
        encoded: The encoded SignedEnvelope, for a file.
    """

    payer: PublicKey
    amount: Amount
    expire_time: datetime
    encoded: EncodedEnvelope


@asynccontextmanager
async def opened_books(
    store: PayingStore, *, root: Signer, keys: SigningKeys, clock: Callable[[], datetime] = utc_now
) -> AsyncIterator[Books]:
    """Opens the books of a node.

    Args:
        store: That of the node, not open here.
        root: The root key of the node.
        keys: Sign receipts.
        clock: Tells the aware UTC time.

    Raises:
        StoreLockedError: Somebody else works on the books, and goes on.
        StoreError: The store cannot be opened.
    """
    give_up = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while True:
        try:
            await store.open(replica=REPLICA, lease_until=clock() + LEASE)
            break
        except StoreLockedError:
            if asyncio.get_running_loop().time() > give_up:
                raise
            await asyncio.sleep(RETRY_SECONDS)
    try:
        till = Till(node_id=root.public_key, keys=keys, ledger=store.ledger, changes=Changes(), clock=clock)
        yield Books(ledger=store.ledger, root=root, accounts=Accounts(till=till), clock=clock)
    finally:
        await store.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The sessions and receipts of a node.

    Attributes:
        ledger: Keeps them.
        root: The root key of the node: it signs holds.
        accounts: Make refunds.
        clock: Tells the aware UTC time.
    """

    ledger: Ledger
    root: Signer
    accounts: Accounts
    clock: Callable[[], datetime]

    async def sessions(self) -> AsyncGenerator[BookedSession, None]:
        """Yields all sessions, in the order of their ids."""
        awaited: dict[Digest, list[StoredDeposit]] = {}
        for deposit in await self.ledger.pending_deposits():
            awaited.setdefault(deposit.session_id, []).append(deposit)
        after = b""
        while page := await self.ledger.sessions(after=after, limit=PAGE):
            for session in page:
                yield _booked(session, awaited=tuple(awaited.get(session.session_id, ())))
            after = page[-1].session_id

    async def earnings(self) -> tuple[Earnings, ...]:
        """Returns what was earned, for each kind of session; what cannot be summed stays apart."""
        rows: dict[tuple[str, str, str, Backing], Earnings] = {}
        async for session in self.sessions():
            terms = session.terms
            kind = (terms.asset, terms.rail_id, terms.network, terms.backing)
            row = rows.get(kind) or Earnings(
                asset=terms.asset, rail_id=terms.rail_id, network=terms.network, backing=terms.backing
            )
            rows[kind] = row.and_of(session)
        return tuple(rows[kind] for kind in sorted(rows))

    async def session(self, session_id: Digest) -> BookedSession:
        """Returns a session.

        Raises:
            BooksError: There is none of this id.
        """
        session = await self.ledger.find_session(session_id)
        if session is None:
            raise BooksError(f"there is no session {session_id.hex()}")
        pending = await self.ledger.pending_deposits()
        return _booked(session, awaited=tuple(each for each in pending if each.session_id == session_id))

    async def receipts(self, session_id: Digest) -> AsyncGenerator[Signed[Receipt], None]:
        """Yields the receipts of a session in their order, refunds among them."""
        after = 0
        while page := await self.ledger.receipts(session_id, after=after, limit=PAGE):
            for stored in page:
                yield envelopes.open_envelope(envelopes.from_bytes(stored.envelope), Receipt)
            after = page[-1].number

    async def refund(self, session_id: Digest, receipt_digest: Digest, *, amount: int) -> Signed[Receipt]:
        """Gives a charge back, or a part of it; the payer finds the receipt that says so with ListReceipts.

        Args:
            session_id: Of the session.
            receipt_digest: Of the receipt whose charge it is.
            amount: In units of the asset, above zero.

        Raises:
            BooksError: The session has no such charge, or less of it is left; or a former root key has signed its
                receipts, which nobody takes from another one.
        """
        if amount <= 0:
            raise BooksError("a refund is above zero")
        if (await self.session(session_id)).terms.payee != self.root.public_key:
            raise BooksError("the session is with a former root key of the node, and no other can sign its receipts")
        try:
            return await self.accounts.refund(session_id, receipt_digest, amount=amount)
        except UsageError as error:
            raise BooksError(str(error)) from error

    async def hold(self, session_id: Digest, deposit_id: bytes | None = None, *, lifetime: timedelta) -> GrantedHold:
        """Promises a deposit of a prepaid session, to a payer that has paid by other means (spec section 3.4).

        No promise outlives the time of its deposit, after which the node credits nothing for it.

        Args:
            session_id: Of the session.
            deposit_id: Of the deposit, 16 bytes; None: the only one that the session waits for.
            lifetime: How long the payer has to show the promise, at most.

        Raises:
            BooksError: The session does not wait for such a deposit, or not any more, or is closed, or it is not the
                node's to promise it.
        """
        session = await self.session(session_id)
        if (session.terms.rail_id, session.terms.backing) != (HOLD_RAIL, Backing.PREPAID):
            raise BooksError(f"the node makes no promises for a session on {session.terms.rail_id}, backed otherwise")
        if session.status is not SessionStatus.OPEN:
            raise BooksError(
                "the payer has closed the session, which takes no deposit any more; its next ask begins another, in"
                " another session"
            )
        named = [each for each in session.awaited if deposit_id in (None, each.deposit_id)]
        if len(named) != 1:
            waiting = ", ".join(each.deposit_id.hex() for each in session.awaited) or "none"
            raise BooksError(f"the session waits for {len(named)} such deposits; it waits for: {waiting}")
        now, end = self.clock(), decode_instruction(named[0].instruction).expire_time
        if now >= end:
            raise BooksError(
                f"the payer had time for the deposit until {end:%F %T} UTC; its next ask begins another deposit"
            )
        hold = issue_hold(
            issuer=self.root,
            session_id=session_id,
            deposit_id=named[0].deposit_id,
            amount=named[0].amount,
            expire_time=min(now + lifetime, end),
        )
        return GrantedHold(
            payer=session.terms.payer,
            amount=Amount(named[0].amount, session.terms.asset),
            expire_time=hold.value.expire_time,
            encoded=EncodedEnvelope(envelopes.to_bytes(hold.envelope)),
        )


def _booked(session: StoredSession, *, awaited: tuple[StoredDeposit, ...]) -> BookedSession:
    return BookedSession(
        session_id=session.session_id,
        terms=terms_of(session.terms),
        status=session.status,
        account=session.account,
        receipt_count=session.receipt_count,
        awaited=awaited,
    )
