"""The desk: what a user asks about money beyond the asks themselves. `Client.payments` is one.

>>> for price in await client.payments.prices(node):
...     print(price.skill_id, *price.tariffs)
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC

from consilience._wire.envelopes import from_bytes, open_envelope
from consilience.client.arguments import check_node
from consilience.client.caller import Caller
from consilience.client.cards import NodeReference
from consilience.client.checks import Check
from consilience.client.payments.audits import audit
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.deposits import asset_of
from consilience.client.payments.payer import Payer
from consilience.client.payments.sessions import LOST
from consilience.client.payments.statements import Statement, statement_of
from consilience.client.payments.wallet_rows import WalletSession, WalletTransfer
from consilience.client.payments.withdrawals import Withdrawals
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import (
    PaymentsOffError,
    ProtocolError,
    RefusedError,
    SessionUnknownError,
    TransportError,
    UnreachableError,
    UsageError,
)
from consilience.identity import format_node_id
from consilience.nodes import NodeAddress, NodeCard, Skill
from consilience.payments import Amount, CardOutdatedError, Hold, Quote, Receipt
from consilience.tariffs import Rail, Tariff
from consilience.units import Digest, RequestId

FORGOTTEN = "its payer has let go of it"
"""Why a session is not used any more that its node would not, or could not, close."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillPrice:
    """What a skill costs by the card.

    Attributes:
        skill_id: Which skill.
        tariffs: The preferred one first; none: it is free.
        rails: On which the card takes an asset of them, and on which network that is.
    """

    skill_id: str
    tariffs: tuple[Tariff, ...] = ()
    rails: tuple[Rail, ...] = ()

    def rails_for(self, asset: str) -> tuple[Rail, ...]:
        """Returns the rails that take an asset."""
        return tuple(rail for rail in self.rails if asset in rail.assets)


