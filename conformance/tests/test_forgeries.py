"""What a forged call is good for is shown by the one rule of verification without which it would be accepted."""

import secrets
from collections.abc import Callable
from typing import Any, cast

import pytest

from consilience.v1 import ask_pb2
from consilience.v1.envelope_pb2 import CallHeader, SignedEnvelope
from consilience_conformance import edwards, envelopes, forgeries, signatures
from consilience_conformance.callers import Caller
from consilience_conformance.edwards import STRICT, Rule
from consilience_conformance.envelopes import pre_authentication_encoding
from consilience_conformance.signed_calls import ASKING
from consilience_conformance.stage import Stage


class Desk:
    """As much of a stage as a forger needs: a caller, and asks."""

    def __init__(self) -> None:
        self.caller = Caller.new()

    def ask(self) -> ask_pb2.Ask:
        header = CallHeader(caller=self.caller.key, request_id=secrets.token_bytes(16))
        return ask_pb2.Ask(header=header, skill_id="chat")


@pytest.fixture
def stage() -> Stage:
    return cast("Stage", Desk())


def verified(envelope: SignedEnvelope, *, rules: Rule = STRICT) -> bool:
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    return edwards.verify(envelope.signature, message=message, public_key=envelope.public_key, rules=rules)


@pytest.mark.parametrize(
    ("forge", "without"),
    [
        (forgeries.cofactored_only, Rule.COFACTORLESS),
        (forgeries.small_order, Rule.LARGE_ORDER_A | Rule.LARGE_ORDER_R),
    ],
)
def test_a_forged_call_is_refused_for_one_rule_alone(stage: Stage, forge: Callable[..., Any], without: Rule) -> None:
    for _ in range(4):
        envelope = forge(stage, ASKING, stage.ask())
        assert not verified(envelope)
        assert verified(envelope, rules=STRICT & ~without)
        assert ask_pb2.Ask.FromString(envelope.payload).header.caller == envelope.public_key


def test_an_ask_of_a_key_of_mixed_order_is_in_order_and_its_key_is_not_of_the_main_group(stage: Stage) -> None:
    envelope = forgeries.mixed_order_ask(stage)
    assert verified(envelope)
    point = edwards.decode(envelope.public_key)
    assert point is not None
    assert not point.times(edwards.GROUP_ORDER).is_identity
    assert ask_pb2.Ask.FromString(envelope.payload).header.caller == envelope.public_key


def test_a_second_signature_is_another_and_as_good(stage: Stage) -> None:
    envelope = envelopes.seal(stage.ask(), seed=stage.caller.seed)
    again = forgeries.signed_with_other_nonce(envelope, seed=stage.caller.seed)
    signed = pre_authentication_encoding(again.payload_type, again.payload)
    assert again.signature != envelope.signature
    assert (again.payload, again.public_key) == (envelope.payload, envelope.public_key)
    assert signatures.verifies(signed, signature=again.signature, key=again.public_key)
