"""Thieves: payers that want text for nothing, each a small program against any node that is paid (spec section 3.9).

Each is given a purse of its own and comes back with its loot: the answers that it read. What the node lost by that is
what the text costs beyond what was authorized; `Thief.loss` counts it from outside, without a word of the node.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from google.protobuf.message import Message
from grpc import aio

from consilience.v1 import ask_pb2, node_pb2, payment_pb2, tariff_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance import envelopes
from consilience_conformance.ask_methods import ASK
from consilience_conformance.callers import Caller
from consilience_conformance.payment_methods import CLOSE, GET_QUOTE, GET_SESSION, OPEN, SUBMIT
from consilience_conformance.purses import HOLD_RAIL, TEST_NETWORK
from consilience_conformance.rules import tariffs
from consilience_conformance.targets import GET_NODE_CARD
from consilience_conformance.wire_values import timestamp

_LIFETIME = timedelta(seconds=30)
_MANY = 20
_FLOOD = 300


@dataclass(slots=True, kw_only=True)
class Thief:
    """A payer with one session on credit, whose calls break no rule but those that it means to break.

    Attributes:
        channel: To the node.
        card: The node's, as it was shown.
        skill_id: What it asks for.
        caller: Its key.
        quote: The price.
        session_id: Its session.
        authorized: The highest voucher that the node took.
        texts: What was read of each ask, by its request id.
    """

    channel: aio.Channel
    card: SignedEnvelope
    skill_id: str
    caller: Caller = field(default_factory=Caller.new)
    quote: SignedEnvelope = field(default_factory=SignedEnvelope)
    session_id: bytes = b""
    authorized: int = 0
    texts: dict[bytes, str] = field(default_factory=dict)

    @property
    def price(self) -> payment_pb2.Quote:
        """What was agreed on."""
        return payment_pb2.Quote.FromString(self.quote.payload)

    @property
    def loot(self) -> int:
        """What all the text that was read costs, in units of the asset."""
        price = self.price
        used = (ask_pb2.Usage(output_bytes=len(text.encode())) for text in self.texts.values() if text)
        return sum(tariffs.cost(price.tariff, usage) for usage in used)

    @property
    def loss(self) -> int:
        """What the node has delivered and can never settle."""
        return max(0, self.loot - self.authorized)

    async def prepare(self, *, credit: int) -> None:
        """Gets a price and opens a session on credit."""
        await self.get_price()
        backing = tariff_pb2.BACKING_CREDIT
        await self.open_session(rail_id=HOLD_RAIL, backing=backing, issuer=self.caller.key, credit_limit=credit)

    async def get_price(self) -> None:
        """Gets a price."""
        call = payment_pb2.GetQuoteCall(header=self.header(GET_QUOTE), skill_id=self.skill_id)
        quoted = await self.call(GET_QUOTE, payment_pb2.GetQuoteRequest(call=self.caller.seal(call)))
        self.quote = payment_pb2.GetQuoteResponse.FromString(quoted).quote

    async def open_session(
        self, *, rail_id: str, backing: tariff_pb2.Backing.ValueType, issuer: bytes, credit_limit: int = 0
    ) -> SignedEnvelope:
        """Opens a session, whose terms are returned."""
        terms = self.caller.seal(
            payment_pb2.SessionTerms(
                payer=self.caller.key,
                payee=self.node_id,
                asset=self.price.tariff.asset,
                rail_id=rail_id,
                network=TEST_NETWORK,
                backing=backing,
                issuer=issuer,
                credit_limit=credit_limit,
                salt=secrets.token_bytes(16),
            )
        )
        opening = payment_pb2.OpenSessionCall(header=self.header(OPEN), terms=terms)
        await self.call(OPEN, payment_pb2.OpenSessionRequest(call=self.caller.seal(opening)))
        self.session_id = envelopes.envelope_digest(terms)
        return terms

    def voucher(self, cumulative: int) -> SignedEnvelope:
        """Signs a voucher."""
        return self.caller.seal(
            payment_pb2.Voucher(payer=self.caller.key, session_id=self.session_id, cumulative=cumulative)
        )

    async def pay(self, cumulative: int) -> bool:
        """Sends a voucher, and tells whether it was taken."""
        try:
            await self.call(SUBMIT, payment_pb2.SubmitVoucherRequest(voucher=self.voucher(cumulative)))
        except aio.AioRpcError:
            return False
        self.authorized = max(self.authorized, cumulative)
        return True

    async def state(self) -> payment_pb2.SessionState:
        """Returns how the node says that the session stands."""
        call = payment_pb2.GetSessionCall(header=self.header(GET_SESSION), session_id=self.session_id)
        response = await self.call(GET_SESSION, payment_pb2.GetSessionRequest(call=self.caller.seal(call)))
        state = payment_pb2.GetSessionResponse.FromString(response).state
        return payment_pb2.SessionState.FromString(state.payload)

    async def close(self) -> None:
        """Closes the session."""
        call = payment_pb2.CloseSessionCall(header=self.header(CLOSE), session_id=self.session_id)
        await self.call(CLOSE, payment_pb2.CloseSessionRequest(call=self.caller.seal(call)))

    def request(self, *, voucher: int | None) -> ask_pb2.AskRequest:
        """Returns a paid ask with a voucher over a total; None: it brings none."""
        ask = ask_pb2.Ask(
            header=self.header(ASK),
            skill_id=self.skill_id,
            card_digest=self.price.card_digest,
            turns=[ask_pb2.Turn(role=ask_pb2.ROLE_ASKER, parts=[ask_pb2.Part(text="give me all of it")])],
            data_class=node_pb2.DATA_CLASS_PUBLIC,
            payment=ask_pb2.AskPayment(quote_digest=envelopes.envelope_digest(self.quote), session_id=self.session_id),
        )
        signed = None if voucher is None else self.voucher(voucher)
        return ask_pb2.AskRequest(ask=self.caller.seal(ask), voucher=signed, quote=self.quote)

    async def read(self, request: ask_pb2.AskRequest, *, until_it_waits: bool = False) -> bool:
        """Reads an answer without paying on, to its end or until it stands still, and tells whether the ask was taken.

        The voucher in it counts, whatever comes of the ask: the node may keep it.
        """
        name = ask_pb2.Ask.FromString(request.ask.payload).header.request_id
        if request.HasField("voucher"):
            self.authorized = max(self.authorized, payment_pb2.Voucher.FromString(request.voucher.payload).cumulative)
        stream = self.channel.unary_stream(f"/{ASK}", request_serializer=bytes, response_deserializer=bytes)(
            request.SerializeToString()
        )
        text, taken = "", False
        try:
            async for data in stream:
                for event in ask_pb2.AskResponse.FromString(data).events:
                    taken, text = True, text + event.text_delta.text
                    if until_it_waits and event.HasField("payment_needed"):
                        stream.cancel()
        except (aio.AioRpcError, asyncio.CancelledError):
            if not stream.cancelled() and (task := asyncio.current_task()) is not None and task.cancelling():
                raise
        self.texts[name] = max(self.texts.get(name, ""), text, key=len)
        return taken

    @property
    def node_id(self) -> bytes:
        """The root key of the node."""
        return node_pb2.NodeCard.FromString(self.card.payload).node_id

    def header(self, method: str) -> CallHeader:
        """Returns a header that a node accepts."""
        now = datetime.now(UTC)
        return CallHeader(
            method=method,
            audience=self.node_id,
            caller=self.caller.key,
            request_id=secrets.token_bytes(16),
            issue_time=timestamp(now),
            expire_time=timestamp(now + _LIFETIME),
        )

    async def call(self, method: str, request: Message) -> bytes:
        """Makes a call; raises AioRpcError where it is refused."""
        return await _called(self.channel, method, request)


async def _called(channel: aio.Channel, method: str, request: Message) -> bytes:
    call = channel.unary_unary(f"/{method}", request_serializer=bytes, response_deserializer=bytes)
    response: bytes = await call(request.SerializeToString())
    return response


async def shown_card(channel: aio.Channel) -> SignedEnvelope:
    """Returns the card that a node shows."""
    shown = await _called(channel, GET_NODE_CARD, node_pb2.GetNodeCardRequest())
    return node_pb2.GetNodeCardResponse.FromString(shown).card


@asynccontextmanager
async def thief_at(authority: str, *, skill_id: str, credit: int = 10_000) -> AsyncIterator[Thief]:
    """Connects to a node without TLS on this machine, and makes ready to rob it.

    Args:
        authority: Its `host:port`.
        skill_id: A skill that is priced by requests and bytes alone, on credit of `hold.v1`.
        credit: What the session is lent, in units of the asset.
    """
    async with aio.insecure_channel(authority) as channel:
        thief = Thief(channel=channel, card=await shown_card(channel), skill_id=skill_id)
        await thief.prepare(credit=credit)
        yield thief


async def replays_vouchers_and_asks(thief: Thief) -> None:
    """Pays one window once, and sends the voucher and the ask again and again."""
    window = int(thief.price.window)
    first = thief.request(voucher=window)
    for _ in range(_MANY):
        await thief.read(first, until_it_waits=True)
        await thief.read(thief.request(voucher=window), until_it_waits=True)
        await thief.pay(window)


async def races_on_one_session(thief: Thief) -> None:
    """Asks many times at once, all for the one window that is authorized."""
    window = int(thief.price.window)
    requests = [thief.request(voucher=window) for _ in range(_MANY)]
    await asyncio.gather(*(thief.read(request, until_it_waits=True) for request in requests))


async def vanishes_without_paying(thief: Thief) -> None:
    """Reads what a window buys, and is gone, as often as it can."""
    window = int(thief.price.window)
    for round_ in range(3):
        await thief.read(thief.request(voucher=(round_ + 1) * window), until_it_waits=True)


async def claims_to_have_signed_less(thief: Thief) -> None:
    """Pays some windows, and then presents lower vouchers as its last word, to be given the difference again."""
    window = int(thief.price.window)
    await thief.read(thief.request(voucher=2 * window), until_it_waits=True)
    for less in (window, 1, 0):
        await thief.pay(less)
        await thief.read(thief.request(voucher=less), until_it_waits=True)


async def signs_after_the_end(thief: Thief) -> None:
    """Closes its session, and asks and pays on in it: what is signed then binds nobody, so all that comes is lost."""
    window = int(thief.price.window)
    await thief.close()
    for round_ in range(3):
        total = (round_ + 1) * window
        await thief.pay(total)
        for voucher in (None, total):
            await thief.read(thief.request(voucher=voucher), until_it_waits=True)
    thief.authorized = 0


async def floods_with_vouchers(thief: Thief) -> None:
    """Sends hundreds of vouchers at once, most of them lower than others, while answers run."""
    window = int(thief.price.window)
    await thief.pay(window)
    reading = [asyncio.create_task(thief.read(thief.request(voucher=None), until_it_waits=True)) for _ in range(3)]
    totals = [secrets.randbelow(window) for _ in range(_FLOOD)]
    await asyncio.gather(*(thief.pay(total) for total in totals))
    await asyncio.gather(*reading)


THIEVES: Mapping[str, Callable[[Thief], Awaitable[None]]] = MappingProxyType(
    {
        one.__name__.replace("_", "-"): one
        for one in (
            replays_vouchers_and_asks,
            races_on_one_session,
            vanishes_without_paying,
            claims_to_have_signed_less,
            signs_after_the_end,
            floods_with_vouchers,
        )
    }
)
"""Every one, by its name."""
