from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from grpc import aio
from hypothesis import given
from hypothesis import strategies as st

from consilience._wire.envelopes import from_bytes, open_envelope, seal
from consilience._wire.errors import status_of
from consilience._wire.payments import decode_opened
from consilience._wire.services import encode_request
from consilience.asks import Usage
from consilience.errors import PaymentRequired, PaymentRequiredError, Supported, TermsRefusedError, UsageError
from consilience.identity import KeyPair
from consilience.nodes import Skill
from consilience.payments import OPEN_METHOD, OpenSessionCall, Quote, cost
from consilience.rails.hold import HoldRail
from consilience.server import Node
from consilience.server.payments import Circumstances, Formula, Hours, Offer, Payments
from consilience.server.payments.offers import PriceBook
from consilience.tariffs import MAX_PRICE, Backing, PricedUnit, Tariff, UnitPrice
from sdk.tests.server.callers import calling
from sdk.tests.server.payments.payers import Payer, credit_terms
from sdk.tests.server.payments.simulated_rails import INVOICE, SimulatedRail, SimulatedWorld

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def tariff(tariff_id: str = "t", *, asset: str = "TEST/0", price: int = 3, per: int = 10, **changes: Any) -> Tariff:
    prices = (UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=price, per=per),)
    return Tariff(id=tariff_id, asset=asset, prices=prices, **changes)


def offer(*args: Any, formula: Formula | None = None, **changes: Any) -> Offer:
    return Offer(tariff=tariff(*args, **changes), window=10, max_charge=100, formula=formula or Formula())


