"""A node that does not follow the judge, or calls too rarely, is told what to do; for the others a check waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from click.testing import CliRunner

from conformance.tests.judged_nodes import registry_node
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cli import main
from consilience_conformance.cli.commands import USAGE
from consilience_conformance.following import followers
from consilience_conformance.planning import Order, prepare
from consilience_conformance.runner import Runner
from consilience_conformance.selftest.declarations import Variant
from consilience_conformance.selftest.specimens import NodeCommand, Specimen, specimen
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.verdicts import CheckResult, Exit, Verdict
from reference_node.tests.lines import HOST, free_ports

CHECK = "what-is-followed-is-taken-over"


@pytest_asyncio.fixture
async def following(tmp_path: Path) -> AsyncIterator[Specimen]:
    command = NodeCommand(words=("consilience-node",))
    async with specimen(command, folder=tmp_path / "node", variant=Variant.FOLLOWING, issuer="") as node:
        yield node


async def _judged(address: str, *, feed: str, folder: Path) -> CheckResult:
    order = Order(address=address, tester_key=folder / "key", only=(CHECK,), surroundings=Surroundings(feed=feed))
    return (await Runner(await prepare(order)).run())[-1]


async def test_a_node_that_does_not_call_is_told_whom_to_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "FIRST_SECONDS", 0.2)
    feed = f"{HOST}:{free_ports(1)[0]}"
    with serving_in_thread(registry_node(tmp_path)) as running:
        result = await _judged(running.address, feed=feed, folder=tmp_path)
    assert result.verdict is Verdict.UNTESTABLE
    assert f"did not call SyncRecords at {feed}" in result.because


async def test_a_node_that_follows_is_judged(following: Specimen, tmp_path: Path) -> None:
    result = await _judged(following.address, feed=following.feed, folder=tmp_path)
    assert (result.verdict, result.because) == (Verdict.PASS, "")


async def test_a_node_that_calls_too_rarely_is_told_to_call_more_often(
    following: Specimen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(followers, "MOST_SECONDS", 0.0)
    result = await _judged(following.address, feed=following.feed, folder=tmp_path)
    assert result.verdict is Verdict.UNTESTABLE
    assert "let it call every second" in result.because


async def test_a_port_that_is_taken_leaves_nothing_judged(tmp_path: Path) -> None:
    with serving_in_thread(registry_node(tmp_path)) as running:
        taken = running.address.rpartition("@")[2]
        words = ["run", taken, "--feed", taken, "--tester-key", str(tmp_path / "key")]
        result = await asyncio.to_thread(CliRunner().invoke, main, words)
    assert result.exit_code == Exit.UNREACHABLE
    assert "No registry can be served at" in result.output


def test_a_feed_elsewhere_is_a_wrong_command_line() -> None:
    result = CliRunner().invoke(main, ["run", "127.0.0.1:1", "--feed", "registry.example:7349"])
    assert result.exit_code == USAGE
    assert "write '127.0.0.1:7349'" in result.output
