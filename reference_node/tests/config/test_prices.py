from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from consilience.identity import KeyPair, format_node_id
from consilience.rails.bank import BankRail
from consilience.rails.hold import HoldRail
from consilience.server.payments import Circumstances, Payments
from consilience.tariffs import PricedUnit, Tariff, UnitPrice
from consilience_node.config import Config, ConfigError, overridden, read_config
from reference_node.tests.config.files import complaint, written

ISSUER = KeyPair(b"i" * 32).public_key
PAID = '[payments]\nrails = [{ rail = "hold.v1", assets = ["TEST/0", "USD/6"] }]\n'
MODEL = '[[models]]\nid = "m"\nengine = "scripted"\nscript = "s.toml"\n'
SKILL = '[[skills]]\nid = "chat"\nmodel = "m"\n'


def priced(prices: str, *, payments: str = PAID) -> str:
    """Returns a file whose ninth line opens the prices of its skill."""
    return f"{payments}{MODEL}{SKILL}[[skills.prices]]\n{prices}"


def read(folder: Path, text: str) -> Config:
    return read_config(written(folder, text))


def test_a_price_is_a_number_of_units_or_a_text_for_people(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        priced(
            """
            id = "day"
            asset = "USD/6"
            request = 50
            input_tokens = "0.000001 USD"
            output_tokens = { price = "0.60 USD", per = 1_000_000, included = 20 }
            output_bytes = { price = "0.5 USD/6" }
            minimum_charge = "0.0001 USD"
            """
        ),
    )
    (prices,) = config.prices_of(config.skills[0])
    assert prices.tariff(tokenizer="m") == Tariff(
        id="day",
        asset="USD/6",
        prices=(
            UnitPrice(unit=PricedUnit.REQUEST, price=50),
            UnitPrice(unit=PricedUnit.INPUT_TOKEN, price=1),
            UnitPrice(unit=PricedUnit.OUTPUT_TOKEN, price=600_000, per=1_000_000, included=20),
            UnitPrice(unit=PricedUnit.OUTPUT_BYTE, price=500_000),
        ),
        minimum_charge=100,
        tokenizer="m",
    )


def test_every_unit_of_the_protocol_can_be_priced(tmp_path: Path) -> None:
    keys = [
        "request",
        "input_tokens",
        "cached_input_tokens",
        "output_tokens",
        "hidden_tokens",
        "output_bytes",
        "milliseconds",
    ]
    text = priced('id = "all"\nasset = "TEST/0"\n' + "".join(f"{key} = 1\n" for key in keys))
    config = read(tmp_path, text)
    (prices,) = config.prices_of(config.skills[0])
    units = {price.unit for price in prices.tariff(tokenizer="m").prices}
    assert units == {unit for unit in PricedUnit if unit > PricedUnit.UNSPECIFIED}


def test_who_prices_no_token_names_no_tokenizer(tmp_path: Path) -> None:
    config = read(tmp_path, priced('id = "a"\nasset = "TEST/0"\noutput_bytes = 1\n'))
    assert config.prices_of(config.skills[0])[0].tariff(tokenizer="m").tokenizer == ""


def test_prices_of_a_model_hold_for_the_skills_on_it_that_state_none(tmp_path: Path) -> None:
    price = 'asset = "TEST/0"\nrequest = 1\n'
    config = read(
        tmp_path,
        f'{PAID}{MODEL}[[models.prices]]\nid = "of-the-model"\n{price}'
        f'{SKILL}[[skills]]\nid = "dear"\nmodel = "m"\n[[skills.prices]]\nid = "own"\n{price}'
        '[[skills]]\nid = "gratis"\nmodel = "m"\nprices = []\n',
    )
    ids = {skill.id: [prices.id for prices in config.prices_of(skill)] for skill in config.skills}
    assert ids == {"chat": ["of-the-model"], "dear": ["own"], "gratis": []}


