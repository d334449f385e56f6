"""What interrupts the making of the environment ends every process that took part in it."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.machine_cache import ROOT

_WAIT_S = 30.0
_POLL_S = 0.05

_BUILD_TOOL = """
import os, signal, subprocess, sys, time

compiler = subprocess.Popen(["sleep", "120"], start_new_session=True)  # a group of its own, as under ninja

def end(*_):
    time.sleep(0.6)  # longer than subprocess.run leaves to a child after Ctrl-C
    compiler.kill()
    compiler.wait()
    sys.exit(1)

signal.signal(signal.SIGTERM, end)
open(sys.argv[1], "w").write(f"{os.getpid()} {compiler.pid}")
time.sleep(120)
"""

_PIP = """
import subprocess, sys
subprocess.run([sys.executable, "build_tool.py", "pids"])
"""

_BUILD_LLAMA = """
from pathlib import Path
from scripts import build_llama
build_llama.locked_environment = lambda *_, **__: Path("pip").absolute()
build_llama.main()
"""

_STARTED_AND_TOLD_TO_END = """
import os, subprocess, sys
from scripts import child_processes

popen = subprocess.Popen

def popen_and_end(*arguments, **options):
    process = popen(*arguments, **options)
    print(process.pid, flush=True)
    os.kill(os.getpid(), int(sys.argv[1]))
    return process

subprocess.Popen = popen_and_end
child_processes.unwind_when_told_to_end()
with child_processes.running(["sleep", "120"]):
    print("it went on")
"""

_SET_UP = """
import sys
from pathlib import Path
from scripts import set_up
set_up.ROOT = Path.cwd()
set_up._environment = lambda: Path("build_llama").absolute()
set_up.install_locked = lambda *_, **__: None
sys.argv = ["set_up"]
set_up.main()
"""


@pytest.fixture
def set_up(tmp_path: Path) -> list[str]:
    """The command of set-up whose compilation is a stand-in that sleeps; the rest is the real thing."""
    (tmp_path / "build_tool.py").write_text(_BUILD_TOOL)
    for name, body in {"pip": _PIP, "build_llama": _BUILD_LLAMA}.items():
        (tmp_path / f"{name}.py").write_text(body)
        executable = tmp_path / name
        executable.write_text(f"#!/bin/sh\nexec {sys.executable} {tmp_path / name}.py\n")
        executable.chmod(0o755)
    return [sys.executable, "-c", _SET_UP]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["to the process", "to its group"])
def test_an_interrupted_set_up_leaves_no_compiler_behind(
    set_up: list[str], tmp_path: Path, number: signal.Signals, send: Callable[[int, int], None]
) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path), "CXX": "none"}
    process = subprocess.Popen(
        set_up, cwd=tmp_path, env=environment, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    pids: list[int] = []
    try:
        pids = _pids(tmp_path / "pids", process=process)
        send(process.pid, number)
        process.wait(_WAIT_S)
        assert [pid for pid in pids if _runs(pid)] == []
    finally:
        for pid in (process.pid, *pids):
            if _runs(pid):
                os.kill(pid, signal.SIGKILL)
        said, _ = process.communicate()
    assert process.returncode != 0
    assert b"Traceback" not in said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_tool_that_is_being_started_when_the_task_is_told_to_end_ends_with_it(number: signal.Signals) -> None:
    command = [sys.executable, "-c", _STARTED_AND_TOLD_TO_END, str(int(number))]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=_WAIT_S, check=False)
    assert done.returncode != 0
    assert "it went on" not in done.stdout
    assert not _runs(int(done.stdout))


def _pids(file: Path, *, process: subprocess.Popen[bytes]) -> list[int]:
    """Waits until the compiler runs, and returns the ids of the build tool and of the compiler."""
    give_up = time.monotonic() + _WAIT_S
    while not file.exists() or not (words := file.read_text().split()):
        assert process.poll() is None, "set-up ended before it compiled"
        assert time.monotonic() < give_up, "nothing compiles"
        time.sleep(_POLL_S)
    return [int(word) for word in words]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return _state(pid) != "Z"


def _state(pid: int) -> str:
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return done.stdout[:1] or "Z"
