from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from consilience.nodes import Limits, Skill
from consilience.server.payments import Offer
from consilience.tariffs import MAX_PRICE
from consilience_node.config import Config
from consilience_node.offers import offers_of, prices_questions, tariffs_of

LIMITS = Limits(max_input_tokens=1000, max_output_tokens=200)


def configured(*, of_model: bool = False, **prices: Any) -> Config:
    """Returns a node with one skill whose price is in TEST/0."""
    tables = [{"id": "a", "asset": "TEST/0", **prices}]
    model: dict[str, object] = {"id": "m", "engine": "scripted", "script": "s.toml"}
    skill: dict[str, object] = {"id": "chat", "model": "m"}
    (model if of_model else skill)["prices"] = tables
    return Config.model_validate({"models": [model], "skills": [skill], "limits": {"max_run_seconds": 60}})


def offered(*, limits: Limits = LIMITS, **prices: Any) -> Offer:
    config = configured(**prices)
    (offer,) = offers_of(config, config.skills[0], skill=Skill(id="chat", limits=limits))
    return offer


def test_bounds_that_are_stated_stay_so() -> None:
    offer = offered(
        request=5,
        window="7 TEST",
        max_charge=50,
        max_asks=3,
        total_max_charge=70,
        hold_open_seconds=1.5,
        quote_lifetime_seconds=90,
    )
    assert (offer.window, offer.max_charge, offer.max_asks, offer.total_max_charge) == (7, 50, 3, 70)
    assert (offer.hold_open, offer.lifetime) == (timedelta(seconds=1.5), timedelta(seconds=90))


@pytest.mark.parametrize(
    ("prices", "window"),
    [
        ({"output_tokens": 1}, 32),
        ({"output_tokens": {"price": 1, "per": 1000}}, 1),
        ({"output_bytes": {"price": 1, "per": 3}}, 43),
        ({"milliseconds": {"price": 1, "per": 10}, "request": 500, "input_tokens": 9}, 100),
        ({"output_tokens": 1, "full_load_percent": 200, "hours": [{"first": 0, "last": 9, "percent": 150}]}, 96),
        ({"output_tokens": 1, "full_load_percent": 50}, 32),
        ({"request": 5}, 1),
    ],
)
def test_a_window_is_a_second_of_text_where_none_is_stated(prices: dict[str, Any], window: int) -> None:
    assert offered(**prices).window == window


@pytest.mark.parametrize(
    ("prices", "most"),
    [
        ({"request": 5}, 5),
        ({"request": 5, "minimum_charge": 8}, 8),
        ({"input_tokens": 1}, 1000),
        ({"output_tokens": {"price": 3, "per": 1000}}, 1),
        ({"output_tokens": 2, "hidden_tokens": 1}, 600),
        ({"output_bytes": 1}, 4096),
        ({"milliseconds": 1}, 60_000),
        ({"request": 10, "full_load_percent": 150}, 15),
        ({"output_tokens": {"price": 10**14}}, MAX_PRICE),
    ],
)
def test_an_answer_costs_at_most_what_the_longest_one_would(prices: dict[str, Any], most: int) -> None:
    assert offered(**prices).max_charge == most


def test_a_question_of_which_no_tokens_are_bounded_has_at_most_one_for_each_byte() -> None:
    limits = Limits(max_output_tokens=200, max_input_bytes=3000)
    assert offered(limits=limits, input_tokens=1).max_charge == 3000


def test_an_answer_costs_no_more_than_all_under_a_quote_may() -> None:
    assert offered(output_tokens=2, total_max_charge=100).max_charge == 100


def test_a_price_of_a_model_names_it_in_the_card() -> None:
    of_model, of_skill = configured(of_model=True, output_tokens=1), configured(output_tokens=1)
    assert [tariff.model_ids for tariff in tariffs_of(of_model, of_model.skills[0])] == [("m",)]
    assert [tariff.model_ids for tariff in tariffs_of(of_skill, of_skill.skills[0])] == [()]
    assert [tariff.tokenizer for tariff in tariffs_of(of_model, of_model.skills[0])] == ["m"]


@pytest.mark.parametrize(("prices", "priced"), [({"input_tokens": 1}, True), ({"output_tokens": 1}, False)])
def test_questions_are_counted_where_their_tokens_cost_something(*, prices: dict[str, Any], priced: bool) -> None:
    config = configured(**prices)
    assert prices_questions(config, config.skills[0]) is priced