def test_a_formula_follows_hour_and_load(tmp_path: Path) -> None:
    hours = "hours = [{ first = 22, last = 6, percent = 50 }]\n"
    config = read(tmp_path, priced(f'id = "a"\nasset = "TEST/0"\nrequest = 1\nfull_load_percent = 300\n{hours}'))
    formula = config.prices_of(config.skills[0])[0].formula
    night = datetime(2026, 1, 1, 5, 59, tzinfo=UTC)
    assert formula.share(Circumstances(now=night)) * 2 == 1
    assert formula.share(Circumstances(now=night, running_asks=4, max_running_asks=4)) * 2 == 3
    assert formula.share(Circumstances(now=night + timedelta(hours=1))) == 1


def test_rails_are_read_as_the_server_toolkit_takes_them(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        f"""
        [payments]
        quotes_per_minute = 7
        sessions_per_minute = 8
        transfers_per_minute = 9
        [[payments.rails]]
        rail = "hold.v1"
        network = "regtest"
        assets = ["USD/6"]
        max_credit = "0.5 USD"
        min_deposit = 1000
        max_deposit = "10 USD"
        issuers = ["{format_node_id(ISSUER)}"]
        """,
    )
    rail = HoldRail(
        network="regtest",
        assets=("USD/6",),
        max_credit=500_000,
        min_deposit=1000,
        max_deposit=10_000_000,
        issuers=(ISSUER,),
    )
    assert config.payments is not None
    paid = Payments(rails=(rail,), quotes_per_minute=7, sessions_per_minute=8, transfers_per_minute=9)
    assert config.payments.payments() == paid


def test_the_bank_of_a_tester_is_a_rail(tmp_path: Path) -> None:
    rail = '[[payments.rails]]\nrail = "conformance.bank"\naddress = "127.0.0.1:7350"\nmin_deposit = 3\n'
    config = read(tmp_path, rail)
    assert config.payments is not None
    assert config.payments.rails[0].settings() == BankRail(address="127.0.0.1:7350", min_deposit=3)


def test_a_rail_that_says_nothing_else_gives_grants_in_the_asset_of_tests(tmp_path: Path) -> None:
    config = read(tmp_path, '[payments]\nrails = [{ rail = "hold.v1" }]\n')
    assert config.payments is not None
    assert config.payments.rails[0].settings() == HoldRail()


