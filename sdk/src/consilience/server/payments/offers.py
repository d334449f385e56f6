"""Offers: what the operator of a node says about money, and the book of all prices (spec section 3.2).

>>> from consilience.tariffs import PricedUnit, UnitPrice
>>> prices = (UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=3, per=10),)
>>> offer = Offer(tariff=Tariff(id="night", asset="TEST/0", prices=prices), window=20, max_charge=100,
...               formula=Formula(hours=(Hours(first=22, last=6, percent=50),)))
>>> offer.at(Circumstances(now=datetime(2026, 1, 1, 23, tzinfo=UTC))).tariff.prices[0]
UnitPrice(unit=<PricedUnit.OUTPUT_BYTE: 6>, price=3, per=20, included=0)
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction

from consilience.errors import Supported, TermsRefusedError, UsageError
from consilience.nodes import Skill
from consilience.payments import MAX_QUOTE_LIFETIME
from consilience.rails.contract import PayeeRail, RailSettings
from consilience.tariffs import MAX_PRICE, Rail, Tariff, UnitPrice, tariff_violations

MAX_CARD_TARIFFS = 64
MAX_TARIFFS_OF_A_SKILL = 16
MAX_ASKS = 2**31 - 1
"""What a quote can tell."""

DEFAULT_MAX_ASKS = 100
DEFAULT_HOLD_OPEN = timedelta(seconds=30)
DEFAULT_QUOTE_LIFETIME = timedelta(minutes=10)
DEFAULT_QUOTES_PER_MINUTE = 60
DEFAULT_SESSIONS_PER_MINUTE = 30
DEFAULT_TRANSFERS_PER_MINUTE = 600
HOURS_OF_A_DAY = 24
MAX_PERCENT = 100_000
_AS_LISTED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What the price may depend on when a quote is made.

    Attributes:
        now: Aware UTC.
        running_asks: How many asks the node works on.
        max_running_asks: How many it takes.
    """

    now: datetime
    running_asks: int = 0
    max_running_asks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Hours:
    """Hours of the day, UTC, from `first` up to `last`, over midnight where that is not later, and their percentage."""

    first: int
    last: int
    percent: int

    def __post_init__(self) -> None:
        if not (0 <= self.first < HOURS_OF_A_DAY and 0 <= self.last <= HOURS_OF_A_DAY and self.first != self.last):
            raise UsageError("hours begin at 0 to 23 and end at another hour, 24 at most")
        _check_percent(self.percent)

    def holds(self, hour: int) -> bool:
        """Tells whether an hour of the day is one of these."""
        if self.first < self.last:
            return self.first <= hour < self.last
        return hour >= self.first or hour < self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """How prices follow load and time of day; 100 percent is what the card lists.

    Attributes:
        full_load_percent: Of the price when the node works on as many asks as it takes; between that and no load the
            price moves evenly.
        hours: The first that holds counts; at other hours the price is as listed.
    """

    full_load_percent: int = _AS_LISTED
    hours: tuple[Hours, ...] = ()

    def __post_init__(self) -> None:
        _check_percent(self.full_load_percent)

    def share(self, circumstances: Circumstances) -> Fraction:
        """Returns the price as a share of what is listed."""
        most = max(circumstances.max_running_asks, 1)
        running = min(circumstances.running_asks, most)
        by_load = _AS_LISTED * (most - running) + self.full_load_percent * running
        hour = circumstances.now.astimezone(UTC).hour
        by_hour = next((hours.percent for hours in self.hours if hours.holds(hour)), _AS_LISTED)
        return Fraction(by_load * by_hour, _AS_LISTED * _AS_LISTED * most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A price for a skill, and the bounds of every quote that is made of it. Amounts are in the tariff's asset.

    Attributes:
        tariff: As the card lists it.
        window: What a payer allows ahead: about what a second of text costs.
        max_charge: The most that one answer costs.
        max_asks: How many asks one quote is good for.
        total_max_charge: What all asks under one quote may cost together; 0: `max_asks` times `max_charge`.
        hold_open: How long an answer waits for a voucher.
        lifetime: Of a quote, an hour at most.
        formula: How the price follows load and time of day.

    Raises:
        UsageError: No quote could say so.
    """

    tariff: Tariff
    window: int
    max_charge: int
    max_asks: int = DEFAULT_MAX_ASKS
    total_max_charge: int = 0
    hold_open: timedelta = DEFAULT_HOLD_OPEN
    lifetime: timedelta = DEFAULT_QUOTE_LIFETIME
    formula: Formula = field(default_factory=Formula)

    def __post_init__(self) -> None:
        for path, description in tariff_violations(self.tariff):
            raise UsageError(f"{path} {description}")
        for name, most in (("window", MAX_PRICE), ("max_charge", MAX_PRICE), ("max_asks", MAX_ASKS)):
            if not 0 < getattr(self, name) <= most:
                raise UsageError(f"the {name} of the tariff {self.tariff.id!r} is 1 to {most}")
        if not 0 <= self.total_max_charge <= MAX_PRICE:
            raise UsageError(f"the total_max_charge of the tariff {self.tariff.id!r} is at most {MAX_PRICE}")
        if self.hold_open < timedelta(0):
            raise UsageError("hold_open is not negative")
        if not timedelta(0) < self.lifetime <= MAX_QUOTE_LIFETIME:
            raise UsageError("a quote lives an hour at most")

    @property
    def most_in_all(self) -> int:
        """What all asks under one quote may cost together, in units of the asset."""
        return self.total_max_charge or min(self.max_asks * self.max_charge, MAX_PRICE)

    def at(self, circumstances: Circumstances) -> Offer:
        """Returns the offer with the prices of the moment, where they are others than the card lists."""
        share = self.formula.share(circumstances)
        if share == 1:
            return self
        prices = tuple(_scaled(price, share) for price in self.tariff.prices)
        minimum = min(math.ceil(self.tariff.minimum_charge * share), MAX_PRICE)
        return replace(self, tariff=replace(self.tariff, prices=prices, minimum_charge=minimum))


@dataclass(frozen=True, slots=True, kw_only=True)
class Payments:
    """How a node is paid; what for stands at its skills.

    Attributes:
        rails: On which money comes.
        quotes_per_minute: How often one caller may ask for a price.
        sessions_per_minute: How often one caller may open sessions and start deposits.
        transfers_per_minute: How often one address may do so, confirm deposits and withdraw, under whatever keys.
    """

    rails: tuple[RailSettings, ...]
    quotes_per_minute: int = DEFAULT_QUOTES_PER_MINUTE
    sessions_per_minute: int = DEFAULT_SESSIONS_PER_MINUTE
    transfers_per_minute: int = DEFAULT_TRANSFERS_PER_MINUTE

    def __post_init__(self) -> None:
        if not self.rails:
            raise UsageError("a node that is paid names a rail: Payments(rails=(HoldRail(),))")
        if min(self.quotes_per_minute, self.sessions_per_minute, self.transfers_per_minute) < 1:
            raise UsageError("quotes_per_minute, sessions_per_minute and transfers_per_minute are above zero")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """What a node is paid for, and how.

    Attributes:
        payments: As the operator wrote it down.
        rails: On which the node is paid.
        prices: Of its skills.

    Raises:
        UsageError: Something costs what no rail moves.
    """

    payments: Payments
    rails: tuple[PayeeRail, ...]
    prices: PriceBook

    def __post_init__(self) -> None:
        moved = {asset for rail in self.listed for asset in rail.assets}
        for tariff in self.prices.tariffs:
            if tariff.asset not in moved:
                raise UsageError(f"the tariff {tariff.id!r} is in {tariff.asset}, which no rail of the node moves")

    @property
    def listed(self) -> tuple[Rail, ...]:
        """The rails as the card lists them."""
        return tuple(rail.offer for rail in self.rails)


class PriceBook:
    """The prices of a node, skill by skill, the preferred one first. A skill without is free."""

    def __init__(self) -> None:
        self._offers: dict[str, tuple[Offer, ...]] = {}

    def add(self, skill_id: str, offers: Iterable[Offer]) -> tuple[str, ...]:
        """Notes what a skill costs, and returns the ids of its tariffs.

        Raises:
            UsageError: A tariff id is taken by another price, or there are more than a card may list.
        """
        listed = tuple(offers)
        if len(listed) > MAX_TARIFFS_OF_A_SKILL:
            raise UsageError(f"a skill has at most {MAX_TARIFFS_OF_A_SKILL} tariffs")
        known = {tariff.id: tariff for tariff in self.tariffs}
        for offer in listed:
            if known.setdefault(offer.tariff.id, offer.tariff) != offer.tariff:
                raise UsageError(f"the tariff id {offer.tariff.id!r} stands for two prices")
        if len(known) > MAX_CARD_TARIFFS:
            raise UsageError(f"a card lists at most {MAX_CARD_TARIFFS} tariffs")
        if listed:
            self._offers[skill_id] = listed
        return tuple(offer.tariff.id for offer in listed)

    @property
    def tariffs(self) -> tuple[Tariff, ...]:
        """All tariffs, each once."""
        found = {offer.tariff.id: offer.tariff for offers in self._offers.values() for offer in offers}
        return tuple(found.values())

    @property
    def shortest_lifetime(self) -> timedelta:
        """How long the quotes live that are the first to expire; without any, as long as quotes commonly do."""
        lifetimes = (offer.lifetime for offers in self._offers.values() for offer in offers)
        return min(lifetimes, default=DEFAULT_QUOTE_LIFETIME)

    def offers(self, skill_id: str) -> tuple[Offer, ...]:
        """Returns the offers for a skill, the preferred one first; none: it is free."""
        return self._offers.get(skill_id, ())

    def is_free(self, skill_id: str) -> bool:
        """Tells whether a skill costs nothing."""
        return skill_id not in self._offers

    def offer(self, skill: Skill, *, model_id: str = "", asset: str = "") -> Offer | None:
        """Returns the first offer for a skill that prices the model in the asset; None: the skill is free.

        Raises:
            TermsRefusedError: There is none in the asset; with the assets that there are.
        """
        if self.is_free(skill.id):
            return None
        for_model = tuple(offer for offer in self._offers[skill.id] if prices_model(offer.tariff, model_id))
        for offer in for_model:
            if asset in ("", offer.tariff.asset):
                return offer
        assets = tuple(dict.fromkeys(offer.tariff.asset for offer in for_model))
        raise TermsRefusedError(
            f"{skill.id} is not priced in {asset or 'any asset for this model'}",
            detail=Supported(field="asset", values=assets),
        )


def prices_model(tariff: Tariff, model_id: str) -> bool:
    """Tells whether a tariff is for a model; none: for whichever the node chooses."""
    return not model_id or not tariff.model_ids or model_id in tariff.model_ids


def _scaled(price: UnitPrice, share: Fraction) -> UnitPrice:
    """Returns a price times a fraction: exact, unless its parts are larger than a tariff can tell."""
    scaled = (Fraction(price.price, price.per) * share).limit_denominator(MAX_PRICE)
    return replace(price, price=min(scaled.numerator, MAX_PRICE), per=scaled.denominator)


def _check_percent(percent: int) -> None:
    if not 0 <= percent <= MAX_PERCENT:
        raise UsageError(f"a percentage is 0 to {MAX_PERCENT}")
