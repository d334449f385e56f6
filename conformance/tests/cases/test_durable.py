"""The judge of replicas is pure: it finds a refusal that sends its reader nowhere."""

from __future__ import annotations

from dataclasses import replace

import pytest
from google.rpc import status_pb2

from conformance.tests.made_transcripts import cancellation, found, log, refusal, stream
from consilience.v1.error_details_pb2 import Redirect
from consilience_conformance.transcripts import Exchange

EVENTS = log("so far")
CHECK = "a-replica-sends-on-what-it-cannot-serve"


def sent_on(name: str, *, uri: str) -> Exchange:
    told = refusal(name, "WRONG_REPLICA")
    status = status_pb2.Status.FromString(told.details)
    status.details.add().Pack(Redirect(uri=uri))
    return replace(told, details=status.SerializeToString())


GOOD = (
    *(sent_on(name, uri="https://there.example.org") for name in ("get", "resume")),
    cancellation("cancel", EVENTS),
    stream("ask", EVENTS),
)


def test_a_replica_that_sends_on_is_found_nothing_of() -> None:
    assert found(CHECK, GOOD) == []
    assert found(CHECK, GOOD, refusal("get", "WRONG_REPLICA")) == []


@pytest.mark.parametrize("name", ["get", "resume"])
def test_a_redirect_that_leads_nowhere_is_a_detail_that_is_wrong(name: str) -> None:
    expected = [("ERR-STAT-003", "the refusal carries a Redirect that leads nowhere")]
    assert found(CHECK, GOOD, sent_on(name, uri="")) == expected
