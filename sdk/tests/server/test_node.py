import asyncio
import signal
import socket
import subprocess
import sys
from pathlib import Path

from consilience.identity import KeyPair, format_node_id
from consilience.server import Node
from sdk.tests.server.specimens import echo

ANYWHERE = "127.0.0.1:0"
STOP_SECONDS = 30.0

_PROGRAM = """
from consilience.server import Node

node = Node("units", key="node.key")

@node.skill("units.convert", description="Converts lengths.")
async def convert(ask):
    yield "12 inches are 30.48 cm."

node.run("127.0.0.1:0")
"""


async def test_keys_are_found_by_paths_that_are_strings(tmp_path: Path) -> None:
    root, folder = tmp_path / "root.key", tmp_path / "signing"
    folder.mkdir()
    node = Node("test", key=str(root), signing_key=str(folder))
    node.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running:
        assert running.node_id == KeyPair.load(root).public_key
        (signing,) = folder.glob("*.key")
        assert [key.public_key for key in running.card.value.signing_keys] == [KeyPair.load(signing).public_key]


async def test_a_node_that_runs_says_where_and_what_it_serves(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, cwd=tmp_path, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        said = [(await process.stderr.readline()).decode() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(STOP_SECONDS):
            rest = await process.stderr.read()
            # Before anything else: a signal to a process that has just ended takes its exit code from who waits for it.
            await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
    node_id = KeyPair.load(tmp_path / "node.key").public_key
    assert said[0].startswith(f"units serves on {format_node_id(node_id)}@127.0.0.1:")
    assert said[1].split() == ["skill", "units.convert", "Converts", "lengths."]
    assert (process.returncode, rest) == (0, b"")


def test_a_node_that_cannot_serve_says_why_in_words(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert "in use" in ended(_PROGRAM.replace(ANYWHERE, address), folder=tmp_path)
    (tmp_path / "node.key").write_text("no key")
    assert "node.key is not a key file" in ended(_PROGRAM, folder=tmp_path)


def ended(program: str, *, folder: Path) -> str:
    """Runs a program of a node that cannot serve; returns what it said."""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "Traceback" not in done.stderr
    return done.stderr
