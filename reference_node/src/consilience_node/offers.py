"""Offers: from the prices of the configuration to what a node offers, with the bounds that the operator left open.

A window is about a second of text, and the most that an answer costs is what the longest question and the longest
answer would that the limits of the skill allow, at the dearest hour under full load.
"""

from __future__ import annotations

import math
from fractions import Fraction

from consilience.asks import Usage
from consilience.nodes import Limits, Skill, tighter_limits
from consilience.payments import cost
from consilience.server.payments import Formula, Offer
from consilience.tariffs import MAX_PRICE, PricedUnit, Tariff
from consilience_node.config import Config, PriceTable, SkillTable

TOKENS_OF_A_SECOND = 32
"""What a small model writes in a second on a machine without a graphics card, and a reader follows with ease."""

BYTES_OF_A_TOKEN = 4
MOST_BYTES_OF_A_TOKEN = 16
"""On the average of a long answer, however odd it is."""

PASSAGE_BYTES = 4096
"""A passage that is quoted in place of an answer is not longer."""

_AS_LISTED = 100
_OF_A_SECOND = {
    PricedUnit.OUTPUT_TOKEN: TOKENS_OF_A_SECOND,
    PricedUnit.OUTPUT_BYTE: TOKENS_OF_A_SECOND * BYTES_OF_A_TOKEN,
    PricedUnit.MILLISECOND: 1000,
}


def offers_of(config: Config, table: SkillTable, *, skill: Skill) -> tuple[Offer, ...]:
    """Returns what a skill is offered for, the preferred tariff first; none: it is free.

    Args:
        config: Of the node; its prices are free of contradictions.
        table: What it says of the skill.
        skill: As it is served: with its limits.
    """
    limits = tighter_limits(config.limits.limits(), skill.limits)
    return tuple(
        _offer(prices, tariff=tariff, limits=limits)
        for prices, tariff in zip(config.prices_of(table), tariffs_of(config, table), strict=True)
    )


def tariffs_of(config: Config, table: SkillTable) -> tuple[Tariff, ...]:
    """Returns the tariffs of a skill as the card lists them; those of a model name it."""
    model_ids = (table.model,) if table.prices is None else ()
    return tuple(each.tariff(tokenizer=table.model, model_ids=model_ids) for each in config.prices_of(table))


def prices_questions(config: Config, table: SkillTable) -> bool:
    """Tells whether the tokens of a question cost something, so that they have to be counted before the text."""
    return any(prices.input_tokens is not None for prices in config.prices_of(table))


def _offer(prices: PriceTable, *, tariff: Tariff, limits: Limits) -> Offer:
    window, most = prices.units(prices.window), prices.units(prices.max_charge)
    in_all = prices.units(prices.total_max_charge)
    if most is None:
        most = min(_most(tariff, formula=prices.formula, limits=limits), in_all or MAX_PRICE)
    return Offer(
        tariff=tariff,
        window=_window(tariff, formula=prices.formula) if window is None else window,
        max_charge=most,
        max_asks=prices.max_asks,
        total_max_charge=in_all or 0,
        hold_open=prices.hold_open,
        lifetime=prices.quote_lifetime,
        formula=prices.formula,
    )


def _window(tariff: Tariff, *, formula: Formula) -> int:
    """Returns what a second of text costs, in units of the asset; one unit at least."""
    second = sum(
        (Fraction(price.price * _OF_A_SECOND.get(price.unit, 0), price.per) for price in tariff.prices), Fraction(0)
    )
    return _bounded(second * _dearest(formula))


def _most(tariff: Tariff, *, formula: Formula, limits: Limits) -> int:
    """Returns what an answer costs that uses all that the limits allow, in units of the asset."""
    written = limits.max_output_tokens
    usage = Usage(
        input_tokens=limits.max_input_tokens or limits.max_input_bytes,  # no token has less than one byte
        output_tokens=written,
        hidden_tokens=written,
        output_bytes=max(written * MOST_BYTES_OF_A_TOKEN, PASSAGE_BYTES),
        duration=limits.max_run_time,
    )
    return _bounded(cost(tariff, usage) * _dearest(formula))


def _dearest(formula: Formula) -> Fraction:
    """Returns the price at the dearest hour under full load, as a share of what is listed."""
    by_load = max(formula.full_load_percent, _AS_LISTED)
    by_hour = max((hours.percent for hours in formula.hours), default=_AS_LISTED)
    return Fraction(by_load * max(by_hour, _AS_LISTED), _AS_LISTED * _AS_LISTED)


def _bounded(amount: Fraction) -> int:
    return min(max(math.ceil(amount), 1), MAX_PRICE)
