"""Sessions: the account out of which an ask is paid is found, opened or filled (spec section 3.3)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC

from consilience._wire.envelopes import seal
from consilience.client.payments.calls import PaymentCalls
from consilience.client.payments.deposits import Deposits, rail_of
from consilience.client.payments.settlements import ENDED, Settlements
from consilience.client.payments.wallet_rows import WalletSession
from consilience.client.payments.wallets import Wallet
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import BudgetExceededError, ConsilienceError, RailMissingError, SessionUnknownError, UsageError
from consilience.identity import format_node_id
from consilience.payments import Amount, Budget, Quote, SessionTerms
from consilience.payments.sessions import SALT_BYTES
from consilience.rails.contract import Backed, PayerRail
from consilience.tariffs import Backing, Rail, Tariff
from consilience.units import Digest, PublicKey, RequestId

ASKS_PER_DEPOSIT = 3
"""The first deposit is made for as many asks at their ceilings, within the budget of a day and the bounds of the rail;
each further one doubles what was brought and not paid back, so that many asks at once need few."""

MOST_ASKS_PER_DEPOSIT = 16
"""A deposit is for no more asks at their ceilings than that, unless the rail takes larger ones alone."""

LOOK_SECONDS = 10.0
"""After which a session is looked at again on which an ask runs that nobody reads here: it may have ended."""

MOST_TOLD = 3
"""Sessions that an error names."""

_LOGGER = logging.getLogger(__name__)

LOST = "the node does not know it any more"
"""Why a session is not used any more of which its node has said that it has none."""


class Sessions:
    """The sessions of a client, each at one node.

    Args:
        rails: Those that the client can pay on, the preferred one first.
        wallet: Where sessions are written down.
        calls: Speak with nodes.
        settlements: Fetch what is missing.
        deposits: Bring money.
    """

    def __init__(
        self,
        rails: Sequence[PayerRail],
        *,
        wallet: Wallet,
        calls: PaymentCalls,
        settlements: Settlements,
        deposits: Deposits,
    ) -> None:
        self._rails = rails
        self._wallet = wallet
        self._calls = calls
        self._settlements = settlements
        self._deposits = deposits
        self._locks: dict[PublicKey, asyncio.Lock] = {}
        self._fresh: set[Digest] = set()  # opened here, and out of which no ask was paid yet
        self._seen: dict[Digest, float] = {}  # when the state of a session was asked for, by the monotonic clock

    def lock(self, payee: PublicKey) -> asyncio.Lock:
        """Returns what to hold while a session of a payee is chosen, until it is written down what it is for."""
        return self._locks.setdefault(payee, asyncio.Lock())

    async def for_ask(
        self, quote: Signed[Quote], *, ceiling: int, budget: Budget, read: AbstractSet[RequestId], route: Route
    ) -> WalletSession:
        """Returns an open session that can pay for an ask up to its ceiling, or as far as the rails allow.

        A session is left alone while asks run on it that nobody reads here: what a voucher brings for one ask, a node
        may reserve for another, and only who reads its Meters knows how much that may be.

        Args:
            quote: What was agreed on.
            ceiling: The most that the ask may cost, in units of the asset.
            budget: Bounds deposits and credit.
            read: The asks that are read by this client.
            route: To the node.

        Raises:
            BudgetExceededError: More would lie at the node than the budget of a day.
            UsageError: A deposit failed, or a part of the first one was kept. `DepositPendingError`: it has not
                arrived. `RailMissingError`: no rail of the client can pay this node.
            TermsRefusedError, DepositInvalidError: The node does not take what its card offers.
        """
        session = await self._with_room(quote, ceiling=ceiling, read=read, route=route)
        if session is not None and session.room >= ceiling:
            return session
        if session is None or session.terms.value.backing is Backing.CREDIT:
            session = await self._open(quote, ceiling=ceiling, budget=budget, route=route)
        if session.room < ceiling and session.terms.value.backing is not Backing.CREDIT:
            session = await self._filled(session, quote, ceiling=ceiling, budget=budget, route=route)
        return session

    async def look(self, quote: Signed[Quote], *, read: AbstractSet[RequestId], route: Route) -> list[WalletSession]:
        """Returns the sessions out of which a quote can be paid, once their node has told how they stand.

        What is left in one that it does not know any more counts as spent from then on. The arguments are those of
        `for_ask`, which raises the same.
        """
        known = await self._wallet.do(self._known, quote)
        seen = [await self._looked_at(session, others=not session.asks <= read, route=route) for session in known]
        return [session for session in seen if session is not None]

    def ready(self, quote: Signed[Quote], *, ceiling: int, read: AbstractSet[RequestId]) -> WalletSession | None:
        """Returns a session that can pay for an ask up to its ceiling without a call to the node, or None.

        A step of the wallet; the arguments are those of `for_ask`.
        """
        known = [one for one in self._known(quote) if one.session_id in self._seen]
        best = _best(known, ceiling=ceiling, read=read)
        return best if best is not None and best.room >= ceiling else None

    async def look_again(self, payer: PublicKey, *, read: AbstractSet[RequestId], asset: str, route: Route) -> None:
        """Finds out what asks have cost that nobody reads here: until then they hold the budget of their day.

        Args:
            payer: Whose asks.
            read: Those that are read by this client.
            asset: What they are paid in.
            route: To the node.
        """
        for session in await self._wallet.do(
            self._wallet.sessions, payer=payer, payee=route.card.value.node_id, asset=asset
        ):
            if not session.asks <= read and not session.trouble:
                try:
                    await self._looked_at(session, others=True, route=route)
                except ConsilienceError as error:
                    _LOGGER.info("what asks of a session have cost is found out later: %s", error)

    def take_fresh(self, session_id: Digest) -> bool:
        """Tells whether a session was opened for the ask that is about to be paid out of it; so it is for one alone."""
        is_fresh = session_id in self._fresh
        self._fresh.discard(session_id)
        return is_fresh

    def forget(self, session_id: Digest) -> None:
        """Has the node asked again how a session stands, before it is used the next time."""
        self._seen.pop(session_id, None)

    async def lost(self, session_id: Digest) -> None:
        """Notes that a node does not know a session any more."""
        await self._wallet.do(self._wallet.give_up, session_id, trouble=LOST, now=self._calls.now)

    async def _with_room(
        self, quote: Signed[Quote], *, ceiling: int, read: AbstractSet[RequestId], route: Route
    ) -> WalletSession | None:
        """Returns a session with room for the ask, else one that can be filled, else one on credit, or None."""
        return _best(await self.look(quote, read=read, route=route), ceiling=ceiling, read=read)

    def _known(self, quote: Signed[Quote]) -> list[WalletSession]:
        """Returns the sessions of the wallet out of which the quote can be paid, as far as is known there."""
        value = quote.value
        ours = {rail.id for rail in self._rails} & set(value.rail_ids)
        known = self._wallet.sessions(payer=value.payer, payee=value.node_id, asset=tariff_of(quote).asset)
        return [session for session in known if not session.trouble and session.terms.value.rail_id in ours]

    async def _looked_at(self, session: WalletSession, *, others: bool, route: Route) -> WalletSession | None:
        """Asks once for each session how it stands: it may have been closed, or paid on, by another process.

        Where others pay out of it, it is looked at again now and then.
        """
        now = time.monotonic()
        seen = self._seen.get(session.session_id)
        if seen is not None and not (others and now - seen > LOOK_SECONDS):
            return session
        self._seen[session.session_id] = now
        try:
            if session.state is None:  # written down, and perhaps never opened
                state, _ = await self._calls.open(session.terms, route=route)
                await self._settlements.note_state(state)
            await self._deposits.revisit(session, route=route)
            return await self._settlements.catch_up(session, route=route)
        except SessionUnknownError:
            await self.lost(session.session_id)
            return None

    async def _open(self, quote: Signed[Quote], *, ceiling: int, budget: Budget, route: Route) -> WalletSession:
        """Opens a session with the first rail that can pay the node."""
        asset = tariff_of(quote).asset
        offer, rail, backed = self._choose(quote, most=max(ceiling, budget.per_day.value), asset=asset, route=route)
        terms = SessionTerms(
            payer=quote.value.payer,
            payee=quote.value.node_id,
            asset=asset,
            rail_id=offer.id,
            network=rail.network,
            backing=backed.backing,
            issuer=backed.issuer,
            salt=os.urandom(SALT_BYTES),
            credit_limit=backed.credit_limit,
        )
        signed = seal(terms, signer=self._calls.signer)
        await self._wallet.do(self._wallet.add_session, signed, address=address_of(route))
        state, _ = await self._calls.open(signed, route=route)
        await self._settlements.note_state(state)
        self._seen[signed.digest] = time.monotonic()
        self._fresh.add(signed.digest)
        opened = await self._wallet.do(self._wallet.session, signed.digest)
        if opened is None:
            raise RuntimeError("a session that was written down is gone from the wallet")
        return opened

    async def _filled(
        self, session: WalletSession, quote: Signed[Quote], *, ceiling: int, budget: Budget, route: Route
    ) -> WalletSession:
        """Brings money into a session; where it may be lost on the way, one window first (PAY-DEP-004)."""
        offer = _offer_for(session, route=route)
        amount = await self._wallet.do(self._deposit_for, session, ceiling=ceiling, budget=budget, offer=offer)
        untried = session.state is None or session.state.value.deposited == 0
        if untried and rail_of(session.terms.value, rails=self._rails).sends_money:
            least = offer.min_deposit if offer is not None else 0
            first = max(quote.value.window, least)
            if 0 < first < amount:
                session = await self._deposits.make(session, amount=first, route=route)
                _require_whole(session, first=first)
                amount = max(amount - first, least)
        return await self._deposits.make(session, amount=amount, route=route)

    def _choose(self, quote: Signed[Quote], *, most: int, asset: str, route: Route) -> tuple[Rail, PayerRail, Backed]:
        card, unbacked = route.card.value, set[str]()
        for rail in self._rails:
            for offer in card.rails:
                if (offer.id, offer.network) != (rail.id, rail.network) or asset not in offer.assets:
                    continue
                if offer.id not in quote.value.rail_ids:
                    continue
                backed = rail.backed(offer, payer=quote.value.payer, payee=card.node_id, most=most)
                if backed is not None:
                    return offer, rail, backed
                unbacked |= {f"{backing.name} on {offer.id} ({offer.network})" for backing in offer.backings}
        if unbacked:
            raise RailMissingError(
                f"the node takes {asset} as {' or '.join(sorted(unbacked))} alone, and the rails of this client agree"
                " to none of that"
            )
        offered = ", ".join(f"{offer.id} on {offer.network}" for offer in card.rails) or "none"
        ours = ", ".join(f"{rail.id} on {rail.network}" for rail in self._rails) or "none"
        raise RailMissingError(f"no rail of this client can pay the node in {asset}: it takes {offered}; yours: {ours}")

    def _deposit_for(self, session: WalletSession, *, ceiling: int, budget: Budget, offer: Rail | None) -> int:
        """Returns how much to deposit: enough for this ask, better for several, within day, rail and need.

        A step of the wallet.

        Raises:
            BudgetExceededError: With that, more than the budget of a day would lie at the node.
            UsageError: The node takes larger deposits alone.
        """
        asset, per_day = session.terms.value.asset, budget.per_day.value
        missing = ceiling - session.room
        held = self._lying(session)
        lying = sum(held.values())
        today = self._wallet.spent_on(self._calls.now.astimezone(UTC).date(), asset=asset)
        before = session.state.value.deposited - session.state.value.withdrawn if session.state else 0
        useful = min(max(ceiling * ASKS_PER_DEPOSIT, before), ceiling * MOST_ASKS_PER_DEPOSIT)
        wanted = max(missing, min(useful, per_day - max(lying, today)))
        least = offer.min_deposit if offer is not None else 0
        if least > per_day:
            raise UsageError(
                f"the node takes deposits from {Amount(least, asset)} on, which is more than the budget of a day"
            )
        if max(missing, least) > per_day - lying:
            raise BudgetExceededError(
                f"{Amount(lying, asset)} lie at the node that are not spent, and the ask needs another deposit of"
                f" {Amount(max(missing, least), asset)}: together that is more than {budget.per_day}, the budget of a"
                f" day; nothing was sent{_ways_out(held, asset=asset)}",
                sessions=tuple(held),
            )
        wanted = max(wanted, least)
        return min(wanted, offer.max_deposit) if offer is not None and offer.max_deposit else wanted

    def _lying(self, session: WalletSession) -> dict[Digest, int]:
        """Returns what lies at a payee that is not spent, in a session that is to be filled and in those beside it.

        What is left in one that was given up counts as spent; one that the payer has closed is the payer's to empty.
        """
        agreed = session.terms.value
        # A deposit that is on its way into the session itself goes on in the place of another.
        held = {session.session_id: max(0, session.available - session.spent)}
        for one in self._wallet.sessions(payer=agreed.payer, payee=agreed.payee, asset=agreed.asset):
            if one.session_id != session.session_id and not one.trouble and one.status not in ENDED:
                held[one.session_id] = self._wallet.transfers.unspent(one)
        return {each: amount for each, amount in sorted(held.items(), key=lambda item: -item[1]) if amount}


def address_of(route: Route) -> str:
    """Returns the address under which a node is reached again."""
    return f"{format_node_id(route.card.value.node_id)}@{route.connection.endpoint.authority}"


def tariff_of(quote: Signed[Quote]) -> Tariff:
    """Returns the tariff of a quote that has one: what is free is not paid for."""
    if quote.value.tariff is None:
        raise RuntimeError("the skill is free: there is nothing to pay")
    return quote.value.tariff


def _require_whole(session: WalletSession, *, first: int) -> None:
    """Checks that the first deposit of a session has come whole, before the rest follows (PAY-DEP-004).

    Raises:
        UsageError: A part of it was kept on the way, or by the node; who goes on all the same asks again.
    """
    came = session.state.value.deposited if session.state is not None else 0
    if came < first:
        asset = session.terms.value.asset
        raise UsageError(
            f"of a first deposit of {Amount(first, asset)}, {Amount(came, asset)} came: the rail takes a fee, or the"
            " node keeps a part. What was kept counts as spent, and no more was sent: ask again to go on all the same"
        )


def _ways_out(held: Mapping[Digest, int], *, asset: str) -> str:
    """Returns in which sessions money lies, the most of it first, and what a user can do about that one."""
    if not held:
        return ""
    names = [each.hex()[:12] for each in held]
    told = [f"{Amount(amount, asset)} in session {name}" for name, amount in zip(names, held.values(), strict=True)]
    more = f", the rest in {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return (
        f". There are {', '.join(told[:MOST_TOLD])}{more}: `consilience sessions state {names[0]}` finds out what is"
        f" spent of that, and `consilience sessions close {names[0]}` frees the rest, for `sessions withdraw`"
    )


def _offer_for(session: WalletSession, *, route: Route) -> Rail | None:
    """Returns what the card of a node says now about the rail of a session, or None: nothing any more."""
    agreed = (session.terms.value.rail_id, session.terms.value.network)
    return next((rail for rail in route.card.value.rails if (rail.id, rail.network) == agreed), None)


def _best(sessions: list[WalletSession], *, ceiling: int, read: AbstractSet[RequestId]) -> WalletSession | None:
    """Returns a session with room for an ask, else one that can be filled, else one on credit, or None."""
    usable = [one for one in sessions if one.is_usable and one.asks <= read]
    usable.sort(key=lambda one: (one.room >= ceiling, one.terms.value.backing is not Backing.CREDIT, one.room))
    return usable[-1] if usable else None
