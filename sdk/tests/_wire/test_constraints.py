"""The rules that value types hold at run time are the constraints that the protos declare, one by one."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from consilience import asks
from consilience._wire import convert
from consilience.errors import FieldInvalidError, FieldViolations
from consilience.v1 import ask_pb2
from sdk.tests._wire.chains import Chain
from sdk.tests._wire.declarations import broken_rules, constrained_fields

Break = Callable[[Any], object]

BROKEN: dict[str, Break] = {
    "header": lambda ask: ask.ClearField("header"),
    "header.method": lambda ask: setattr(ask.header, "method", ""),
    "header.method too long": lambda ask: setattr(ask.header, "method", "m" * 129),
    "header.audience": lambda ask: setattr(ask.header, "audience", b"x" * 31),
    "header.caller": lambda ask: setattr(ask.header, "caller", b""),
    "header.request_id": lambda ask: setattr(ask.header, "request_id", b"x" * 17),
    "header.issue_time": lambda ask: ask.header.ClearField("issue_time"),
    "header.expire_time": lambda ask: ask.header.ClearField("expire_time"),
    "header.expire_time late": lambda ask: setattr(
        ask.header.expire_time, "seconds", ask.header.issue_time.seconds + 601
    ),
    "header.expire_time early": lambda ask: ask.header.expire_time.CopyFrom(ask.header.issue_time),
    "header.required_extensions many": lambda ask: ask.header.required_extensions.extend(map(str, range(16))),
    "header.required_extensions twice": lambda ask: ask.header.required_extensions.extend(["x", "x"]),
    "header.required_extensions empty": lambda ask: ask.header.required_extensions.append(""),
    "header.required_extensions long": lambda ask: ask.header.required_extensions.append("u" * 257),
    "header.extensions": lambda ask: [ask.header.extensions[str(index)] for index in range(16)],
    "skill_id empty": lambda ask: setattr(ask, "skill_id", ""),
    "skill_id upper case": lambda ask: setattr(ask, "skill_id", "Units"),
    "skill_id line end": lambda ask: setattr(ask, "skill_id", "units\n"),
    "card_digest": lambda ask: setattr(ask, "card_digest", b"x" * 33),
    "turns": lambda ask: ask.ClearField("turns"),
    "turns.role": lambda ask: setattr(ask.turns[0], "role", 0),
    "turns.role later": lambda ask: setattr(ask.turns[0], "role", 9),
    "turns.parts": lambda ask: ask.turns[1].ClearField("parts"),
    "turns.parts.content": lambda ask: ask.turns[1].parts.add(),
    "turns.parts.blob.media_type": lambda ask: setattr(ask.turns[0].parts[1].blob, "media_type", "PNG"),
    "turns.parts.blob.media_type long": lambda ask: setattr(ask.turns[0].parts[1].blob, "media_type", "a/" + "b" * 127),
    "data_class": lambda ask: setattr(ask, "data_class", 0),
    "data_class later": lambda ask: setattr(ask, "data_class", 9),
    "limits.max_output_tokens": lambda ask: setattr(ask.limits, "max_output_tokens", -1),
    "limits.max_hidden_tokens": lambda ask: setattr(ask.limits, "max_hidden_tokens", -1),
    "limits.max_charge": lambda ask: setattr(ask.limits, "max_charge", -1),
    "payment.quote_digest": lambda ask: setattr(ask.payment, "quote_digest", b"x" * 31),
    "payment.session_id": lambda ask: ask.payment.ClearField("session_id"),
    "reviewer_commitment": lambda ask: setattr(ask, "reviewer_commitment", b"x" * 31),
    "answer_schema": lambda ask: setattr(ask, "answer_schema", "x" * 65537),
    "on_disconnect": lambda ask: setattr(ask, "on_disconnect", 9),
    "model_id": lambda ask: setattr(ask, "model_id", "m" * 129),
}


def test_the_example_keeps_every_constraint(chain: Chain) -> None:
    assert broken_rules(convert.to_message(chain.ask.value)) == []
    asks.check_ask(chain.ask.value)


@pytest.mark.parametrize("broken", BROKEN)
def test_what_a_constraint_refuses_the_value_type_refuses(chain: Chain, broken: str) -> None:
    message: ask_pb2.Ask = convert.to_message(chain.ask.value)
    BROKEN[broken](message)
    assert broken_rules(message), "the declared constraints let it pass"
    with pytest.raises(FieldInvalidError) as caught:
        asks.check_ask(convert.parse(message.SerializeToString(), asks.Ask))
    assert isinstance(caught.value.detail, FieldViolations)
    found = {re.sub(r"\[\d+\]", "", violation.field) for violation in caught.value.detail.violations}
    assert found == {broken.split(maxsplit=1)[0]}


def test_every_declared_constraint_of_an_ask_is_broken_above() -> None:
    """A constraint that is added to the protos has to be added here, and so to the value types."""
    constrained = constrained_fields("Ask")
    named = {name.split(maxsplit=1)[0].rpartition(".")[2] for name in BROKEN}
    assert constrained - named == set()
