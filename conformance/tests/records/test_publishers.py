"""Whoever publishes waits as long as a registry says, and no longer than a run can wait."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2, status_pb2

from conformance.tests.made_transcripts import exchange, refusal
from consilience.identity import KeyPair
from consilience.server import Node, Registry
from consilience.testing.nodes import serving_in_thread
from consilience_conformance import patience
from consilience_conformance.planning import Order, prepare
from consilience_conformance.rules.refusals import retry_after
from consilience_conformance.runner import Runner
from consilience_conformance.verdicts import Verdict


def test_a_call_that_is_put_off_says_for_how_long() -> None:
    refused = refusal("publish", "LIMIT_EXCEEDED", limit="max_publishes_per_minute")
    status = status_pb2.Status.FromString(refused.details)
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=Duration(seconds=2, nanos=500_000_000)))
    assert retry_after(replace(refused, details=status.SerializeToString())) == timedelta(seconds=2.5).total_seconds()


def test_what_is_too_large_is_not_put_off() -> None:
    assert retry_after(refusal("publish", "LIMIT_EXCEEDED", limit="record_bytes")) is None
    assert retry_after(refusal("publish", "TICKET_USED")) is None
    assert retry_after(exchange("publish", b"")) is None


async def test_a_registry_that_takes_too_little_cannot_be_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "MOST_WAIT_SECONDS", 0.0)
    registry = Registry(store=f"sqlite:///{tmp_path}/records.db", publishes_per_minute=2)
    with serving_in_thread(Node("shelf", key=KeyPair.generate(), registry=registry)) as running:
        order = Order(address=running.address, tester_key=Path("unused"), only=("records-are-taken-in",))
        *_, last = await Runner(await prepare(order)).run()
    assert last.verdict is Verdict.UNTESTABLE
    assert "let this one call more often, for the time of a run" in last.because
