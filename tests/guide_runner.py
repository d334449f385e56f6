"""Runs a page of the documentation to the letter, but for its ports: what a reader would type is typed here.

Three kinds of block count: `python` is run as a script, `console` line by line behind its `$`, and a block of any
language under `<!-- file: NAME -->` is saved under that name first and not run. A console block under
`<!-- background … -->` is started, and goes on once the port answers that the note names, or 7341. All else is prose.
"""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?:<!-- (?P<note>[^\n]*) -->\n)?^```(?P<language>[a-z]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_RUN_LANGUAGES = ("python", "console")
_PORT = re.compile(r"\b734[1-9]\b")
_USUAL_PORT = "7341"
_START_SECONDS = 60.0
_RUN_SECONDS = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block of a page, with the note above it."""

    language: str
    text: str
    note: str = ""


def blocks_of(page: Path) -> list[Block]:
    """Returns the blocks of a page that count, in order."""
    return [
        Block(language=found["language"], text=found["text"], note=found["note"] or "")
        for found in _BLOCK.finditer(page.read_text(encoding="utf-8"))
        if found["language"] in _RUN_LANGUAGES or (found["note"] or "").startswith("file:")
    ]


def run_page(page: Path, folder: Path) -> list[str]:
    """Runs every block of a page in an empty folder, and returns what each printed.

    Raises:
        AssertionError: A block failed; its output is told.
    """
    ports: defaultdict[str, str] = defaultdict(_free_port)
    outputs = []
    with contextlib.ExitStack() as background:
        for block in blocks_of(page):
            text = _PORT.sub(lambda written: ports[written[0]], block.text)
            match block.note.partition(":")[0], block.language:
                case "file", _:
                    (folder / block.note.partition(":")[2].strip()).write_text(text, encoding="utf-8")
                case "background", _:
                    named = _PORT.search(block.note)
                    port = ports[named[0] if named else _USUAL_PORT]
                    background.enter_context(_running(_command(text), folder, port=port))
                case _, "python":
                    outputs.append(_run([sys.executable, "-W", "error", "-c", text], folder))
                case _:
                    outputs.extend(_run(["bash", "-c", line], folder) for line in _commands(text))
    return outputs


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(
        command, cwd=folder, env=_environment(folder), capture_output=True, text=True, timeout=_RUN_SECONDS, check=False
    )
    assert done.returncode == 0, f"{command[-1]}\nended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


@contextlib.contextmanager
def _running(command: str, folder: Path, *, port: str) -> Iterator[None]:
    process = subprocess.Popen(
        ["bash", "-c", f"exec {command}"], cwd=folder, env=_environment(folder), start_new_session=True
    )
    try:
        give_up = time.monotonic() + _START_SECONDS
        while not _answers(port):
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            assert time.monotonic() < give_up, f"{command} does not listen on {port}"
            time.sleep(0.05)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _environment(folder: Path) -> dict[str, str]:
    """Returns this environment with a home of its own, so that no page reads or writes a user's keys, and no terminal.

    The processes that share the tests are told one of 80 columns.
    """
    scripts = str(Path(sys.executable).parent)
    home = {name: str(folder / name.lower()) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    outside = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return outside | home | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}


def _commands(text: str) -> list[str]:
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def _command(text: str) -> str:
    (command,) = _commands(text)
    return command


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def _answers(port: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", int(port))) == 0