START = 'id = "a"\nasset = "USD/6"\n'


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        ('id = "a"\nrequest = 1\n', "node.toml:10: skills[0].prices[0].asset: is missing"),
        (
            'id = "a"\nasset = "USD"\nrequest = 1\n',
            "node.toml:12: skills[0].prices[0].asset: must be an asset with its",
        ),
        ('id = "A b"\nasset = "USD/6"\nrequest = 1\n', "node.toml:11: skills[0].prices[0].id: must match ^"),
        (START, "node.toml:10: skills[0].prices[0]: prices nothing; say what costs something: request, input_tokens"),
        (
            START + "request = 0\n",
            "node.toml:10: skills[0].prices[0]: costs nothing; a skill that is free says so with",
        ),
        (
            START + "requests = 1\n",
            "node.toml:13: skills[0].prices[0].requests: unknown key; known: id, asset, request",
        ),
        (START + "request = 0.6\n", "node.toml:13: skills[0].prices[0].request.price: must be a whole number of units"),
        (
            START + "request = true\n",
            "node.toml:13: skills[0].prices[0].request.price: must be a whole number of units",
        ),
        (START + "request = -1\n", "node.toml:13: skills[0].prices[0].request.price: must be a whole number of units"),
        (
            START + 'request = "5 EUR"\n',
            """node.toml:13: skills[0].prices[0].request.price: must be in USD/6, as "0.5 USD", not '5 EUR'""",
        ),
        (
            START + 'request = "0.0000001 USD"\n',
            "node.toml:13: skills[0].prices[0].request.price: '0.0000001 USD/6' is finer than USD/6 can tell",
        ),
        (
            START + 'request = "99999999999 USD"\n',
            "skills[0].prices[0].request.price: must be 0 to 1000000000 USD, not",
        ),
        (
            START + "output_tokens = { price = 1, per = 0 }\n",
            "node.toml:13: skills[0].prices[0].output_tokens.per: input should be greater than or equal to 1",
        ),
        (
            START + "output_tokens = { price = 1, each = 2 }\n",
            "node.toml:13: skills[0].prices[0].output_tokens.each: unknown key; known: price, per, included",
        ),
        (START + "output_tokens = { per = 2 }\n", "skills[0].prices[0].output_tokens.price: is missing"),
        (START + "request = 5\nmax_charge = 4\n", "node.toml:14: skills[0].prices[0].max_charge: must be 5 at least"),
        (START + "request = 5\nwindow = 0\n", "node.toml:14: skills[0].prices[0].window: must be above 0"),
        (
            START + "request = 5\nmax_charge = 9\ntotal_max_charge = 8\n",
            "node.toml:15: skills[0].prices[0].total_max_charge: must be max_charge at least",
        ),
        (START + "request = 5\nmax_asks = 0\n", "node.toml:14: skills[0].prices[0].max_asks: input should be greater"),
        (
            START + "request = 5\nquote_lifetime_seconds = 3601\n",
            "node.toml:14: skills[0].prices[0].quote_lifetime_seconds: input should be less than or equal to 3600",
        ),
        (
            START + "request = 5\nhours = [{ first = 5, last = 5, percent = 50 }]\n",
            "node.toml:14: skills[0].prices[0].hours[0]: begin and end at the same hour",
        ),
        (
            START + "request = 5\nhours = [{ first = 24, last = 5, percent = 50 }]\n",
            "node.toml:14: skills[0].prices[0].hours[0].first: input should be less than or equal to 23",
        ),
        (
            'id = "a"\nasset = "EUR/2"\nrequest = 5\n',
            "node.toml:12: skills[0].prices[0].asset: EUR/2 is moved by no rail; they move TEST/0, USD/6",
        ),
        (
            'id = "conformance-script"\nasset = "USD/6"\nrequest = 5\n',
            'node.toml:11: skills[0].prices[0].id: "conformance-script" is used twice',
        ),
    ],
)
def test_a_wrong_price_is_told_with_line_key_and_what_is_wrong(tmp_path: Path, prices: str, expected: str) -> None:
    assert expected in complaint(tmp_path, priced(prices))


