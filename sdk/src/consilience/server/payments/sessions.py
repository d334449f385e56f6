"""Sessions: opens them, takes vouchers, closes them (spec sections 3.3, 3.5 and 3.7).

Each account is a matter between its payer and the node: whoever else asks learns that there is none (PAY-SES-003).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from consilience._wire import envelopes
from consilience._wire.payments import decode_instruction
from consilience.envelopes import Envelope, Signed
from consilience.errors import (
    AudienceWrongError,
    DepositInvalidError,
    SignerWrongError,
    Supported,
    TermsRefusedError,
)
from consilience.identity import format_node_id
from consilience.payments import (
    MAX_AMOUNT,
    Account,
    DepositInstruction,
    OpenSessionCall,
    SessionStatus,
    SessionTerms,
    TransferStatus,
    Voucher,
    check_terms,
    check_voucher,
)
from consilience.rails.contract import DepositOrder
from consilience.server.load import count_call
from consilience.server.payments.receipts import terms_of
from consilience.server.payments.states import refusing, session_closed, session_unknown
from consilience.server.payments.tills import Till
from consilience.server.payments.transfers import Transfers
from consilience.server.rates import CallRate
from consilience.server.store.ledger import StoredDeposit, StoredSession
from consilience.tariffs import Backing, Rail
from consilience.units import Digest, EncodedEnvelope, PublicKey

SESSIONS_LIMIT = "max_sessions_per_minute"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sessions:
    """The sessions of a node.

    Attributes:
        till: Keeps the ledger.
        transfers: Start deposits.
        rate: Counts how often each caller opens sessions and starts deposits.
    """

    till: Till
    transfers: Transfers
    rate: CallRate

    async def open(self, call: OpenSessionCall) -> tuple[StoredSession, DepositInstruction | None]:
        """Opens the session of some terms, or finds it, and starts a deposit where one is wanted.

        Returns:
            The session, and how to make the deposit; None: none is wanted, or it has arrived.

        Raises:
            RefusedError: For the first reason that holds, in the order of spec section 3.3; nothing is left behind.
            NodeFaultError: The rail does not answer, or the node keeps no more.
            LimitExceededError: The caller opens too many.
        """
        terms = self._opened(call)
        session = await self.till.ledger.find_session(terms.digest)
        if session is None:
            _check_offered(terms.value, offers=self.transfers.offers)
        deposit = await self._earlier_deposit(call, session=session)
        started = None
        if call.deposit_id and deposit is None:
            started = await self._start_deposit(call, terms=terms, session=session)
        elif session is None:
            self._count(call.header.caller)
        if session is None:
            session = await self._open(terms)
        if started is not None:
            with refusing(deposit=True):
                deposit = await self.till.ledger.begin_deposit(started)
        if deposit is not None:  # who tells that it has arrived tells of the session with it, and not of that before
            session = await self.find(terms.digest, caller=call.header.caller)
        if deposit is None or deposit.status is TransferStatus.SUCCEEDED:
            return session, None
        return session, decode_instruction(deposit.instruction)

    async def find(self, session_id: Digest, *, caller: PublicKey) -> StoredSession:
        """Returns a session of a payer.

        Raises:
            SessionUnknownError: There is none, or it is another payer's (PAY-SES-003).
        """
        session = await self.till.ledger.find_session(session_id)
        if session is None or terms_of(session.terms).payer != caller:
            raise session_unknown()
        return session

    async def take_voucher(self, received: Envelope, /, *, session_id: Digest | None = None) -> StoredSession:
        """Takes a voucher, and wakes the answers that wait for it.

        Args:
            received: The voucher, not verified.
            session_id: Of the session that it has to name; None: any of its payer.

        Raises:
            RefusedError: For the first reason that holds, in the order of spec section 3.5; the session is as it was.
        """
        voucher = envelopes.open_envelope(received, Voucher).value
        check_voucher(voucher)
        if session_id not in (None, voucher.session_id):
            raise session_unknown()
        before = await self.find(voucher.session_id, caller=voucher.payer)
        with refusing(required=voucher.cumulative):
            session = await self.till.ledger.authorize(
                voucher.session_id,
                cumulative=voucher.cumulative,
                voucher=EncodedEnvelope(envelopes.to_bytes(received)),
            )
        if session.account.authorized > before.account.authorized:
            self.till.changes.announce(session.session_id)
        return session

    async def close(self, session_id: Digest, *, caller: PublicKey) -> StoredSession:
        """Takes nothing new on a session, and ends it once its running asks have ended; charges nothing (PAY-CLS-002).

        Raises:
            SessionUnknownError: As for `find`.
        """
        await self.find(session_id, caller=caller)
        with refusing():
            return await self.till.ledger.close_session(session_id)

    def _opened(self, call: OpenSessionCall) -> Signed[SessionTerms]:
        """Takes steps 1 to 3."""
        terms = envelopes.open_envelope(call.terms, SessionTerms)
        check_terms(terms.value)
        if terms.value.payer != call.header.caller:
            raise SignerWrongError("the terms are another payer's")
        if terms.value.payee != self.till.node_id:
            raise AudienceWrongError("the terms are for another node")
        return terms

    async def _earlier_deposit(self, call: OpenSessionCall, *, session: StoredSession | None) -> StoredDeposit | None:
        """Takes steps 7 and 8, and returns the deposit that is there already."""
        if session is None or not call.deposit_id:
            return None
        if session.status is not SessionStatus.OPEN:
            raise session_closed(session)
        earlier = await self.till.ledger.find_deposit(session.session_id, call.deposit_id)
        if earlier is not None and earlier.amount != call.deposit:
            raise DepositInvalidError(f"the id stands for a deposit of {earlier.amount}")
        return earlier

    async def _start_deposit(
        self, call: OpenSessionCall, *, terms: Signed[SessionTerms], session: StoredSession | None
    ) -> StoredDeposit:
        """Takes steps 9 and 10, and returns the deposit as it is to be stored."""
        self._check_amount(call.deposit, terms=terms.value, account=None if session is None else session.account)
        self._count(call.header.caller)
        order = DepositOrder(
            session_id=terms.digest, terms=terms.value, deposit_id=call.deposit_id, amount=call.deposit
        )
        return await self.transfers.start(order)

    def _check_amount(self, amount: int, *, terms: SessionTerms, account: Account | None) -> None:
        """Takes step 9; an amount beyond all numbers could never be credited."""
        if terms.backing is Backing.CREDIT:
            raise DepositInvalidError("nothing is deposited on credit")
        deposited = 0 if account is None else account.deposited
        offer = self.transfers.offer(terms.rail_id)
        if offer is None:
            raise DepositInvalidError(f"nothing is deposited by {terms.rail_id} here any more")
        most = min(offer.max_deposit or MAX_AMOUNT, MAX_AMOUNT - deposited)
        if not offer.min_deposit <= amount <= most:
            raise DepositInvalidError(f"a deposit is {offer.min_deposit} to {most} here, not {amount}")

    def _count(self, caller: PublicKey) -> None:
        """Refuses a caller that opens more than the node lets one: each session is kept for ever."""
        count_call(self.rate, caller, limit=SESSIONS_LIMIT, now=self.till.clock())

    async def _open(self, terms: Signed[SessionTerms]) -> StoredSession:
        new = StoredSession(
            session_id=terms.digest,
            terms=EncodedEnvelope(envelopes.to_bytes(terms.envelope)),
            account=Account(credit_limit=terms.value.credit_limit),
        )
        with refusing():
            return await self.till.ledger.open_session(new)


def _check_offered(terms: SessionTerms, *, offers: tuple[Rail, ...]) -> None:
    """Takes steps 5 and 6.

    Raises:
        TermsRefusedError: With the field of the terms, and what the card offers there.
    """
    rail = next((offer for offer in offers if offer.id == terms.rail_id), None)
    if rail is None:
        raise _not_offered("rail_id", *(offer.id for offer in offers))
    for field, offered in _unoffered(terms, rail):
        raise _not_offered(field, *offered)


def _unoffered(terms: SessionTerms, rail: Rail) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Tells which fields of terms a rail does not offer so, and what it offers instead."""
    if terms.network != rail.network:
        yield "network", (rail.network,)
    if terms.asset not in rail.assets:
        yield "asset", rail.assets
    if terms.backing not in rail.backings:
        yield "backing", tuple(f"BACKING_{backing.name}" for backing in rail.backings)
    if terms.backing is Backing.ESCROW and terms.issuer not in rail.issuers:
        yield "issuer", tuple(map(format_node_id, rail.issuers))
    if terms.credit_limit > rail.max_credit:
        yield "credit_limit", (str(rail.max_credit),)


def _not_offered(field: str, *offered: str) -> TermsRefusedError:
    detail = Supported(field=field, values=offered)
    return TermsRefusedError(f"the card does not offer this {field}", detail=detail)
