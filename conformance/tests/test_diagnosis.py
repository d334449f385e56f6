"""A diagnosis sees card, certificate and clock, and takes no more than its time."""

from __future__ import annotations

from datetime import timedelta
from time import monotonic

import pytest

from conformance.tests.judged_nodes import talking_node
from consilience.testing.nodes import serving_in_thread
from consilience_conformance import diagnosis
from consilience_conformance.diagnosis import MAX_SECONDS, Clock, diagnose
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.targets import UnreachableError


async def test_a_healthy_node_has_no_findings_and_tells_its_time() -> None:
    with serving_in_thread(talking_node()) as running:
        seen = await diagnose(running.address)
    assert not seen.findings
    assert seen.certificate is None
    assert seen.clock.ahead is not None
    assert abs(seen.clock.ahead) - seen.clock.within < timedelta(seconds=5)
    assert not seen.clock.is_off


async def test_a_node_that_tells_no_time_leaves_its_clock_unknown() -> None:
    async with DEGENERATE["accept-all"].serving() as address:
        seen = await diagnose(address)
    assert seen.clock.ahead is None
    assert "accepted" in seen.clock.because


@pytest.mark.parametrize("name", ["hang", "other-protocol", "closed-port", "reject-all", "empty-ok"])
async def test_what_shows_no_card_is_not_reached_within_the_time(name: str) -> None:
    began = monotonic()
    async with DEGENERATE[name].serving() as address:
        with pytest.raises(UnreachableError):
            await diagnose(address)
    assert monotonic() - began < MAX_SECONDS * 2


async def test_the_whole_diagnosis_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "MAX_SECONDS", 0.2)
    async with DEGENERATE["card-and-hang"].serving() as address:
        with pytest.raises(UnreachableError, match=r"did not answer within 0\.2 s"):
            await diagnose(address)


@pytest.mark.parametrize(
    ("ahead", "within", "off"), [(29.0, 0.0, False), (31.0, 0.0, True), (-31.0, 0.0, True), (31.0, 2.0, False)]
)
def test_a_clock_is_off_where_calls_would_be_refused_for_it(*, ahead: float, within: float, off: bool) -> None:
    clock = Clock(ahead=timedelta(seconds=ahead), within=timedelta(seconds=within))
    assert clock.is_off is off


def test_an_unknown_clock_is_not_off() -> None:
    assert not Clock(because="silence").is_off