def test_a_list_is_not_called_empty_for_what_is_wrong_in_it(tmp_path: Path) -> None:
    told = complaint(tmp_path, '[[payments.rails]]\nrail = "hold.v1"\nassets = ["usd"]\n')
    assert told.startswith("node.toml:3: payments.rails[0].assets[0]: must be an asset with its scale")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("payments", "expected"),
    [
        ("[payments]\n", "node.toml:1: payments.rails: is missing"),
        ("[payments]\nrails = []\n", "node.toml:2: payments.rails: must not be empty"),
        (
            '[payments]\nrails = [{ rail = "ln" }]\n',
            "node.toml:2: payments.rails[0].rail: unknown rail; known: hold.v1, conformance.bank",
        ),
        ("[[payments.rails]]\n", "node.toml:1: payments.rails[0].rail: is missing"),
        ('[[payments.rails]]\nrail = "hold.v1"\ncredit = 1\n', "node.toml:3: payments.rails[0].credit: unknown key"),
        (
            '[[payments.rails]]\nrail = "hold.v1"\naddress = "127.0.0.1:1"\n',
            "node.toml:3: payments.rails[0].address: unknown key",
        ),
        ('[[payments.rails]]\nrail = "conformance.bank"\n', "node.toml:1: payments.rails[0].address: is missing"),
        (
            '[[payments.rails]]\nrail = "conformance.bank"\naddress = "bank.example:7350"\n',
            "node.toml:1: payments.rails[0]: conformance.bank needs the address of a bank on this machine",
        ),
        (
            '[[payments.rails]]\nrail = "conformance.bank"\naddress = "127.0.0.1:7350"\nnetwork = "main"\n',
            "node.toml:4: payments.rails[0].network: input should be 'test'",
        ),
        ('[[payments.rails]]\nrail = "hold.v1"\n' * 2, 'node.toml:4: payments.rails[1].rail: "hold.v1" is used twice'),
        (
            '[[payments.rails]]\nrail = "hold.v1"\nissuers = ["cn1x"]\n',
            "node.toml:3: payments.rails[0].issuers[0]: must be a node id, cn1…, not 'cn1x'",
        ),
        (
            '[[payments.rails]]\nrail = "hold.v1"\nmin_deposit = 10\nmax_deposit = 9\n',
            "node.toml:1: payments.rails[0]: the bounds of hold.v1",
        ),
        (
            '[[payments.rails]]\nrail = "hold.v1"\nnetwork = "main"\ngrants = true\n',
            'node.toml:4: payments.rails[0].grants: goes with network = "test"',
        ),
        (
            '[[payments.rails]]\nrail = "hold.v1"\nassets = ["USD/6", "EUR/2"]\nmax_credit = "1 USD"\n',
            "node.toml:4: payments.rails[0].max_credit: must be a number of units, since the rail moves several assets",
        ),
        (
            '[node]\nstore = "memory"\n[[payments.rails]]\nrail = "hold.v1"\nnetwork = "main"\n',
            'node.toml:5: payments.rails[0].network: goes with store = "sqlite"',
        ),
        ("[payments]\nquotes_per_minute = 0\nrails = []\n", "node.toml:2: payments.quotes_per_minute: input should be"),
    ],
)
def test_a_wrong_rail_is_told_with_line_key_and_what_is_wrong(tmp_path: Path, payments: str, expected: str) -> None:
    assert expected in complaint(tmp_path, payments)


def test_prices_without_payments_are_refused_where_they_stand(tmp_path: Path) -> None:
    said = complaint(tmp_path, priced('id = "a"\nasset = "USD/6"\nrequest = 5\n', payments=""))
    assert said == (
        "node.toml:8: skills[0].prices: cost something, and there is no [payments], which says how the node is paid"
    )


def test_a_skill_that_is_free_in_so_many_words_needs_no_payments(tmp_path: Path) -> None:
    assert read(tmp_path, f"{MODEL}{SKILL}prices = []\n").payments is None


def test_a_tariff_id_stands_for_one_price(tmp_path: Path) -> None:
    price = 'id = "a"\nasset = "USD/6"\nrequest = 5\n'
    text = f"{PAID}{MODEL}[[models.prices]]\n{price}{SKILL}[[skills.prices]]\n{price}"
    assert complaint(tmp_path, text) == 'node.toml:15: skills[0].prices[0].id: "a" is used twice; ids are unique'


def test_a_card_has_room_for_so_many_tariffs(tmp_path: Path) -> None:
    skills = "".join(
        f'[[skills]]\nid = "s{skill}"\nmodel = "m"\n'
        + "".join(
            f'[[skills.prices]]\nid = "t{skill}-{number}"\nasset = "USD/6"\nrequest = 5\n' for number in range(16)
        )
        for skill in range(4)
    )
    assert complaint(tmp_path, PAID + MODEL + skills) == (
        "node.toml:1: payments: a card lists 63 tariffs at most, not 64"
    )


def test_a_store_in_memory_does_not_go_with_money_on_the_command_line_either(tmp_path: Path) -> None:
    config = read(tmp_path, '[payments]\nrails = [{ rail = "hold.v1", network = "main" }]\n')
    with pytest.raises(ConfigError, match=r'payments\.rails\[0\]\.network: goes with store = "sqlite"'):
        overridden(config, store="memory")


def test_without_a_file_everything_is_free() -> None:
    config = Config()
    assert config.payments is None
    assert config.prices_of(config.skills[0]) == ()
