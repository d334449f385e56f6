"""The rules that payments hold at run time are the constraints that the protos declare, one by one."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from consilience import payments
from consilience._wire import convert
from consilience.errors import FieldInvalidError
from consilience.payments.quotes import quote_violations
from consilience.tariffs import Tariff, tariff_violations
from sdk.tests._wire.chains import full_tariff
from sdk.tests._wire.declarations import broken_rules, constrained_fields
from sdk.tests._wire.payments import full_payments

Break = Callable[[Any], object]
Check = Callable[[Any], object]

EXAMPLES: dict[str, Any] = full_payments() | {"Tariff": full_tariff()}


def _setting(field: str, value: object) -> Break:
    return lambda message: setattr(message, field, value)


def _clearing(field: str) -> Break:
    return lambda message: message.ClearField(field)


def _with_header(**rules: Break) -> dict[str, Break]:
    """Returns rules and those of every header, of which all are broken in an ask as well."""
    return rules | {
        "header": _clearing("header"),
        "header.method": lambda call: setattr(call.header, "method", ""),
        "header.audience": lambda call: setattr(call.header, "audience", b"x"),
        "header.caller": lambda call: setattr(call.header, "caller", b"x"),
        "header.request_id": lambda call: setattr(call.header, "request_id", b"x"),
        "header.issue_time": lambda call: call.header.ClearField("issue_time"),
        "header.expire_time": lambda call: call.header.ClearField("expire_time"),
        "header.required_extensions": lambda call: call.header.required_extensions.append(""),
        "header.extensions": lambda call: [call.header.extensions[str(index)] for index in range(16)],
    }


_SESSION = {"session_id": _setting("session_id", b"s" * 31)}
BROKEN: dict[str, dict[str, Break]] = {
    "Tariff": {
        "tariff units": lambda tariff: tariff.prices.append(tariff.prices[0]),
        "tariff tokenizer": _clearing("tokenizer"),
        "tariff.id": _setting("id", "Standard"),
        "tariff.asset": _setting("asset", "TEST"),
        "tariff.prices": _clearing("prices"),
        "tariff.prices.unit": lambda tariff: tariff.prices.add(unit=9, price=1, per=1),
        "tariff.prices.unit none": lambda tariff: tariff.prices.add(price=1, per=1),
        "tariff.prices.price": lambda tariff: setattr(tariff.prices[0], "price", -1),
        "tariff.prices.price high": lambda tariff: setattr(tariff.prices[0], "price", 10**15 + 1),
        "tariff.prices.per": lambda tariff: setattr(tariff.prices[0], "per", 0),
        "tariff.prices.per high": lambda tariff: setattr(tariff.prices[0], "per", 10**15 + 1),
        "tariff.prices.included": lambda tariff: setattr(tariff.prices[0], "included", -1),
        "tariff.prices.included high": lambda tariff: setattr(tariff.prices[0], "included", 10**15 + 1),
        "tariff.minimum_charge": _setting("minimum_charge", -1),
        "tariff.minimum_charge high": _setting("minimum_charge", 10**15 + 1),
        "tariff.tokenizer": _setting("tokenizer", "t" * 129),
        "tariff.model_ids": lambda tariff: tariff.model_ids.extend(["m"] * 64),
    },
    "Quote": {
        "node_id": _setting("node_id", b"x"),
        "signing_key": _setting("signing_key", b"x"),
        "card_digest": _setting("card_digest", b"x"),
        "payer": _setting("payer", b"x"),
        "skill_id": _setting("skill_id", "Define"),
        "model_id": _setting("model_id", "m" * 129),
        "tariff.id": lambda quote: setattr(quote.tariff, "id", ""),
        "window": _setting("window", -1),
        "window none": _setting("window", 0),
        "max_charge": _setting("max_charge", -1),
        "max_charge none": _setting("max_charge", 0),
        "max_asks": _setting("max_asks", -1),
        "max_asks none": _setting("max_asks", 0),
        "total_max_charge": _setting("total_max_charge", -1),
        "total_max_charge none": _setting("total_max_charge", 0),
        "rail_ids": lambda quote: quote.rail_ids.append("Hold"),
        "rail_ids many": lambda quote: quote.rail_ids.extend(["hold.v1"] * 16),
        "hold_open": lambda quote: setattr(quote.hold_open, "seconds", -1),
        "issue_time": _clearing("issue_time"),
        "expire_time": _clearing("expire_time"),
        "expire_time late": lambda quote: setattr(quote.expire_time, "seconds", quote.issue_time.seconds + 3601),
        "expire_time early": lambda quote: quote.expire_time.CopyFrom(quote.issue_time),
    },
    "SessionTerms": {
        "payer": _setting("payer", b"x"),
        "payee": _setting("payee", b"x"),
        "asset": _setting("asset", "test/0"),
        "rail_id": _setting("rail_id", ""),
        "network": _setting("network", ""),
        "network long": _setting("network", "n" * 65),
        "backing": _setting("backing", 0),
        "backing later": _setting("backing", 9),
        "issuer": _setting("issuer", b"x"),
        "credit_limit": _setting("credit_limit", -1),
        "salt": _setting("salt", b"x"),
        "session_terms issuer": _setting("issuer", b"x" * 32),
        "session_terms credit": _setting("credit_limit", 0),
    },
    "Voucher": {
        "payer": _setting("payer", b"x"),
        "session_id": _setting("session_id", b""),
        "cumulative": _setting("cumulative", -1),
    },
    "GetQuoteCall": _with_header(
        skill_id=_setting("skill_id", ""), model_id=_setting("model_id", "m" * 129), asset=_setting("asset", "TEST")
    ),
    "OpenSessionCall": _with_header(
        terms=_clearing("terms"), deposit_id=_setting("deposit_id", b"d" * 15), deposit=_setting("deposit", -1)
    )
    | {
        "open_session_call without an id": _clearing("deposit_id"),
        "open_session_call without an amount": _clearing("deposit"),
    },
    "ConfirmDepositCall": _with_header(**_SESSION, deposit_id=_setting("deposit_id", b"")),
    "GetSessionCall": _with_header(**_SESSION),
    "AcknowledgeReceiptCall": _with_header(
        **_SESSION, receipt_digest=_setting("receipt_digest", b"x"), session_spent=_setting("session_spent", -1)
    ),
    "ListReceiptsCall": _with_header(
        **_SESSION, after_number=_setting("after_number", -1), page_size=_setting("page_size", -1)
    ),
    "WithdrawCall": _with_header(
        **_SESSION, withdrawal_id=_setting("withdrawal_id", b"x"), amount=_setting("amount", 0)
    ),
    "CloseSessionCall": _with_header(**_SESSION),
}
ALL = [(name, broken) for name, breaks in BROKEN.items() for broken in breaks]


def _found(message: Any, name: str) -> set[str]:
    """Returns the fields that break a rule at run time, without their indices."""
    try:
        value = convert.parse(message.SerializeToString(), type(EXAMPLES[name]))
        paths = [path for path, _ in _violations(value)]
    except FieldInvalidError as error:
        paths = [violation.field for violation in getattr(error.detail, "violations", ())]
    return {re.sub(r"\[\d+\]", "", path) for path in paths}


def _violations(value: Any) -> Iterable[tuple[str, str]]:
    match value:
        case Tariff():
            return list(tariff_violations(value))
        case payments.Quote():
            return list(quote_violations(value))
        case payments.SessionTerms():
            payments.check_terms(value)
        case payments.Voucher():
            payments.check_voucher(value)
        case _:
            payments.check_payment_call(value)
    return []


@pytest.mark.parametrize("name", BROKEN)
def test_the_example_keeps_every_constraint(name: str) -> None:
    message = convert.to_message(EXAMPLES[name])
    assert broken_rules(message) == []
    assert _found(message, name) == set()


@pytest.mark.parametrize(("name", "broken"), ALL)
def test_what_a_constraint_refuses_the_value_type_refuses(name: str, broken: str) -> None:
    message = convert.to_message(EXAMPLES[name])
    BROKEN[name][broken](message)
    assert broken_rules(message), "the declared constraints let it pass"
    assert broken.split(maxsplit=1)[0] in _found(message, name)


@pytest.mark.parametrize("name", BROKEN)
def test_every_declared_constraint_is_broken_above(name: str) -> None:
    """A constraint that is added to the protos has to be added here, and so to the value types.

    What an envelope or a tariff holds is broken where it is an example of its own.
    """
    apart = {"OpenSessionCall": "SignedEnvelope", "Quote": "Tariff"}
    constrained = (
        constrained_fields(name) - constrained_fields(apart[name]) if name in apart else constrained_fields(name)
    )
    named = {broken.split(maxsplit=1)[0].rpartition(".")[2] for broken in BROKEN[name]}
    assert constrained - named == set()


def test_all_calls_are_among_them() -> None:
    assert BROKEN.keys() >= {name for name in EXAMPLES if name.endswith("Call")}
