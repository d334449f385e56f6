"""Mutants of the noun payment: what asks cost, and the quotes that say so (spec sections 3.1 and 3.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace as changed
from datetime import timedelta
from fractions import Fraction
from typing import Any

from consilience._wire.envelopes import seal
from consilience.errors import ModelUnknownError, QuoteInvalidError, SkillUnknownError, TermsRefusedError
from consilience.payments import costs
from consilience.server import cards
from consilience.server.payments import admission, metering
from consilience.server.payments.quotes import Quotes
from consilience.server.rates import CallRate
from consilience.server.store import ledger_steps
from consilience_node.mutants.registry import mutant, replace


def _priced_otherwise(count: Callable[[Any, Any], int]) -> None:
    """Counts the cost of answers in another way; quotes say what they said."""
    replace(metering, "cost", lambda _: count)
    replace(metering, "charge_of", lambda _: lambda tariff, usage, ceiling: min(count(tariff, usage), ceiling))


def _sum(tariff: Any, usage: Any) -> Iterator[Fraction]:
    """Yields what each price of a tariff adds, exact; of units that no script can make the cached ones are left out."""
    for price in tariff.prices:
        beyond = costs._quantity(price.unit, usage, cached_apart=False) - price.included
        yield Fraction(max(0, beyond) * price.price, price.per)


@mutant("cost-rounded-down")
def _cost_rounded_down() -> None:
    """The cost of an answer is rounded down."""
    _priced_otherwise(lambda tariff, usage: max(math.floor(sum(_sum(tariff, usage))), tariff.minimum_charge))


@mutant("each-price-rounded-up")
def _each_price_rounded_up() -> None:
    """Each price of a tariff is rounded up by itself."""
    _priced_otherwise(lambda tariff, usage: max(sum(map(math.ceil, _sum(tariff, usage))), tariff.minimum_charge))


def _described_otherwise(change: Callable[[Any], Any]) -> None:
    """Lets the card tell something else of rails than what the node does."""

    def telling(begin: Callable[..., None]) -> Callable[..., None]:
        def init(self: Any, description: Any, **more: Any) -> None:
            begin(self, changed(description, rails=change(description.rails)), **more)

        return init

    replace(cards.CardIssuer, "__init__", telling)


@mutant("quote-names-an-unlisted-rail")
def _quote_names_an_unlisted_rail() -> None:
    """Quotes name a rail that the card does not list."""
    _quoted_otherwise(lambda quote: {"rail_ids": (*quote.rail_ids, "cash.v1")} if quote.tariff is not None else {})


@mutant("value-without-a-database")
def _value_without_a_database() -> None:
    """A node that forgets its sessions lists a rail on a network of value."""
    _described_otherwise(lambda rails: (*rails, changed(rails[0], id="cash.v1", network="main")))


def _quoted_otherwise(change: Callable[[Any], dict[str, Any]]) -> None:
    """Signs quotes that differ from what they were to say."""

    def telling(issue: Callable[..., Any]) -> Callable[..., Any]:
        def otherwise(self: Any, *what: Any, **more: Any) -> Any:
            signed = issue(self, *what, **more)
            value = changed(signed.value, **change(signed.value))
            told = seal(value, signer=self.keys.signer(now=value.issue_time))
            self._remember(told)
            return told

        return otherwise

    replace(Quotes, "_issue", telling)


@mutant("quote-for-anybody")
def _quote_for_anybody() -> None:
    """A quote is made to the node itself, and not to who asked for it."""
    _quoted_otherwise(lambda quote: {"payer": quote.node_id})


@mutant("unknown-skills-are-quoted")
def _unknown_skills_are_quoted() -> None:
    """A price is quoted for a skill that the card does not list, for nothing."""

    def lenient(answer: Callable[..., Any]) -> Callable[..., Any]:
        def quoting(self: Any, call: Any, **more: Any) -> Any:
            try:
                return answer(self, call, **more)
            except SkillUnknownError:
                free = next(served.skill for served in self.skills if self.book.is_free(served.skill.id))
                return answer(self, changed(call, skill_id=free.id), **more)

        return quoting

    replace(Quotes, "answer", lenient)


@mutant("any-asset-is-quoted")
def _any_asset_is_quoted() -> None:
    """A price is quoted in the asset of the first tariff, whatever was asked for."""

    def lenient(answer: Callable[..., Any]) -> Callable[..., Any]:
        def quoting(self: Any, call: Any, **more: Any) -> Any:
            try:
                return answer(self, call, **more)
            except (TermsRefusedError, ModelUnknownError):
                return answer(self, changed(call, asset="", model_id=""), **more)

        return quoting

    replace(Quotes, "answer", lenient)


@mutant("charged-by-the-newest-quote")
def _charged_by_the_newest_quote() -> None:
    """An ask is charged by the tariff of the quote that was made last for its payer."""
    newest: dict[bytes, Any] = {}

    def noting(issue: Callable[..., Any]) -> Callable[..., Any]:
        def note(self: Any, *what: Any, payer: Any, **more: Any) -> Any:
            signed = issue(self, *what, payer=payer, **more)
            if signed.value.tariff is not None:
                newest[payer] = signed.value
            return signed

        return note

    def moving(begin: Callable[..., None]) -> Callable[..., None]:
        def init(self: Any, ask: Any, *, paid: Any, **more: Any) -> None:
            last = newest[ask.key.caller]
            begin(self, ask, paid=changed(paid, quote=last, tariff=last.tariff), **more)

        return init

    replace(Quotes, "_issue", noting)
    replace(metering.Bill, "__init__", moving)


def _uncounted(count: Callable[[Any], dict[str, Any]]) -> None:
    """Forgets how far quotes are used."""

    def blind(bind: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, reservation: bind(self, changed(reservation, **count(reservation)))

    replace(ledger_steps.QuoteUse, "binding", blind)


@mutant("asks-of-a-quote-uncounted")
def _asks_of_a_quote_uncounted() -> None:
    """A quote is good for any number of asks."""
    _uncounted(lambda _: {"max_asks": 2**31})


@mutant("charges-of-a-quote-unbounded")
def _charges_of_a_quote_unbounded() -> None:
    """What asks under one quote cost together is not bounded."""
    _uncounted(lambda _: {"total_max_charge": 2**62})


@mutant("ended-charges-forgotten")
def _ended_charges_forgotten() -> None:
    """Under a quote the asks that run count, and what those cost that have ended does not."""

    def forgetful(settle: Callable[..., Any]) -> Callable[..., Any]:
        return lambda self, reservation, charge: settle(self, reservation, charge=0 * charge)

    replace(ledger_steps.QuoteUse, "settling", forgetful)


@mutant("quotes-last-for-ever")
def _quotes_last_for_ever() -> None:
    """A quote that has expired is as good as before."""

    def timeless(bring: Callable[..., Any]) -> Callable[..., Any]:
        def brought(self: Any, received: Any, *, now: Any, **more: Any) -> Any:
            try:
                return bring(self, received, now=now, **more)
            except QuoteInvalidError as error:
                known = self._known.get(received)
                if known is None or str(error) != "the quote has expired":
                    raise
                return known

        return brought

    replace(Quotes, "brought", timeless)


@mutant("quotes-of-others-are-good")
def _quotes_of_others_are_good() -> None:
    """A quote is good for whoever brings it along."""

    def lenient(bring: Callable[..., Any]) -> Callable[..., Any]:
        def brought(self: Any, received: Any, *, ask: Any, **more: Any) -> Any:
            known = self._known.get(received)
            if known is not None and known.digest == ask.payment.quote_digest:
                header = changed(ask.header, caller=known.value.payer)
                ask = changed(ask, header=header)
            return bring(self, received, ask=ask, **more)

        return brought

    replace(Quotes, "brought", lenient)


@mutant("quotes-outlive-their-card")
def _quotes_outlive_their_card() -> None:
    """A quote is good on whatever card of the node."""

    def lenient(bring: Callable[..., Any]) -> Callable[..., Any]:
        def brought(self: Any, received: Any, *, ask: Any, now: Any, **more: Any) -> Any:
            card = self._opened(received, now=now).value.card_digest
            return bring(self, received, ask=changed(ask, card_digest=card), now=now, **more)

        return brought

    replace(Quotes, "brought", lenient)


@mutant("unpaid-asks-are-answered")
def _unpaid_asks_are_answered() -> None:
    """An ask for a skill with tariffs that names no payment is answered all the same."""

    def generous(admit: Callable[..., Any]) -> Callable[..., Any]:
        async def gratis(self: Any, opened: Any, **more: Any) -> Any:
            return await admit(self, opened, **more) if opened.signed.value.payment is not None else None

        return gratis

    replace(admission.PaidAdmission, "admit", generous)


@mutant("price-untold")
def _price_untold() -> None:
    """Whoever names no payment is told that the skill costs something, and with a quote for another."""
    replace(Quotes, "required", _for_another)


def _for_another(require: Callable[..., Any]) -> Callable[..., Any]:
    def required(self: Any, ask: Any, **more: Any) -> Any:
        return require(self, changed(ask, header=changed(ask.header, caller=self.node_id)), **more)

    return required


@mutant("quotes-without-limit")
def _quotes_without_limit() -> None:
    """A caller may ask for any number of prices in a minute."""
    replace(CallRate, "take", lambda _: lambda *_, **__: timedelta(0))
