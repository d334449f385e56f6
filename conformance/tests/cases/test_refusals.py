"""The refusals that are looked at: each reason is provoked, and a status that is wrong in one way is one finding."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from conformance.tests.judged_nodes import talking_node, write_grant
from conformance.tests.made_transcripts import found, refusal
from consilience.identity import KeyPair
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.planning import Order, prepare
from consilience_conformance.rules.refusals import refusal_of
from consilience_conformance.transcripts import Transcript
from consilience_conformance.trial import Trial

MANY = [
    refusal(name, "FIELD_INVALID")
    for name in ("many-violations", "long-paths", "long-type", "long-method", "several-violations")
]


@pytest.fixture(scope="module")
def provoked(tmp_path_factory: pytest.TempPathFactory) -> Transcript:
    """Returns what came of the check at a node with the scripted skill."""
    key = KeyPair.generate()
    with serving_in_thread(talking_node(key=key, conformance=True)) as running:
        tester_key, grant = write_grant(tmp_path_factory.mktemp("grant"), key=key)
        order = Order(address=running.address, tester_key=tester_key, grant=grant, only=("refusals-say-why",), seed=1)
        return asyncio.run(_drive(order))


async def _drive(order: Order) -> Transcript:
    run = await Trial(await prepare(order)).run()
    (result,) = (one for one in run.results if one.check == "refusals-say-why")
    assert result.transcript is not None
    return result.transcript


def test_each_refusal_is_for_the_reason_that_it_is_named_after(provoked: Transcript) -> None:
    reasons = {exchange.name: refusal_of(exchange).reason for exchange in provoked.named("refusal-")}
    assert {name: reason for name, reason in reasons.items() if name.split("-")[1] != reason} == {}
    assert "GRANT_INVALID" in reasons.values()


def test_a_code_that_is_wrong_is_found_once_in_each_refusal() -> None:
    spoilt = replace(MANY[0], code="INTERNAL")
    findings = found("large-refusals-arrive", MANY, spoilt)
    assert findings.count(("ERR-STAT-002", "FIELD_INVALID came with another code")) == 1
