from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from pathlib import Path

import pytest

from consilience.asks import Outcome, StopReason
from consilience.calls import new_request_id
from consilience.client import Client
from consilience.errors import NodeDrainingError
from reference_node.tests.processes import NodeProcess, command, serving

SCRIPT = """
[[programs]]
when = "quick"
steps = [{ emit = "Done." }]

[[programs]]
steps = [{ emit = "I begin, " }, { await_cancel = true }]
"""
CONFIG = """
[node]
drain_seconds = {drain_seconds}
[[models]]
id = "script"
engine = "scripted"
script = "script.toml"
[[skills]]
id = "chat"
model = "script"
"""


def configured(folder: Path, *, drain_seconds: float = 60.0) -> list[str]:
    (folder / "script.toml").write_text(SCRIPT)
    (folder / "node.toml").write_text(CONFIG.format(drain_seconds=drain_seconds))
    return ["--config", str(folder / "node.toml")]


async def ended(node: NodeProcess) -> int:
    return await asyncio.to_thread(node.wait)


async def drains(client: Client, node: NodeProcess) -> None:
    """Waits until new asks are refused because the node drains."""
    for _ in range(200):
        try:
            await client.ask("quick", node=node.address, max_output_tokens=1, timeout=5)
        except NodeDrainingError:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the node does not drain")


async def test_a_running_answer_is_finished_before_the_node_ends(tmp_path: Path, client: Client) -> None:
    with serving(folder=tmp_path) as node:
        async with client.stream("Tell me a long story.", node=node.address, max_output_tokens=120) as stream:
            await anext(stream)
            node.send(signal.SIGTERM)
            await drains(client, node)
            result = await stream.final()
        assert result.usage.output_tokens == 120
        assert result.stop_reason is not StopReason.INTERRUPTED
        assert await ended(node) == 0
        assert not (tmp_path / "ready").exists(), "a node that takes no asks is not ready"


async def test_an_answer_that_takes_longer_than_the_drain_ends_with_a_final(tmp_path: Path, client: Client) -> None:
    with serving(*configured(tmp_path, drain_seconds=0.1), folder=tmp_path) as node:
        async with client.stream("slow", node=node.address) as stream:
            await anext(stream)
            node.send(signal.SIGTERM)
            result = await stream.final()
        assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.INTERRUPTED)
        assert result.text == "I begin, "
        assert await ended(node) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_the_drain_at_once(tmp_path: Path, client: Client, second: signal.Signals) -> None:
    with serving(*configured(tmp_path), folder=tmp_path) as node:
        async with client.stream("slow", node=node.address) as stream:
            await anext(stream)
            node.send(signal.SIGTERM)
            await drains(client, node)
            node.send(second)
            result = await stream.final()
        assert (result.outcome, result.stop_reason) == (Outcome.FAILED, StopReason.INTERRUPTED)
        assert await ended(node) == 128 + second


def test_a_signal_while_the_model_loads_ends_the_node_in_peace(tmp_path: Path) -> None:
    words = command("serve", "--address", "127.0.0.1:0", "--state-folder", tmp_path / "state")
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        while not (tmp_path / "state").exists():
            time.sleep(0.005)
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=30)
    assert process.returncode == 0
    assert b"Traceback" not in log


async def test_a_node_that_was_killed_has_its_answers_when_it_starts_again(tmp_path: Path, client: Client) -> None:
    words = configured(tmp_path)
    finished, running = new_request_id(), new_request_id()
    with serving(*words, folder=tmp_path) as node:
        address = node.address
        before = await client.ask("quick", node=address, request_id=finished)
        async with client.stream("slow", node=address, request_id=running) as stream:
            await anext(stream)
            stream.detach()
        node.send(signal.SIGKILL)
        assert await ended(node) == -signal.SIGKILL
    with serving(*words, "--address", address.partition("@")[2], folder=tmp_path) as node:
        assert node.address == address
        after = await client.get(finished, node=address)
        interrupted = await client.get(running, node=address)
    assert after.text == before.text == "Done."
    assert after.final is not None
    assert after.final.answer == before.answer
    assert interrupted.text == "I begin, "
    assert interrupted.final is not None
    ending = interrupted.final.answer.value
    assert (ending.outcome, ending.stop_reason) == (Outcome.FAILED, StopReason.INTERRUPTED)


async def test_a_node_in_memory_forgets_its_answers_but_not_who_it_is(tmp_path: Path, client: Client) -> None:
    words = (*configured(tmp_path), "--store", "memory")
    addresses = []
    for _ in range(2):
        with serving(*words, folder=tmp_path) as node:
            addresses.append(node.address)
            assert (await client.ask("quick", node=node.address)).text == "Done."
    assert addresses[0].partition("@")[0] == addresses[1].partition("@")[0]
    assert not (tmp_path / "state" / "answers.sqlite").exists()
