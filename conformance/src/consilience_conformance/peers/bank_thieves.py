"""Bank thieves: payers that are in league with a bank, against any node that is paid there (spec sections 3.4 and 7.3).

What each side has lost is counted by the books of the bank, where money really moved, and by the text that was read;
of what the node says only the balance counts, which it owes.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.protobuf.wrappers_pb2 import Int32Value
from grpc import aio

from consilience.v1 import node_pb2, payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.payment_methods import CONFIRM, OPEN, WITHDRAW
from consilience_conformance.peers.banks import Bank, moved
from consilience_conformance.peers.thieves import Thief, shown_card
from consilience_conformance.purses import BANK_RAIL
from consilience_conformance.stage import LOOK_SECONDS

AT_ONCE = 8
DEPOSIT_WINDOWS = 5


@dataclass(slots=True, kw_only=True)
class BankThief(Thief):
    """A payer with one prepaid session, whose money lies in a bank of its own making.

    Attributes:
        bank: The bank.
        terms: Those of its session.
    """

    bank: Bank
    terms: SignedEnvelope

    @property
    def sent(self) -> int:
        """What has really moved to the node, in units of the asset."""
        return moved(self.bank.about(self.session_id), comes=True)

    @property
    def got_back(self) -> int:
        """What has really moved from the node."""
        return moved(self.bank.about(self.session_id), comes=False)

    @property
    def loss_of_the_node(self) -> int:
        """What the node has delivered and paid out beyond what it was really paid."""
        return max(0, self.loot + self.got_back - self.sent)

    def loss_of_the_payer(self, state: payment_pb2.SessionState) -> int:
        """Returns what the payer has paid, and has neither read, nor got back, nor still has with the node."""
        balance = state.deposited + state.refunded - state.withdrawn - state.spent
        return max(0, self.sent - self.loot - self.got_back - balance)

    async def open_deposit(self, deposit_id: bytes, *, amount: int) -> bool:
        """Asks for a deposit, and tells whether it was started."""
        call = payment_pb2.OpenSessionCall(
            header=self.header(OPEN), terms=self.terms, deposit_id=deposit_id, deposit=amount
        )
        return await self.is_taken(OPEN, payment_pb2.OpenSessionRequest(call=self.caller.seal(call)))

    async def confirm(self, deposit_id: bytes, *, shown: int = 0) -> bool:
        """Says that a deposit was made, and shows a number as the proof; tells whether the call was taken."""
        proof = Any()
        proof.Pack(Int32Value(value=shown))
        call = payment_pb2.ConfirmDepositCall(
            header=self.header(CONFIRM), session_id=self.session_id, deposit_id=deposit_id, proof=proof
        )
        return await self.is_taken(CONFIRM, payment_pb2.ConfirmDepositRequest(call=self.caller.seal(call)))

    async def withdraw(self, withdrawal_id: bytes, *, amount: int) -> bool:
        """Takes money back, and tells whether the call was taken."""
        call = payment_pb2.WithdrawCall(
            header=self.header(WITHDRAW), session_id=self.session_id, withdrawal_id=withdrawal_id, amount=amount
        )
        return await self.is_taken(WITHDRAW, payment_pb2.WithdrawRequest(call=self.caller.seal(call)))

    async def is_taken(self, method: str, request: Message) -> bool:
        """Makes a call, and tells whether the node took it."""
        try:
            await self.call(method, request)
        except aio.AioRpcError:
            return False
        return True

    async def deposits_once_and_claims_twice(self) -> bytes:
        """Pays one deposit, and has it and another one looked at many times at once; returns the id of the paid one."""
        amount = DEPOSIT_WINDOWS * int(self.price.window)
        paid, unpaid = secrets.token_bytes(16), secrets.token_bytes(16)
        for deposit_id in (paid, unpaid):
            await self.open_deposit(deposit_id, amount=amount)
        if self.bank.about(self.session_id, paid):
            self.bank.pay(self.session_id, paid, amount=amount)
        for deposit_id in (paid, unpaid):
            await asyncio.gather(*(self.confirm(deposit_id, shown=number) for number in range(AT_ONCE)))
        return paid

    async def spends_what_it_can(self) -> None:
        """Signs twice what it has paid, a unit more, and a window, and reads to the end what is delivered for it."""
        window = int(self.price.window)
        for total in (2 * DEPOSIT_WINDOWS * window, DEPOSIT_WINDOWS * window + 1, self.authorized + window):
            await self.pay(total)
            await self.read(self.request(voucher=None), until_it_waits=True)
        await self.settled()

    async def settled(self) -> payment_pb2.SessionState:
        """Returns how the session stands once no answer waits for money, which the next voucher would bring it."""
        while (state := await self.state()).reserved:  # noqa: ASYNC110 - a node tells it to whoever asks
            await asyncio.sleep(LOOK_SECONDS)
        return state

    async def withdraws_again_and_again(self) -> None:
        """Takes all that is left, by many ids at once, each of them many times."""
        state = await self.state()
        left = state.deposited + state.refunded - state.withdrawn - state.authorized
        if left > 0:
            ids = [secrets.token_bytes(16) for _ in range(2)]
            await asyncio.gather(*(self.withdraw(one, amount=left) for one in ids for _ in range(AT_ONCE)))
            await asyncio.gather(*(self.withdraw(one, amount=left) for one in ids))


@asynccontextmanager
async def bank_thief_at(authority: str, *, bank: Bank, skill_id: str) -> AsyncIterator[BankThief]:
    """Connects to a node without TLS on this machine, and makes ready to rob it.

    Args:
        authority: Its `host:port`.
        bank: Where the node is paid.
        skill_id: A skill that is priced by requests and bytes alone, on the rail `conformance.bank`.
    """
    async with aio.insecure_channel(authority) as channel:
        card = await shown_card(channel)
        thief = BankThief(channel=channel, card=card, skill_id=skill_id, bank=bank, terms=SignedEnvelope())
        await thief.get_price()
        issuer = node_pb2.NodeCard.FromString(card.payload).node_id
        thief.terms = await thief.open_session(rail_id=BANK_RAIL, backing=tariff_pb2.BACKING_PREPAID, issuer=issuer)
        yield thief
