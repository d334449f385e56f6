"""Standard streams that are closed, full, left or no text: the command line says so and never shows a stack trace."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from consilience.server import RunningNode

Shell = Callable[[str], subprocess.CompletedProcess[bytes]]


@pytest.fixture
def shell(environment: dict[str, str], tmp_path: Path, running_node: RunningNode) -> Shell:
    """Returns a function that runs a line of bash with `consilience` in its path and the node as $NODE."""
    variables = {"PATH": f"{Path(sys.executable).parent}:{environment['PATH']}", "NODE": running_node.address}

    def run(line: str) -> subprocess.CompletedProcess[bytes]:
        command = ["bash", "-c", line]
        done = subprocess.run(
            command, env=environment | variables, cwd=tmp_path, capture_output=True, timeout=60, check=False
        )
        assert b"Traceback" not in done.stderr
        assert b"Exception ignored" not in done.stderr
        return done

    return run


@pytest.mark.parametrize("command", ['ask x --node "$NODE"', 'ask x --json --node "$NODE"', 'card "$NODE"', "--help"])
def test_a_full_disk_is_told(shell: Shell, command: str) -> None:
    done = shell(f"consilience {command} > /dev/full")
    assert done.returncode == 2
    assert b"No space left on device" in done.stderr


@pytest.mark.parametrize("command", ['ask x --node "$NODE"', 'card "$NODE"', "card 127.0.0.1:1 --json", "--help"])
def test_a_reader_that_leaves_ends_the_command_quietly(shell: Shell, command: str) -> None:
    done = shell(f"mkfifo pipe; (exec 3< pipe; exec 3<&-) & exec 4> pipe; wait; consilience {command} >&4")
    assert (done.returncode, done.stderr) == (141, b"")


def test_an_answer_that_nobody_could_see_is_not_asked_for(shell: Shell) -> None:
    done = shell('consilience ask x --node "$NODE" >&-')
    assert done.returncode == 2
    assert b"standard output is closed; nothing was sent" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", "2>&-", "<&- 2>&-"])
def test_an_answer_needs_neither_input_nor_errors(shell: Shell, closed: str) -> None:
    done = shell(f'consilience ask x --node "$NODE" {closed}')
    assert (done.returncode, done.stdout) == (0, b"a bug that disappears\n")


@pytest.mark.parametrize(
    ("source", "said"),
    [("<&-", b"standard input is closed"), (r"< <(printf '\xff\xfe\x00')", b"standard input is no text in UTF-8")],
)
def test_a_standard_input_that_holds_no_text_is_a_usage_error(shell: Shell, source: str, said: bytes) -> None:
    done = shell(f'consilience ask - --node "$NODE" {source}')
    assert done.returncode == 2
    assert said in done.stderr


def test_an_answer_is_shown_in_the_encoding_of_the_terminal(shell: Shell) -> None:
    done = shell('PYTHONIOENCODING=ascii consilience ask grün --skill glossary.echo --node "$NODE"')
    assert (done.returncode, done.stdout) == (0, b"gr\\xfcn\n")
