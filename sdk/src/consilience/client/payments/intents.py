"""Intents: an ask is priced, held against the budget and written down before it is signed (spec section 3.6)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from consilience.asks import Blob
from consilience.client.payments.live_asks import LiveAsks
from consilience.client.payments.sessions import Sessions, tariff_of
from consilience.client.payments.wallet_rows import PaymentIntent, WalletSession
from consilience.client.payments.wallets import Wallet
from consilience.client.questions import Question
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import BudgetAssetError, BudgetExceededError, UsageError
from consilience.nodes import NodeCard, Skill, tighter_limits
from consilience.payments import Amount, Budget, Quote, least_cost, question_cost
from consilience.units import Digest, PublicKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """An ask that is about to be paid for.

    Attributes:
        question: What is asked.
        skill: What is asked of it; it has tariffs.
        route: To the node.
        payer: Who pays.
        budget: What may be spent.
        per_ask: The most that this one may cost, in units of the budget's asset.
    """

    question: Question
    skill: Skill
    route: Route
    payer: PublicKey
    budget: Budget
    per_ask: int


Begun = tuple[PaymentIntent, WalletSession]
"""What was written down about an ask, and the session out of which it is paid."""


class Intents:
    """Writes down what is about to be paid. Its methods are steps of the wallet: they wait for the disk.

    Args:
        wallet: Where it is written down.
        sessions: Out of which it is paid.
        live: The asks that are read; what is written down is one of them.
        clock: Tells the aware UTC time.
    """

    def __init__(self, wallet: Wallet, *, sessions: Sessions, live: LiveAsks, clock: Callable[[], datetime]) -> None:
        self._wallet = wallet
        self._sessions = sessions
        self._live = live
        self._clock = clock

    def at_once(self, purchase: Purchase) -> Begun | None:
        """Writes an ask down, where a price and a session with room for it are in the wallet; else returns None.

        Raises:
            BudgetExceededError: It costs more than may be spent.
        """
        quote = self.quote(purchase)
        if quote is None:
            return None
        most = self.most(purchase, quote=quote)
        session = self._sessions.ready(quote, ceiling=most, read=self._live.names())
        return self._begin(purchase, quote=quote, most=most, session=session) if session else None

    def quote(self, purchase: Purchase) -> Signed[Quote] | None:
        """Returns a price that may be used once more, or None."""
        return self._wallet.quotes.usable(
            payer=purchase.payer,
            skill_id=purchase.skill.id,
            model_id=purchase.question.model,
            asset=purchase.budget.asset,
            card=purchase.route.card,
            most=purchase.budget.per_ask.value,
            now=self._clock(),
        )

    def most(self, purchase: Purchase, *, quote: Signed[Quote]) -> int:
        """Returns the most that an ask may cost now, before money is brought anywhere for it.

        Raises:
            BudgetExceededError: It costs more than may be spent.
        """
        value, budget, per_ask, least = quote.value, purchase.budget, purchase.per_ask, least_cost(tariff_of(quote))
        price = Amount(least, budget.asset)
        if max(least, 1) > per_ask:
            raise BudgetExceededError(
                f"{value.skill_id} costs {price} at least, and the budget of an ask is {Amount(per_ask, budget.asset)};"
                " nothing was sent"
            )
        today = self._clock().astimezone(UTC).date()
        left = budget.per_day.value - self._wallet.spent_on(today, asset=budget.asset)
        if max(least, 1) > left:
            raise BudgetExceededError(
                f"{value.skill_id} costs {price} at least, and of the day's {budget.per_day}"
                f" {Amount(max(left, 0), budget.asset)} are left; nothing was sent"
            )
        return min(value.max_charge, value.total_max_charge, per_ask, left)

    def begin(
        self, purchase: Purchase, *, quote: Signed[Quote], most: int, session_id: Digest, whole: bool = False
    ) -> Begun | None:
        """Writes an ask down; None: the session has no room for the whole of it.

        Args:
            purchase: The ask.
            quote: What it costs.
            most: What it may cost, as `most` has said.
            session_id: Out of which it is paid.
            whole: Whether there has to be room for the most; else the ask may come to what there is.

        Raises:
            BudgetExceededError: Another ask took what was left of the day's budget.
            UsageError: The session has no room for it.
        """
        session = self._wallet.session(session_id)
        if session is None:
            raise RuntimeError("a session that was chosen is gone from the wallet")
        if whole and session.room < most:
            return None
        return self._begin(purchase, quote=quote, most=most, session=session)

    def _begin(self, purchase: Purchase, *, quote: Signed[Quote], most: int, session: WalletSession) -> Begun:
        """Writes an ask down that is paid out of a session, which this step has read."""
        tariff = tariff_of(quote)
        least = least_cost(tariff)
        if session.room < max(least, 1):
            raise UsageError(f"no session has room for {Amount(least, tariff.asset)}; nothing was sent")
        limits = tighter_limits(purchase.route.card.value.limits, purchase.skill.limits)
        intent = PaymentIntent(
            request_id=purchase.question.request_id,
            session_id=session.session_id,
            quote=quote,
            ceiling=min(most, session.room),
            question=question_cost(
                tariff, size_bytes=_size(purchase.question), max_input_tokens=limits.max_input_tokens
            ),
            begin_time=self._clock(),
        )
        begun = self._wallet.begin(intent, per_day=purchase.budget.per_day.value, least=least, session=session)
        self._live.add(begun.request_id, session_id=session.session_id)
        return begun, session


def purchase_of(question: Question, *, skill: Skill, route: Route, payer: PublicKey, budget: Budget) -> Purchase:
    """Returns what is about to be paid for; the arguments are those of `Purchase`.

    Raises:
        BudgetAssetError: The card has no price for it in the asset of the budget.
        UsageError: What it may cost is in another asset than the budget.
    """
    per_ask = _per_ask(question, budget=budget)
    _check_asset(skill, asset=budget.asset, card=route.card.value)
    return Purchase(question=question, skill=skill, route=route, payer=payer, budget=budget, per_ask=per_ask)


def _size(question: Question) -> int:
    """Returns the bytes of a question."""
    parts = (part for turn in question.turns for part in turn.parts)
    return sum(len(part.data) if isinstance(part, Blob) else len(part.encode()) for part in parts)


def _per_ask(question: Question, *, budget: Budget) -> int:
    """Returns the most that a question may cost, in units of the asset of the budget."""
    most = question.max_charge
    if most is None:
        return budget.per_ask.value
    if most.asset != budget.asset:
        raise UsageError(f"max_charge is in {most.asset}, and the budget in {budget.asset}; nothing was sent")
    return min(most.value, budget.per_ask.value)


def _check_asset(skill: Skill, *, asset: str, card: NodeCard) -> None:
    """Checks that a skill has a price in an asset, by the card.

    Raises:
        BudgetAssetError: It has none.
    """
    taken = dict.fromkeys(tariff.asset for tariff in card.tariffs_of(skill))
    if taken and asset not in taken:
        raise BudgetAssetError(
            f"{skill.id} is paid for in {' or '.join(taken)}, and the budget is in {asset}; nothing was sent"
        )
