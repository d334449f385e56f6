from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from consilience import asks
from consilience._wire import envelopes
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.identity import KeyPair
from consilience.payments import Quote, check_quote
from sdk.tests._wire.chains import NOW, Chain
from sdk.tests.payments.deals import TARIFF, Deal, quote_with

Change = Callable[[Chain], dict[str, Any]]


@pytest.mark.parametrize(
    "change",
    [
        lambda _: {"payer": b"x" * 32},
        lambda _: {"skill_id": "other"},
        lambda _: {"model_id": "other"},
        lambda _: {"card_digest": b"x" * 32},
        lambda _: {"signing_key": KeyPair(b"x" * 32).public_key},
        lambda _: {"node_id": b"x" * 32},
        lambda _: {"window": 0},
        lambda _: {"expire_time": NOW + timedelta(hours=2)},
        lambda _: {"issue_time": NOW + timedelta(minutes=2), "expire_time": NOW + timedelta(minutes=3)},
        lambda _: {"issue_time": NOW - timedelta(minutes=3), "expire_time": NOW - timedelta(minutes=2)},
        lambda _: {"tariff": replace(TARIFF, asset="USD/6")},
        lambda _: {"tariff": replace(TARIFF, prices=())},
    ],
)
def test_a_quote_that_was_not_asked_for_is_refused(deal: Deal, change: Change) -> None:
    value = quote_with(deal.chain, **change(deal.chain))
    signer = KeyPair(b"x" * 32) if value.signing_key == KeyPair(b"x" * 32).public_key else deal.chain.node
    with pytest.raises(ProtocolError, match="PAY-QUO-004"):
        _check_quote(deal, envelopes.seal(value, signer=signer), now=NOW)


def test_a_quote_that_was_asked_for_is_taken_until_it_expires(deal: Deal) -> None:
    _check_quote(deal, deal.quote, now=NOW)
    _check_quote(deal, deal.quote, now=NOW + timedelta(minutes=5))
    with pytest.raises(ProtocolError):
        _check_quote(deal, deal.quote, now=NOW + timedelta(minutes=5, microseconds=1))


def _check_quote(deal: Deal, quote: Signed[Quote], *, now: datetime) -> None:
    assert now.tzinfo is UTC
    check_quote(
        quote,
        card=deal.chain.card,
        payer=deal.chain.asker.public_key,
        skill_id="computing.define",
        asset="TEST/0",
        now=now,
    )


@pytest.mark.parametrize(("asked", "ceiling"), [(None, 40), (39, 39), (41, 40), (0, 0)])
def test_an_ask_costs_no_more_than_its_quote_and_itself_allow(deal: Deal, asked: int | None, ceiling: int) -> None:
    ask = replace(deal.ask.value, limits=asks.AskLimits(max_charge=asked))
    assert deal.quote.value.ceiling(ask) == ceiling


def test_a_quote_without_a_tariff_is_free(deal: Deal) -> None:
    free = quote_with(deal.chain, tariff=None, window=0, max_charge=0, max_asks=0, total_max_charge=0)
    _check_quote(deal, envelopes.seal(free, signer=deal.chain.node), now=NOW)
