"""Judges a node that is given by its commands: its vectors first, then the node itself, live and scripted.

`python -m scripts.certify_go_node` builds the node in Go and judges it so.
"""

import contextlib
import os
import shlex
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from scripts.child_processes import Command, output_of, run, running

_JUDGE = (sys.executable, "-m", "consilience_conformance")
_START_SECONDS = 60.0
_LOOK_INTERVAL_S = 0.05


# Starts the node again whenever it is killed, as the judge does that wants to see what outlives a crash.
_KEEP_ALIVE = """
while "$@" & echo $! > "$PID_FILE"; wait $!; [ $? -eq 137 ]; do :; done
wait $!
"""


class CertificationError(Exception):
    """The node was not judged, or not built; the text says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node that is to be judged.

    Attributes:
        executor: Answers the vectors.
        serve: Serves with the skill that testers write; takes `--address` and `--ready-file`, as all our nodes do.
        question: Is asked of its first skill, which can answer it.
        grant: Returns the command that signs a grant into a file, for keys in their text form.
        trusting: Returns the options by which the node takes holds in escrow of an issuer, named in its text form;
            None: it takes none.
    """

    executor: Command
    serve: Command
    question: str
    grant: Callable[[Path, tuple[str, ...]], Command]
    trusting: Callable[[str], Command] | None = None


def judge(candidate: Candidate, *, folder: Path, report: Path) -> None:
    """Judges a node; the judge's words go where this process writes.

    Args:
        candidate: The node, which has not been started before.
        folder: Exists; holds the tester's key and the grant.
        report: Folder for the report of the run.

    Raises:
        CertificationError: The node did not start.
        subprocess.CalledProcessError: It did not pass, or was not judged; its exit code is that of the judge.
    """
    run([*_JUDGE, "vectors", "--exec", shlex.join(map(str, candidate.executor))])
    key, grant = folder / "tester.key", folder / "grant.binpb"
    testers = output_of([*_JUDGE, "tester", "--key", key]).split()
    trusted = candidate.trusting(testers[-1]) if candidate.trusting else ()
    with kept_alive([*candidate.serve, *trusted], folder=folder) as (address, restart):
        run(candidate.grant(grant, tuple(testers)))
        run(
            [
                *(*_JUDGE, "run", address, "--mode", "both", "--question", candidate.question, "--restart", restart),
                *("--grant", grant, "--tester-key", key, "--out", report, "--format", "html,json,junit,md"),
            ]
        )


@contextlib.contextmanager
def kept_alive(serve: Command, *, folder: Path) -> Iterator[tuple[str, str]]:
    """Runs a node until the block ends, and yields its address and the shell command that restarts it."""
    give_up = time.monotonic() + _START_SECONDS
    ready_file, pid_file = folder / "ready", folder / "pid"
    node = [*serve, "--address", f"127.0.0.1:{_free_port()}", "--ready-file", ready_file]
    environment = {**os.environ, "PID_FILE": str(pid_file)}
    with running(["bash", "-c", _KEEP_ALIVE, "keep-alive", *node], env=environment) as process:
        while not ready_file.exists():
            if process.poll() is not None:
                raise CertificationError(f"the node ended with {process.returncode} before it served; see its words")
            if time.monotonic() > give_up:
                raise CertificationError(f"the node does not serve after {_START_SECONDS:g} s")
            time.sleep(_LOOK_INTERVAL_S)
        yield ready_file.read_text().strip(), f"kill -9 $(cat {shlex.quote(str(pid_file))})"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
