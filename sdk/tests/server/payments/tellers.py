"""A teller: PaymentService over a real store, called with real requests; and payers with keys of their own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from consilience._wire import envelopes, services
from consilience._wire import payments as wire
from consilience._wire.envelopes import open_envelope, seal
from consilience.calls import CallHeader, new_header
from consilience.envelopes import Envelope, Signed
from consilience.errors import RefusedError, SessionBalance
from consilience.identity import KeyPair
from consilience.nodes import Endpoint, TlsMode
from consilience.payments import (
    ACKNOWLEDGE_METHOD,
    CLOSE_METHOD,
    CONFIRM_METHOD,
    GET_SESSION_METHOD,
    LIST_METHOD,
    OPEN_METHOD,
    QUOTE_METHOD,
    WITHDRAW_METHOD,
    AcknowledgeReceiptCall,
    CloseSessionCall,
    ConfirmDepositCall,
    DepositInstruction,
    GetQuoteCall,
    GetSessionCall,
    ListReceiptsCall,
    OpenSessionCall,
    Quote,
    Receipt,
    SessionState,
    SessionTerms,
    TransferStatus,
    Voucher,
    WithdrawCall,
)
from consilience.rails.contract import RailSettings
from consilience.rails.hold import HoldRail
from consilience.server import Node
from consilience.server.admission import House
from consilience.server.cards import CardIssuer
from consilience.server.payments import Offer, Payments
from consilience.server.payments.changes import Changes
from consilience.server.payments.quotes import Quotes
from consilience.server.payments.service import PaymentService
from consilience.server.payments.tills import Till
from consilience.server.rates import CallRate
from consilience.server.store.ledger import PayingStore
from consilience.tariffs import Backing, PricedUnit, Tariff, UnitPrice
from consilience.units import Digest, EncodedAny
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.payments.simulated_rails import SimulatedWorld
from sdk.tests.server.specimens import PATIENCE_SECONDS, echo

PATIENCE = timedelta(seconds=1)
"""How long a rail gets to answer: those that are silent here never do, and the others may be held up."""

TARIFF = Tariff(id="standard", asset="TEST/0", prices=(UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1),))
ISSUER = KeyPair(b"i" * 32)
HOLD = HoldRail(max_credit=50, min_deposit=10, max_deposit=1000, issuers=(ISSUER.public_key,))


@dataclass(frozen=True, kw_only=True)
class Teller:
    """The payments of one node, in one life of it."""

    key: KeyPair
    service: PaymentService
    store: PayingStore
    clock: ManualClock

    def payer(self, key: KeyPair | None = None) -> Payer:
        """Returns a payer, a new one unless it brings its key."""
        return Payer(teller=self, key=key or KeyPair.generate())


@asynccontextmanager
async def teller(
    store: PayingStore,
    *,
    key: KeyPair,
    clock: ManualClock,
    rails: tuple[RailSettings, ...] = (HOLD,),
    patience: timedelta = PATIENCE,
    sessions_per_minute: int = 1000,
    transfers_per_minute: int = 1000,
) -> AsyncIterator[Teller]:
    """Gives a life to the payments of a node whose store is open."""
    payments = Payments(
        rails=rails,
        quotes_per_minute=5,
        sessions_per_minute=sessions_per_minute,
        transfers_per_minute=transfers_per_minute,
    )
    node = Node("test", key=key, store=store, payments=payments, clock=clock)
    node.skill("echo", offers=(Offer(tariff=TARIFF, window=20, max_charge=100),))(echo)
    node.skill("free")(echo)
    plan = node._plan()
    assert plan.trade is not None
    cards = CardIssuer(
        plan.description,
        root=plan.root,
        keys=plan.keys,
        store=store,
        endpoints=lambda: (Endpoint(uri="http://127.0.0.1:7341", tls_mode=TlsMode.LOOPBACK_PLAIN),),
        clock=clock,
    )
    await cards.issue()
    service = PaymentService.of(
        house=House(
            node_id=key.public_key,
            limits=plan.description.limits,
            data_policy=plan.description.data_policy,
            extensions=(),
        ),
        cards=cards,
        till=Till(node_id=key.public_key, keys=plan.keys, ledger=store.ledger, changes=Changes(), clock=clock),
        quotes=Quotes(
            node_id=key.public_key,
            keys=plan.keys,
            skills=plan.skills,
            book=plan.trade.prices,
            rails=plan.trade.listed,
            rate=CallRate(per_minute=plan.description.limits.max_quotes_per_minute),
            running_asks=lambda: 0,
            max_running_asks=1,
        ),
        rails=plan.trade.rails,
        session_rate=CallRate(per_minute=payments.sessions_per_minute),
        transfer_rate=CallRate(per_minute=payments.transfers_per_minute),
        patience=patience,
    )
    try:
        yield Teller(key=key, service=service, store=store, clock=clock)
    finally:
        await service.close()


@dataclass(frozen=True, kw_only=True)
class Payer:
    """Calls a teller with one key."""

    teller: Teller
    key: KeyPair

    @property
    def service(self) -> PaymentService:
        return self.teller.service

    def header(self, method: str, **changes: Any) -> CallHeader:
        made = new_header(
            method=method, audience=self.teller.key.public_key, caller=self.key.public_key, now=self.teller.clock.now
        )
        return replace(made, **changes)

    def terms(self, backing: Backing = Backing.PREPAID, **changes: Any) -> Signed[SessionTerms]:
        """Signs the terms of a new session."""
        issuer = {Backing.PREPAID: self.teller.key, Backing.CREDIT: self.key, Backing.ESCROW: ISSUER}[backing]
        made = SessionTerms(
            payer=self.key.public_key,
            payee=self.teller.key.public_key,
            asset="TEST/0",
            rail_id="hold.v1",
            network="test",
            backing=backing,
            issuer=issuer.public_key,
            salt=os.urandom(16),
            credit_limit=50 if backing is Backing.CREDIT else 0,
        )
        return seal(replace(made, **changes), signer=self.key)

    async def call(self, method: Callable[[bytes], Awaitable[bytes]], call: object) -> bytes:
        """Signs a call, and sends it."""
        return await method(services.encode_request(seal(call, signer=self.key).envelope))

    def opening(self, terms: Envelope, *, deposit_id: bytes = b"", deposit: int = 0, **header: Any) -> OpenSessionCall:
        return OpenSessionCall(
            header=self.header(OPEN_METHOD, **header), terms=terms, deposit_id=deposit_id, deposit=deposit
        )

    async def open(
        self, terms: Signed[SessionTerms], *, deposit_id: bytes = b"", deposit: int = 0
    ) -> tuple[SessionState, DepositInstruction | None]:
        call = self.opening(terms.envelope, deposit_id=deposit_id, deposit=deposit)
        state, instruction = wire.decode_opened(await self.call(self.service.open_session, call))
        return self._state(state), instruction

    async def confirm(
        self, session_id: Digest, deposit_id: bytes, proof: EncodedAny | None = None
    ) -> tuple[SessionState, TransferStatus]:
        call = ConfirmDepositCall(
            header=self.header(CONFIRM_METHOD), session_id=session_id, deposit_id=deposit_id, proof=proof
        )
        state, status = wire.decode_confirmed(await self.call(self.service.confirm_deposit, call))
        return self._state(state), status

    async def funded(self, amount: int = 100, terms: Signed[SessionTerms] | None = None) -> Digest:
        """Opens a prepaid session by a hold, and makes a deposit."""
        signed, deposit_id = terms or self.terms(), os.urandom(16)
        _, instruction = await self.open(signed, deposit_id=deposit_id, deposit=amount)
        assert instruction is not None
        _, status = await self.confirm(signed.digest, deposit_id, instruction.detail)
        assert status is TransferStatus.SUCCEEDED
        return signed.digest

    async def order(self, amount: int = 100, *, rail_id: str = "sim.v1") -> tuple[Digest, bytes]:
        """Opens a session and asks for a deposit by a simulated rail; returns session and deposit."""
        terms, deposit_id = self.terms(rail_id=rail_id), os.urandom(16)
        await self.open(terms, deposit_id=deposit_id, deposit=amount)
        return terms.digest, deposit_id

    async def pay_in(self, world: SimulatedWorld, amount: int = 100) -> Digest:
        """Opens a session and has money of a simulated world come into it."""
        deposit = await self.order(amount)
        world.arrived[deposit] = amount
        await self.confirm(*deposit)
        return deposit[0]

    def voucher(self, session_id: Digest, cumulative: int, **changes: Any) -> Envelope:
        made = Voucher(payer=self.key.public_key, session_id=session_id, cumulative=cumulative)
        return seal(replace(made, **changes), signer=self.key).envelope

    async def submit(self, voucher: Envelope) -> SessionState:
        response = await self.service.submit_voucher(services.encode_request(voucher))
        return self._state(wire.decode_state(response))

    async def state(self, session_id: Digest) -> SessionState:
        call = GetSessionCall(header=self.header(GET_SESSION_METHOD), session_id=session_id)
        return self._state(wire.decode_state(await self.call(self.service.get_session, call)))

    async def wait_for_money(self, session_id: Digest) -> None:
        """Waits until something is deposited; a node that credits nothing makes the test fail soon, and not hang."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not (await self.state(session_id)).deposited:  # noqa: ASYNC110 - as a payer looks
                await asyncio.sleep(0.001)

    async def withdraw(
        self, session_id: Digest, amount: int, *, withdrawal_id: bytes | None = None, to: EncodedAny | None = None
    ) -> tuple[SessionState, TransferStatus, EncodedAny | None]:
        call = WithdrawCall(
            header=self.header(WITHDRAW_METHOD),
            session_id=session_id,
            withdrawal_id=withdrawal_id or os.urandom(16),
            amount=amount,
            destination=to,
        )
        state, status, detail = wire.decode_withdrawn(await self.call(self.service.withdraw, call))
        return self._state(state), status, detail

    async def close(self, session_id: Digest) -> SessionState:
        call = CloseSessionCall(header=self.header(CLOSE_METHOD), session_id=session_id)
        return self._state(wire.decode_state(await self.call(self.service.close_session, call)))

    async def receipts(self, session_id: Digest, *, after: int = 0, page_size: int = 0) -> tuple[Receipt, ...]:
        call = ListReceiptsCall(
            header=self.header(LIST_METHOD), session_id=session_id, after_number=after, page_size=page_size
        )
        found = wire.decode_receipts(await self.call(self.service.list_receipts, call))
        return tuple(open_envelope(one, Receipt).value for one in found)

    async def acknowledge(self, session_id: Digest, receipt_digest: Digest, spent: int) -> SessionState:
        call = AcknowledgeReceiptCall(
            header=self.header(ACKNOWLEDGE_METHOD),
            session_id=session_id,
            receipt_digest=receipt_digest,
            session_spent=spent,
        )
        return self._state(wire.decode_state(await self.call(self.service.acknowledge_receipt, call)))

    async def quote(self, skill_id: str = "echo", **changes: Any) -> Signed[Quote]:
        call = GetQuoteCall(header=self.header(QUOTE_METHOD), skill_id=skill_id, **changes)
        return open_envelope(wire.decode_quote(await self.call(self.service.get_quote, call)), Quote)

    def _state(self, received: Envelope) -> SessionState:
        """Returns a state, which is signed by the node."""
        state = open_envelope(received, SessionState).value
        assert state.node_id == state.signing_key == self.teller.key.public_key
        assert state.issue_time == self.teller.clock.now
        return state


def carries_voucher(refused: RefusedError, voucher: Envelope | None, *, available: int) -> None:
    """Checks that a refusal tells a payer how its session stands, and its own last word (PAY-VCH-003)."""
    assert isinstance(refused.detail, SessionBalance)
    assert refused.detail.available == available
    carried = refused.detail.voucher
    assert (None if carried is None else envelopes.from_bytes(carried)) == voucher
