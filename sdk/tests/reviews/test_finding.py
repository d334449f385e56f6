from dataclasses import replace
from typing import Any

import pytest

from consilience import nodes
from consilience.reviews import NodeQuery, PriceCeiling, card_fits, fits
from consilience.reviews.finding import reference_costs, words_of
from consilience.tariffs import Backing, PricedUnit, Rail, Tariff, UnitPrice
from sdk.tests.reviews.specimens import TestNode

SKILL = nodes.Skill(
    id="law.advise",
    description="Answers questions about tenancy.",
    domains=("law.de", "housing"),
    languages=("de", "en-GB"),
    input_media_types=("text/plain", "application/pdf"),
    model_ids=("small",),
    max_data_class=nodes.DataClass.INTERNAL,
    tariff_ids=("dear", "cheap"),
)
TARIFFS = (
    Tariff(id="dear", asset="USD/6", prices=(UnitPrice(unit=PricedUnit.REQUEST, price=900),)),
    Tariff(id="cheap", asset="USD/6", prices=(UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=1, per=2),)),
)
CARD = (
    TestNode.named("lawyer")
    .card(
        skills=(SKILL,),
        name="Straßenrecht",
        description="A clerk's memory.",
        data_policy=nodes.DataPolicy(max_data_class=nodes.DataClass.CONFIDENTIAL),
        models=(nodes.Model(id="small", parameter_count=135_000_000), nodes.Model(id="other", parameter_count=10**12)),
        tariffs=TARIFFS,
        rails=(Rail(id="hold.v1", network="test", assets=("USD/6",), backings=(Backing.PREPAID,)),),
        profiles=(nodes.Profile.CORE, nodes.Profile.PAY),
    )
    .value
)
FREE = replace(SKILL, tariff_ids=(), languages=(), input_media_types=(), model_ids=())

FITTING: list[dict[str, Any]] = [
    {},
    {"skill_id": "law.advise"},
    {"domain": "law.de"},
    {"domain": "law"},
    {"language": "de"},
    {"language": "EN"},
    {"language": "en-gb"},
    {"input_media_type": "application/pdf"},
    {"data_class": nodes.DataClass.INTERNAL},
    {"price": PriceCeiling(asset="USD/6", max_cost=500)},
    {"rail_id": "hold.v1"},
    {"profiles": (nodes.Profile.PAY,)},
    {"min_parameter_count": 135_000_000, "max_parameter_count": 135_000_000},
    {"text": "TENANCY, strassenrecht"},
    {"text": "housing law"},
    {"text": "clerk"},
    {"text": " - "},
]
UNFITTING: list[dict[str, Any]] = [
    {"skill_id": "law"},
    {"domain": "la"},
    {"domain": "law.d"},
    {"language": "en-US"},
    {"language": "d"},
    {"input_media_type": "image/png"},
    {"data_class": nodes.DataClass.CONFIDENTIAL},
    {"price": PriceCeiling(asset="USD/6", max_cost=499)},
    {"price": PriceCeiling(asset="BTC/11", max_cost=10**9)},
    {"rail_id": "lightning"},
    {"profiles": (nodes.Profile.PAY, nodes.Profile.DURABLE)},
    {"min_parameter_count": 135_000_001},
    {"max_parameter_count": 134_999_999},
    {"text": "tenan"},
    {"text": "tenancy cooking"},
]


@pytest.mark.parametrize("asked", FITTING, ids=str)
def test_a_skill_that_has_what_is_asked_for_fits(asked: dict[str, Any]) -> None:
    assert fits(CARD, SKILL, NodeQuery(**asked))


@pytest.mark.parametrize("asked", UNFITTING, ids=str)
def test_a_skill_that_lacks_one_thing_does_not_fit(asked: dict[str, Any]) -> None:
    assert not fits(CARD, SKILL, NodeQuery(**asked))


def test_a_skill_that_names_no_language_speaks_all_and_reads_text_alone() -> None:
    assert fits(CARD, FREE, NodeQuery(language="fr", input_media_type="text/plain"))
    assert not fits(CARD, FREE, NodeQuery(input_media_type="application/pdf"))


def test_a_free_skill_keeps_every_bound_and_has_no_size() -> None:
    assert fits(CARD, FREE, NodeQuery(price=PriceCeiling(asset="BTC/11")))
    assert not fits(CARD, FREE, NodeQuery(min_parameter_count=1))


def test_all_has_to_be_found_in_one_skill() -> None:
    card = replace(CARD, skills=(SKILL, nodes.Skill(id="cook", domains=("cooking",))))
    assert card_fits(card, NodeQuery(domain="cooking"))
    assert not card_fits(card, NodeQuery(domain="cooking", skill_id="law.advise"))
    assert not card_fits(card, NodeQuery(text="cooking tenancy"))


def test_the_reference_usage_costs_what_the_cheapest_tariff_of_an_asset_makes_of_it() -> None:
    assert reference_costs(CARD, SKILL) == {"USD/6": 500}


def test_words_are_runs_of_letters_and_digits_after_case_folding() -> None:
    assert words_of("Units_of-Measure: 12 ft, STRASSE straße\u0301") == (
        "units",
        "of",
        "measure",
        "12",
        "ft",
        "strasse",
    )