class PaymentDesk:
    """Prices, sessions and receipts.

    Args:
        caller: Who pays.
        payer: Pays for asks; None: the client has no wallet, and there are prices alone.
    """

    def __init__(self, caller: Caller, *, payer: Payer | None) -> None:
        self._caller = caller
        self._payer = payer

    async def prices(self, node: NodeReference) -> tuple[SkillPrice, ...]:
        """Returns what the skills of a node cost by its card; what counts is a quote.

        Raises:
            UnreachableError, ProtocolError: As `Client.card`.
        """
        check_node(node)
        card = (await self._caller.cards.route(node)).card.value
        return tuple(_price_of(skill, card=card) for skill in card.skills)

    async def quote(self, skill: str, *, node: NodeReference, model: str = "", asset: str = "") -> Signed[Quote]:
        """Returns the price of a skill for this client, signed and checked.

        With a wallet it is kept: until it expires, asks for this skill, model and asset are paid by it.

        Args:
            skill: The id of the skill.
            node: Whom to ask.
            model: The id of the model; empty: whichever the node chooses.
            asset: What to pay in; empty: the node's first.

        Raises:
            SkillUnknownError, ModelUnknownError, TermsRefusedError: There is no such price.
            ProtocolError, TransportError: As `Client.ask`.
        """
        check_node(node)
        calls, route = PaymentCalls(self._caller), await self._caller.cards.route(node)
        try:
            quote = await calls.quote(skill_id=skill, model_id=model, asset=asset, route=route)
        except CardOutdatedError as error:
            held, route = route.card.digest, await self._caller.cards.refreshed(node)
            if route.card.digest == held:
                raise error.breach from None
            quote = await calls.quote(skill_id=skill, model_id=model, asset=asset, route=route)
        if self._payer is not None and quote.value.tariff is not None:
            await self._payer.wallet.do(self._payer.wallet.quotes.keep, quote, card=route.card)
        return quote

    async def sessions(self) -> tuple[WalletSession, ...]:
        """Returns the sessions in the wallet, as they are known there."""
        return await self._paying.wallet.do(self._paying.wallet.sessions)

    async def refresh(self, session_id: Digest) -> WalletSession:
        """Asks a node how a session stands, and fetches the receipts that are missing.

        Raises:
            UsageError: The wallet has no such session, or it is another key's.
            SessionUnknownError: The node has none.
            PaymentsOffError: The node takes no payments any more.
            ProtocolError, TransportError: As `Client.ask`.
        """
        async with self._at(session_id) as (session, route):
            return await self._paying.settlements.catch_up(session, route=route)

    async def close_session(self, session_id: Digest, *, forget: bool = False) -> WalletSession:
        """Ends a session: what was authorized and not spent is the payer's again. Raises as `refresh`.

        A deposit that is still on its way into it counts as spent from now on.

        Args:
            session_id: The session.
            forget: Whether it ends in the wallet alone where its node does not close it: because it has lost it, or is
                gone itself. What is left in it counts as spent from now on, and its receipts stay; should the node
                know of it again, it can be closed and `withdraw` gets back what it can.
        """
        try:
            await self._close(session_id)
        except (RefusedError, ProtocolError, TransportError, PaymentsOffError) as error:
            if not forget:
                raise
            trouble = LOST if isinstance(error, SessionUnknownError) else FORGOTTEN
            wallet = self._paying.wallet
            await wallet.do(wallet.give_up, session_id, trouble=trouble, now=self._caller.clock())
            return await self._session(session_id)
        try:
            return await self.refresh(session_id)
        except ProtocolError:
            session = await self._session(session_id)
            if not session.trouble:
                raise
            return session  # which is closed; why it is not used any more, it tells

    async def withdraw(self, session_id: Digest, *, amount: int | None = None) -> WalletTransfer:
        """Gets money back from a session; what was begun before is brought to its end first.

        Args:
            session_id: The session.
            amount: In units of its asset; None: all that can be paid out.

        Raises:
            WithdrawalInvalidError: It is more than can be paid out.
            UsageError: There is nothing to pay out, or the wallet has no such session.
            ProtocolError, TransportError: As `Client.ask`.
        """
        paying = self._paying
        withdrawals = Withdrawals(
            paying.rails, wallet=paying.wallet, calls=paying.calls, settlements=paying.settlements
        )
        async with self._at(session_id) as (session, route):
            return await withdrawals.make(session, amount=amount, route=route)

    async def deposit(self, session_id: Digest, *, amount: int) -> WalletSession:
        """Brings money into a session; a deposit that was begun before goes on in its place.

        Args:
            session_id: The session, which is not on credit.
            amount: In units of its asset.

        Raises:
            DepositPendingError: It has not arrived yet.
            DepositInvalidError: The node does not take it.
            UsageError: It failed, or the wallet has no such session, or that is not used any more.
        """
        async with self._at(session_id) as (session, route):
            if session.trouble:
                raise UsageError(f"the session is not used any more: {session.trouble}; nothing was sent")
            return await self._paying.deposits.make(session, amount=amount, route=route)

    async def take_hold(self, hold: bytes) -> WalletSession:
        """Brings a hold that the operator of a node, or the issuer of an escrow, has handed over.

        Args:
            hold: An encoded SignedEnvelope with the Hold.

        Raises:
            UsageError: It is none, or for a session or deposit that the wallet does not have.
            DepositInvalidError: The node does not take it.
            ProtocolError, TransportError: As `Client.ask`.
        """
        try:
            opened = open_envelope(from_bytes(hold), Hold)
        except RefusedError as error:
            raise UsageError(f"that is no hold: {error}") from error
        async with self._at(opened.value.session_id) as (session, route):
            return await self._paying.deposits.prove(session, hold=opened, route=route)

    async def receipts(self, session_id: Digest) -> tuple[Signed[Receipt], ...]:
        """Returns the receipts of a session that are in the wallet, in their order."""
        return await self._paying.wallet.do(self._paying.wallet.receipts.of, session_id)

    async def receipt(self, request_id: RequestId) -> Signed[Receipt] | None:
        """Returns the receipt of an ask, or None where the wallet has none."""
        intent = await self._paying.wallet.do(self._paying.wallet.intent, request_id)
        if intent is None:
            return None
        return await self._paying.wallet.do(
            self._paying.wallet.receipts.of_ask, intent.session_id, request_id=request_id
        )

    async def statement(self, session_id: Digest) -> Statement:
        """Returns what happened in a session, line by line.

        Raises:
            UsageError: The wallet has no such session.
        """
        session = await self._session(session_id)
        return await self._paying.wallet.do(statement_of, self._paying.wallet, session)

    async def verify(self, session_id: Digest) -> tuple[Check, ...]:
        """Checks the receipts of a session offline, and says what was checked.

        Raises:
            UsageError: The wallet has no such session.
        """
        session = await self._session(session_id)
        return await self._paying.wallet.do(audit, self._paying.wallet, session)

    async def spent_today(self, asset: str) -> Amount:
        """Returns what the asks of this day, by UTC, have cost in an asset; one that runs counts with its ceiling."""
        today = self._caller.clock().astimezone(UTC).date()
        return Amount(await self._paying.wallet.do(self._paying.wallet.spent_on, today, asset=asset), asset)

    @property
    def _paying(self) -> Payer:
        if self._payer is None:
            raise UsageError("the client has no wallet: Client(wallet=…)")
        return self._payer

    async def _session(self, session_id: Digest) -> WalletSession:
        session = await self._paying.wallet.do(self._paying.wallet.session, session_id)
        if session is None:
            raise UsageError(f"the wallet has no session {session_id.hex()}")
        return session

    async def _close(self, session_id: Digest) -> None:
        wallet, paying = self._paying.wallet, self._paying
        async with self._at(session_id) as (session, route):
            await wallet.do(wallet.closings.ask, session_id)
            with contextlib.suppress(ProtocolError):  # of a node that breaks rules, a session is closed all the same
                if session.state is not None:  # a look at its deposits would open anew what the node has lost
                    await paying.calls.session(session_id, route=route)
                await paying.deposits.revisit(session, route=route)
            state = await paying.calls.close(session_id, route=route)
            await paying.settlements.note_state(state)
            await wallet.do(wallet.transfers.abandon, session_id, day=self._caller.clock().astimezone(UTC).date())

    @contextlib.asynccontextmanager
    async def _at(self, session_id: Digest) -> AsyncIterator[tuple[WalletSession, Route]]:
        """Gives a session and the way to its node; where that does not know it, the error says what is left in it."""
        session = await self._session(session_id)
        payer, signer = session.terms.value.payer, self._caller.signer.public_key
        if payer != signer:  # to whom the node would say that it has no such session
            raise UsageError(
                f"the session belongs to the key {format_node_id(payer)}, and {format_node_id(signer)} signs here"
            )
        route = await self._route(session)
        try:
            yield session, route
        except SessionUnknownError as error:
            raise SessionUnknownError(f"{error}; {await self._left_in(session_id)}") from error
        except PaymentsOffError as error:
            raise PaymentsOffError(f"{error}; {await self._left_in(session_id)}") from error

    async def _route(self, session: WalletSession) -> Route:
        """Returns the way to the node of a session: to where it was then, else to where its newest card says it is."""
        cards = self._caller.cards
        try:
            return await cards.route(session.address)
        except (UnreachableError, ProtocolError) as error:  # perhaps another node is there now
            if (card := await cards.seen(session.terms.value.payee)) is not None:
                for endpoint in card.value.endpoints:
                    with contextlib.suppress(UnreachableError, ProtocolError):
                        return await cards.route(NodeAddress(authority=endpoint.authority, node_id=card.value.node_id))
            if isinstance(error, ProtocolError):
                raise
            raise UnreachableError(f"{error}; if the node has moved, fetch its card from where it is now") from error

    async def _left_in(self, session_id: Digest) -> str:
        """Returns what is left in a session that its node does not tell of, and how its payer lets go of it."""
        session = await self._session(session_id)
        unspent = await self._paying.wallet.do(self._paying.wallet.transfers.unspent, session)
        left, name = Amount(unspent, asset_of(session)), session_id.hex()[:12]
        if session.trouble:
            return f"{left} were left in the session {name}, and count as spent"
        return (
            f"{left} are left in the session {name}: let go of it with"
            f" `consilience sessions close {name} --forget`, and they count as spent"
        )


def _price_of(skill: Skill, *, card: NodeCard) -> SkillPrice:
    tariffs = card.tariffs_of(skill)
    assets = {tariff.asset for tariff in tariffs}
    rails = tuple(rail for rail in card.rails if assets.intersection(rail.assets))
    return SkillPrice(skill_id=skill.id, tariffs=tariffs, rails=rails)
