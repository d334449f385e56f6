"""Mutants of prices by which nodes are found: what the reference usage costs (spec section 4.6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace as changed

from consilience.nodes import NodeCard, Skill
from consilience.reviews import NodeQuery, finding, fits
from consilience.tariffs import Tariff
from consilience_node.mutants.finding import judges
from consilience_node.mutants.registry import mutant, replace


@mutant("finds-free-skills-for-no-price")
def _finds_free_skills_for_no_price() -> None:
    """A free skill is not found by a price."""
    judges("price", lambda card, skill, value: bool(skill.tariff_ids) and fits(card, skill, NodeQuery(price=value)))


def _judges_prices(costs: Callable[[NodeCard, Skill, str], Iterable[int]]) -> None:
    """Finds skills that are free, or that cost little enough by one of these costs in an asset."""
    judges(
        "price",
        lambda card, skill, value: (
            not skill.tariff_ids or any(cost <= value.max_cost for cost in costs(card, skill, value.asset))
        ),
    )


@mutant("finds-prices-in-any-asset")
def _finds_prices_in_any_asset() -> None:
    """A price is compared with what a skill costs in whatever asset."""
    _judges_prices(lambda card, skill, _: finding.reference_costs(card, skill).values())


@mutant("finds-below-the-price")
def _finds_below_the_price() -> None:
    """A skill that costs exactly what may be paid is not found."""
    _judges_prices(
        lambda card, skill, asset: [
            cost + 1 for named, cost in finding.reference_costs(card, skill).items() if named == asset
        ]
    )


@mutant("finds-by-the-dearest-tariff")
def _finds_by_the_dearest_tariff() -> None:
    """A skill under two tariffs is found by the dearer."""

    def dearest(card: NodeCard, skill: Skill, asset: str) -> list[int]:
        costs = [finding._reference_cost(tariff) for tariff in card.tariffs_of(skill) if tariff.asset == asset]
        return [max(costs)] if costs else []

    _judges_prices(dearest)


@mutant("finds-by-tariffs-of-other-skills")
def _finds_by_tariffs_of_other_skills() -> None:
    """A skill that costs something is found by every tariff of its card."""
    _judges_prices(
        lambda card, _, asset: [finding._reference_cost(tariff) for tariff in card.tariffs if tariff.asset == asset]
    )


@mutant("finds-by-another-usage")
def _finds_by_another_usage() -> None:
    """The reference usage has no output bytes."""
    replace(finding, "REFERENCE_USAGE", lambda usage: changed(usage, output_bytes=0))


def _finds_by_other_tariffs(change: Callable[[Tariff], Tariff]) -> None:
    """Compares with what a skill would cost if its tariffs were otherwise."""
    _judges_prices(
        lambda card, skill, asset: [
            finding._reference_cost(change(tariff)) for tariff in card.tariffs_of(skill) if tariff.asset == asset
        ]
    )


@mutant("finds-without-the-minimum")
def _finds_without_the_minimum() -> None:
    """What an answer costs at the least is left out of a price."""
    _finds_by_other_tariffs(lambda tariff: changed(tariff, minimum_charge=0))


@mutant("finds-with-nothing-included")
def _finds_with_nothing_included() -> None:
    """The units that cost nothing are counted into a price."""
    _finds_by_other_tariffs(
        lambda tariff: changed(tariff, prices=tuple(changed(price, included=0) for price in tariff.prices))
    )