@pytest.mark.parametrize(
    ("running", "hour", "share"),
    [(0, 12, Fraction(1)), (4, 12, Fraction(3)), (2, 12, Fraction(2)), (0, 23, Fraction(1, 2)), (4, 5, Fraction(3, 2))],
)
def test_a_price_follows_load_and_time_of_day(running: int, hour: int, share: Fraction) -> None:
    formula = Formula(full_load_percent=300, hours=(Hours(first=22, last=6, percent=50),))
    circumstances = Circumstances(now=NOON.replace(hour=hour), running_asks=running, max_running_asks=4)
    assert formula.share(circumstances) == share
    changed = offer(formula=formula, minimum_charge=7).at(circumstances).tariff
    assert Fraction(changed.prices[0].price, changed.prices[0].per) == Fraction(3, 10) * share
    assert changed.minimum_charge == -(-7 * share.numerator // share.denominator)


def test_the_first_hours_that_hold_count_and_others_are_as_listed() -> None:
    formula = Formula(hours=(Hours(first=8, last=20, percent=200), Hours(first=0, last=24, percent=80)))
    assert formula.share(Circumstances(now=NOON)) == 2
    assert formula.share(Circumstances(now=NOON.replace(hour=20))) == Fraction(4, 5)


@given(
    price=st.integers(0, MAX_PRICE),
    per=st.integers(1, MAX_PRICE),
    percent=st.integers(0, 100_000),
    size=st.integers(0, 10**6),
)
def test_a_changed_price_is_a_price_and_never_below_its_share_by_more_than_it_can_tell(
    price: int, per: int, percent: int, size: int
) -> None:
    formula = Formula(hours=(Hours(first=0, last=24, percent=percent),))
    changed = offer(price=price, per=per, formula=formula).at(Circumstances(now=NOON)).tariff
    exact = Fraction(price * percent * size, per * 100)
    if price * percent <= MAX_PRICE and per * 100 <= MAX_PRICE:
        assert cost(changed, Usage(output_bytes=size)) == -(-exact.numerator // exact.denominator)


@pytest.mark.parametrize(
    "wrong",
    [
        {"window": 0},
        {"max_charge": 0},
        {"max_asks": 0},
        {"max_asks": 2**31},
        {"total_max_charge": -1},
        {"hold_open": timedelta(seconds=-1)},
        {"lifetime": timedelta(hours=2)},
        {"tariff": tariff(price=-1)},
    ],
)
def test_an_offer_that_no_quote_could_make_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        replace(offer(), **wrong)


@pytest.mark.parametrize("hours", [(24, 3), (3, 3), (0, 25), (-1, 4)])
def test_hours_are_hours_of_a_day(hours: tuple[int, int]) -> None:
    with pytest.raises(UsageError):
        Hours(first=hours[0], last=hours[1], percent=100)


def test_a_book_finds_the_first_offer_for_model_and_asset() -> None:
    book = PriceBook()
    large, small, other = (
        offer("large", model_ids=("big",)),
        offer("small", model_ids=("tiny",)),
        offer("other", asset="USD/6"),
    )
    assert book.add("chat", (large, small, other)) == ("large", "small", "other")
    skill = Skill(id="chat")
    assert book.offer(skill) is large
    assert book.offer(skill, model_id="tiny") is small
    assert book.offer(skill, model_id="tiny", asset="USD/6") is other
    assert book.offer(Skill(id="gratis")) is None
    with pytest.raises(TermsRefusedError) as refused:
        book.offer(skill, asset="BTC/11")
    assert refused.value.detail == Supported(field="asset", values=("TEST/0", "USD/6"))


def test_one_tariff_id_stands_for_one_price() -> None:
    book = PriceBook()
    book.add("one", (offer("t"),))
    book.add("two", (offer("t"),))
    assert book.tariffs == (tariff("t"),)
    with pytest.raises(UsageError, match="two prices"):
        book.add("three", (offer("t", price=4),))


async def echo(ask: Any) -> Any:
    yield ask.text


def test_a_node_that_charges_says_how_it_is_paid() -> None:
    with pytest.raises(UsageError, match="how it is paid"):
        Node("n", key=KeyPair.generate()).skill("echo", offers=[offer()])(echo)


def test_what_costs_something_has_a_rail_that_moves_it() -> None:
    node = Node("n", key=KeyPair.generate(), payments=Payments(rails=(HoldRail(),)))
    node.skill("echo", offers=[offer(asset="USD/6")])(echo)
    with pytest.raises(UsageError, match="no rail"):
        node.serving("127.0.0.1:0")


async def test_a_node_that_forgets_is_not_paid_on_a_network_of_value() -> None:
    node = Node("n", key=KeyPair.generate(), payments=Payments(rails=(HoldRail(network="town"),)))
    node.skill("echo", offers=[offer()])(echo)
    with pytest.raises(UsageError, match="durable"):
        node.serving("127.0.0.1:0")


def long_offer(*, models: int) -> Offer:
    most = MAX_PRICE
    prices = tuple(UnitPrice(unit=unit, price=most, per=most) for unit in PricedUnit if unit > 0)
    ids = tuple(f"{number:03}-{'m' * 60}" for number in range(models))
    named = Tariff(id="t" * 64, asset="TEST/0", prices=prices, minimum_charge=most, tokenizer="t" * 128, model_ids=ids)
    return Offer(tariff=named, window=most, max_charge=most)


async def test_whoever_names_no_payment_is_told_the_whole_price_in_four_kibibytes_and_no_invoice() -> None:
    world = SimulatedWorld()
    rails = tuple(SimulatedRail(world, id=f"{number}{'r' * 63}") for number in range(4))
    node = Node("n", key=KeyPair.generate(), payments=Payments(rails=rails))
    node.skill("s" * 64, offers=[long_offer(models=20)])(echo)
    async with node.serving("127.0.0.1:0") as running, calling(running) as caller:
        with pytest.raises(PaymentRequiredError) as refused:
            await caller.ask(skill_id="s" * 64)
        payer = Payer(caller=caller, terms=credit_terms(caller))
        await payer.quote("s" * 64)
        assert not world.asked, "whoever is told a price, or asks for one, makes no invoice"
        prepaid = replace(payer.terms.value, rail_id=rails[0].id, backing=Backing.PREPAID, credit_limit=0)
        terms = seal(replace(prepaid, issuer=prepaid.payee), signer=caller.key)
        call = OpenSessionCall(header=caller.header(OPEN_METHOD), terms=terms.envelope, deposit_id=bytes(16), deposit=1)
        opened = await caller.unary(OPEN_METHOD, encode_request(seal(call, signer=caller.key).envelope))
        _, instruction = decode_opened(opened)
    assert isinstance(refused.value.detail, PaymentRequired)
    quote = open_envelope(from_bytes(refused.value.detail.quote), Quote).value
    assert len(quote.rail_ids) == 4
    assert len(status_of(refused.value).SerializeToString()) <= 4096
    told = refused.value.__cause__
    assert isinstance(told, aio.AioRpcError)
    assert sum(len(name) + len(value) for name, value in told.trailing_metadata() or ()) <= 4096
    assert instruction is not None
    assert instruction.detail == INVOICE


def test_a_price_that_does_not_fit_into_a_refusal_is_refused_before_the_node_serves() -> None:
    node = Node("n", key=KeyPair.generate(), payments=Payments(rails=(HoldRail(),)))
    node.skill("echo", offers=[long_offer(models=60)])(echo)
    with pytest.raises(UsageError, match="3072 at most"):
        node.serving("127.0.0.1:0")
