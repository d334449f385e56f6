"""A node that is away in the middle of an answer, a registry that does not answer: whoever watches is told."""

import asyncio
import json
import os
import pty
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consilience.identity import KeyPair, format_node_id
from consilience.server import IncomingAsk, Node, Registry
from sdk.tests.client.wires import Proxy, silent_port

TOLD = re.compile(r"… the node is not answering; trying again until [0-9: -]+ at the latest")


class Terminal:
    """A terminal that is standard error of a command, and what was written on it."""

    def __init__(self) -> None:
        self.controller, self.device = pty.openpty()
        self.text = ""

    def close(self) -> None:
        """Lets go of both ends."""
        os.close(self.controller)
        os.close(self.device)

    async def until(self, pattern: re.Pattern[str]) -> None:
        """Waits until something was written, for half a minute at most."""
        async with asyncio.timeout(30):
            while not pattern.search(self.text):
                self.text += (await asyncio.to_thread(os.read, self.controller, 4096)).decode()


@pytest.fixture
def gate() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
async def away(gate: asyncio.Event) -> AsyncIterator[Proxy]:
    """What stands before a node that says "one moment" and waits for the gate."""
    node = Node("slow", key=KeyPair.generate())

    @node.skill("wait")
    async def wait(_: IncomingAsk) -> AsyncIterator[str]:
        yield "one moment "
        await gate.wait()
        yield "done"

    async with Proxy() as proxy, node.serving("127.0.0.1:0", advertise=[f"127.0.0.1:{proxy.port}"]) as running:
        proxy.target = running.port
        yield proxy


async def started(
    environment: dict[str, str], folder: Path, address: str, *, stderr: int, seconds: int = 90
) -> asyncio.subprocess.Process:
    words = ("ask", "x", "--node", address, "--timeout", str(seconds))
    return await command(environment, folder, *words, stderr=stderr)


async def command(environment: dict[str, str], folder: Path, *words: str, stderr: int) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "consilience",
        *words,
        env=environment | {"PYTHONUNBUFFERED": "1"},
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=stderr,
    )


async def test_a_terminal_is_told_that_the_node_is_away_and_till_when_it_is_tried(
    environment: dict[str, str], tmp_path: Path, away: Proxy, gate: asyncio.Event
) -> None:
    terminal, port = Terminal(), away.target
    process = await started(environment, tmp_path, f"127.0.0.1:{away.port}", stderr=terminal.device)
    assert process.stdout is not None
    assert await process.stdout.readexactly(11) == b"one moment "
    away.target = 1
    away.cut()
    await terminal.until(TOLD)
    away.target = port
    gate.set()
    assert await process.stdout.read() == b"done\n"
    await terminal.until(re.compile("verified"))
    assert await process.wait() == 0
    assert len(TOLD.findall(terminal.text)) == 1
    terminal.close()


async def test_a_terminal_is_told_that_no_card_comes(environment: dict[str, str], tmp_path: Path) -> None:
    terminal = Terminal()
    async with silent_port() as port:
        process = await started(environment, tmp_path, f"127.0.0.1:{port}", stderr=terminal.device, seconds=6)
        await terminal.until(TOLD)
        await terminal.until(re.compile("AnswerTimeout"))
        assert await process.wait() == 4
    terminal.close()


@pytest.mark.parametrize(
    ("words", "code"),
    [(("find", "--json"), 0), (("publish",), 0), (("ask", "x", "--node"), 3)],
    ids=["find", "publish", "ask"],
)
async def test_a_terminal_is_told_that_a_registry_keeps_it_waiting(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    terminal, key = Terminal(), KeyPair.generate()
    there = Node("registry", key=key, registry=Registry(store=f"sqlite:////{tmp_path}/records.db"))
    named = {"find": (), "publish": (), "ask": (format_node_id(KeyPair.generate().public_key),)}[words[0]]
    async with silent_port() as port, there.serving("127.0.0.1:0") as running:
        if words[0] == "publish":
            named = (f"127.0.0.1:{running.port}",)
        places = ("--registry", f"127.0.0.1:{running.port}", "--registry", f"127.0.0.1:{port}")
        process = await command(environment, tmp_path, *words, *named, *places, stderr=terminal.device)
        told = re.compile(f"… the registry 127.0.0.1:{port} is not answering; waiting for it a little longer")
        await terminal.until(told)
        assert process.stdout is not None
        said = await process.stdout.read()
        assert await process.wait() == code
    assert len(told.findall(terminal.text)) == 1
    assert f"127.0.0.1:{running.port} is not answering" not in terminal.text
    if words[0] == "find":
        assert [fault["kind"] for fault in json.loads(said)["faults"]] == ["unreachable"]
    terminal.close()


async def test_a_pipe_is_not_told_that_a_registry_keeps_it_waiting(environment: dict[str, str], tmp_path: Path) -> None:
    async with silent_port() as port:
        words = ("find", "--registry", f"127.0.0.1:{port}")
        process = await command(environment, tmp_path, *words, stderr=asyncio.subprocess.PIPE)
        _, said = await process.communicate()
    assert process.returncode == 4
    assert "…" not in said.decode()


async def test_nothing_is_told_of_it_where_nobody_watches(environment: dict[str, str], tmp_path: Path) -> None:
    async with silent_port() as port:
        process = await started(environment, tmp_path, f"127.0.0.1:{port}", stderr=asyncio.subprocess.PIPE, seconds=4)
        _, said = await process.communicate()
    assert process.returncode == 4
    assert "AnswerTimeout" in said.decode()
    assert "…" not in said.decode()
