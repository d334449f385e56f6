"""What answers cost: the prices of skills and models (spec sections 3.1 and 3.2).

An amount is a whole number of units of its asset, or a text that people read::

    [[models.prices]]
    id = "standard"
    asset = "USD/6"
    request = 50                                             # millionths of a dollar
    output_tokens = { price = "0.60 USD", per = 1_000_000 }

There are no floating-point numbers: `price = 0.60` is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator, Field

from consilience.asks import Usage
from consilience.errors import UsageError
from consilience.payments import MAX_QUOTE_LIFETIME, cost
from consilience.server.payments import Formula, Hours
from consilience.server.payments.offers import (
    DEFAULT_HOLD_OPEN,
    DEFAULT_MAX_ASKS,
    DEFAULT_QUOTE_LIFETIME,
    MAX_ASKS,
    MAX_PERCENT,
)
from consilience.tariffs import MAX_PRICE, TOKEN_UNITS, PricedUnit, Tariff, UnitPrice
from consilience_node.config.amounts import AmountValue, AssetId, Complaint, units_of
from consilience_node.config.lines import KeyPath
from consilience_node.config.tables import Table, Tag

MAX_HOLD_OPEN_SECONDS = 86_400.0
UNITS = {
    "request": PricedUnit.REQUEST,
    "input_tokens": PricedUnit.INPUT_TOKEN,
    "cached_input_tokens": PricedUnit.CACHED_INPUT_TOKEN,
    "output_tokens": PricedUnit.OUTPUT_TOKEN,
    "hidden_tokens": PricedUnit.HIDDEN_TOKEN,
    "output_bytes": PricedUnit.OUTPUT_BYTE,
    "milliseconds": PricedUnit.MILLISECOND,
}
"""What can be priced, by its key in the file."""


def _unit_price(value: object) -> object:
    """Takes `5` for `{ price = 5 }`."""
    return value if isinstance(value, dict | UnitPriceTable) else {"price": value}


Percent: TypeAlias = Annotated[int, Field(ge=0, le=MAX_PERCENT)]


class UnitPriceTable(Table):
    """What one unit costs: `{ price = 3, per = 1000, included = 20 }`, or `3` alone.

    Attributes:
        price: For `per` units, beyond the first `included` of an answer.
    """

    price: AmountValue
    per: Annotated[int, Field(ge=1, le=MAX_PRICE)] = 1
    included: Annotated[int, Field(ge=0, le=MAX_PRICE)] = 0


class HoursTable(Table):
    """Hours of the day, in UTC, from `first` up to `last`, over midnight where that is lower, at another price.

    Attributes:
        percent: Of the price that the card lists.
    """

    first: Annotated[int, Field(ge=0, le=23)]
    last: Annotated[int, Field(ge=0, le=24)]
    percent: Percent


UnitPriceValue: TypeAlias = Annotated[UnitPriceTable, BeforeValidator(_unit_price)]


class PriceTable(Table):
    """`[[skills.prices]]` and `[[models.prices]]`: one tariff, and the bounds of the quotes that are made of it.

    Attributes:
        id: Names the tariff in the card.
        asset: Of all its amounts.
        request, input_tokens, cached_input_tokens, output_tokens, hidden_tokens, output_bytes, milliseconds: What is
            priced. The model counts the tokens.
        minimum_charge: The least that an answer costs.
        window: What a payer allows ahead of what it has read; about a second of text when absent.
        max_charge: The most that an answer costs; what the longest question and answer would cost when absent.
        max_asks: How many asks one quote is good for.
        total_max_charge: What they may cost together; `max_asks` times `max_charge` when absent.
        hold_open_seconds: How long an answer waits for money.
        quote_lifetime_seconds: How long a price that was told holds, an hour at most.
        full_load_percent: Of the price, when the node works on as many asks as it takes.
        hours: Prices of the time of day; the first that holds counts.
    """

    id: Tag
    asset: AssetId
    request: UnitPriceValue | None = None
    input_tokens: UnitPriceValue | None = None
    cached_input_tokens: UnitPriceValue | None = None
    output_tokens: UnitPriceValue | None = None
    hidden_tokens: UnitPriceValue | None = None
    output_bytes: UnitPriceValue | None = None
    milliseconds: UnitPriceValue | None = None
    minimum_charge: AmountValue = 0
    window: AmountValue | None = None
    max_charge: AmountValue | None = None
    max_asks: Annotated[int, Field(ge=1, le=MAX_ASKS)] = DEFAULT_MAX_ASKS
    total_max_charge: AmountValue | None = None
    hold_open_seconds: Annotated[float, Field(ge=0, le=MAX_HOLD_OPEN_SECONDS)] = DEFAULT_HOLD_OPEN.total_seconds()
    quote_lifetime_seconds: Annotated[float, Field(ge=1, le=MAX_QUOTE_LIFETIME.total_seconds())] = (
        DEFAULT_QUOTE_LIFETIME.total_seconds()
    )
    full_load_percent: Percent = 100
    hours: Annotated[tuple[HoursTable, ...], Field(strict=False, max_length=24)] = ()

    def tariff(self, *, tokenizer: str, model_ids: tuple[str, ...] = ()) -> Tariff:
        """Returns it as the card lists it.

        Args:
            tokenizer: Counts the tokens, where they are priced: the model.
            model_ids: The models that it prices; empty: those of the skill.

        Raises:
            UsageError: An amount is none; `complaints` says which.
        """
        prices = tuple(
            UnitPrice(
                unit=UNITS[key],
                price=units_of(stated.price, asset=self.asset),
                per=stated.per,
                included=stated.included,
            )
            for key, stated in self._stated()
        )
        counts_tokens = any(price.unit in TOKEN_UNITS for price in prices)
        return Tariff(
            id=self.id,
            asset=self.asset,
            prices=prices,
            minimum_charge=units_of(self.minimum_charge, asset=self.asset),
            tokenizer=tokenizer if counts_tokens else "",
            model_ids=model_ids,
        )

    def units(self, amount: int | str | None) -> int | None:
        """Returns one of its amounts in units of the asset, or None for None."""
        return None if amount is None else units_of(amount, asset=self.asset)

    @property
    def hold_open(self) -> timedelta:
        """How long an answer waits for money."""
        return timedelta(seconds=self.hold_open_seconds)

    @property
    def quote_lifetime(self) -> timedelta:
        """How long a price that was told holds."""
        return timedelta(seconds=self.quote_lifetime_seconds)

    @property
    def formula(self) -> Formula:
        """How the price follows load and time of day."""
        hours = tuple(Hours(first=each.first, last=each.last, percent=each.percent) for each in self.hours)
        return Formula(full_load_percent=self.full_load_percent, hours=hours)

    def complaints(self) -> Iterator[Complaint]:
        """Yields what no value has wrong by itself."""
        for index, hours in enumerate(self.hours):
            if hours.first == hours.last:
                yield ("hours", index), "begin and end at the same hour; the whole day is first = 0, last = 24"
        if wrong := list(self._wrong_amounts()):
            yield from wrong
            return
        if not any(True for _ in self._stated()):
            yield (), f"prices nothing; say what costs something: {', '.join(UNITS)}"
            return
        yield from self._wrong_bounds()

    def _wrong_amounts(self) -> Iterator[Complaint]:
        amounts: list[tuple[KeyPath, int | str | None]] = [((key, "price"), each.price) for key, each in self._stated()]
        bounds = ("window", "max_charge", "total_max_charge")
        amounts += [((key,), getattr(self, key)) for key in ("minimum_charge", *bounds)]
        for path, amount in amounts:
            try:
                units = self.units(amount)
            except UsageError as error:
                yield path, str(error)
            else:
                if units == 0 and path[0] in bounds:
                    yield path, "must be above 0"

    def _wrong_bounds(self) -> Iterator[Complaint]:
        tariff = self.tariff(tokenizer=self.id)
        if not tariff.minimum_charge and not any(price.price for price in tariff.prices):
            yield (), "costs nothing; a skill that is free says so with prices = []"
        most, most_in_all = self.units(self.max_charge), self.units(self.total_max_charge)
        if most is not None and most < (least := cost(tariff, Usage())):
            yield ("max_charge",), f"must be {least} at least, which every answer costs"
        if most_in_all is not None and most is not None and most_in_all < most:
            yield ("total_max_charge",), "must be max_charge at least, or no ask fits a quote"

    def _stated(self) -> Iterator[tuple[str, UnitPriceTable]]:
        for key in UNITS:
            if (stated := getattr(self, key)) is not None:
                yield key, stated
