"""The self-test finds out whoever is not as declared: it is run on real nodes, with declarations that lie.

The command of the node is a stand-in that knows two mutants more: `harmless`, which is none, and `wavering`, which has
a fault from its second start on.
"""

from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from consilience_conformance.cases import all_checks, near
from consilience_conformance.peers.degenerate import DEGENERATE
from consilience_conformance.selftest.declarations import declarations
from consilience_conformance.verdicts import Exit

STAND_IN = """
import os, pathlib, sys
words = sys.argv[1:]
if "wavering" in words:
    before = pathlib.Path(__file__).with_name("before")
    words[words.index("wavering")] = "request-id-reused-ok" if before.exists() else "harmless"
    before.touch()
if "harmless" in words:
    place = words.index("harmless")
    words = words[: place - 1] + words[place + 1 :]
os.execv(sys.executable, [sys.executable, "-m", "consilience_node", *words])
"""
DECLARED = declarations()["request-id-reused-ok"]
ALONE = f"""
check = "{DECLARED.check}"
requirement = "{DECLARED.requirement}"
message = "{DECLARED.message}"
"""
TRUE = f"{ALONE}also = {json.dumps(DECLARED.also)}"
SECONDS = 300
"""Many times what it takes: each of these starts nodes, on a machine that may be busy."""

pytestmark = pytest.mark.timeout(SECONDS + 10)


def command(folder: Path, declared: dict[str, str], *words: str) -> list[str]:
    """Returns the command of a self-test on some declarations alone."""
    (folder / "mutants.toml").write_text("".join(f"[{name}]\n{entry}\n" for name, entry in declared.items()))
    (folder / "node.py").write_text(STAND_IN)
    node = shlex.join([sys.executable, str(folder / "node.py")])
    only = [word for name in declared for word in ("--only", name)]
    judge = [sys.executable, "-m", "consilience_conformance", "selftest", "--node-command", node, "--jobs", "2"]
    return [*judge, "--declarations", str(folder / "mutants.toml"), *only, *words]


def selftest(folder: Path, declared: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(folder, declared, *words), capture_output=True, text=True, timeout=SECONDS, check=False
    )


def test_a_mutant_that_dies_as_declared_passes_and_whoever_does_not_is_told(tmp_path: Path) -> None:
    """One run for all of them, because each costs a node and a judgement."""
    declared = {
        DECLARED.name: TRUE,
        "harmless": TRUE,
        "no-such-mutant": TRUE,
    }
    ended = selftest(tmp_path, declared, "--only", "closed-port")
    told = ended.stderr.splitlines()
    assert ended.returncode == Exit.FAILED, ended.stderr
    assert [line for line in told if line.startswith(DECLARED.name)] == []
    assert [line for line in told if line.startswith("closed-port")] == []
    assert [line for line in told if line.startswith("harmless")] == [
        f"harmless: it survives: {DECLARED.check} says pass"
    ]
    (not_started,) = (line for line in told if line.startswith("no-such-mutant"))
    assert "did not start" in not_started


def test_another_message_and_undeclared_collateral_are_told(tmp_path: Path) -> None:
    declared = {DECLARED.name: ALONE.replace(DECLARED.message, "the moon was accepted")}
    ended = selftest(tmp_path, declared, "--out", str(tmp_path / "kept"))
    assert ended.returncode == Exit.FAILED, ended.stderr
    told = [line.removeprefix(f"{DECLARED.name}: ") for line in ended.stderr.splitlines()]
    assert [line for line in told if line.startswith("it dies for another reason")] != []
    for check in DECLARED.also:
        assert [line for line in told if line.startswith(f"{check} is not declared, and says fail")] != []
    assert (tmp_path / "kept" / DECLARED.name / "report" / "report.json").exists()
    assert (tmp_path / "kept" / DECLARED.name / "log").read_text().startswith(f"mutant {DECLARED.name}: ")


def test_near_judges_a_mutant_by_the_checks_of_its_subject_and_tells_the_same(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    ended = selftest(tmp_path, {DECLARED.name: TRUE, "harmless": TRUE}, "--near", "--out", str(kept))
    assert ended.stderr.splitlines() == [f"harmless: it survives: {DECLARED.check} says pass"]
    report = json.loads((kept / DECLARED.name / "report" / "report.json").read_text())
    judged = {result["check"] for result in report["results"]}
    assert {*near(DECLARED.check), *DECLARED.also} <= judged
    assert len(judged) < len(all_checks()) / 2


def test_a_mutant_that_is_as_declared_at_a_second_try_is_told_apart(tmp_path: Path) -> None:
    ended = selftest(tmp_path, {"wavering": TRUE, "harmless": TRUE}, "--near", "--tries", "2")
    survives = f"it survives: {DECLARED.check} says pass"
    assert ended.stderr.splitlines() == [f"harmless: {survives}", f"wavering: at a try before, {survives}"]
    assert ended.stdout.endswith("3 nodes judged, 1 complaint, 1 as declared at a later try\n")
    assert {("wrong", "harmless"), ("later", "wavering")} <= {
        tuple(line.split()[:2]) for line in ended.stdout.splitlines()
    }


def test_a_kill_table_is_written_of_whole_runs_alone(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "consilience_conformance", "selftest", "--write", "--near"]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=tmp_path)
    assert ended.returncode not in {0, 1}
    assert "--write goes without" in ended.stderr


def test_a_degenerate_node_alone_needs_no_reference_node(tmp_path: Path) -> None:
    quick = [name for name in DEGENERATE if name in {"accept-all", "closed-port", "lying-reject-all", "reject-all"}]
    ended = selftest(tmp_path, {}, *(word for name in quick for word in ("--only", name)))
    assert (ended.returncode, ended.stderr) == (Exit.PASS, "")
    assert ended.stdout.endswith(f"{len(quick)} nodes judged, 0 complaints\n")


def test_a_node_that_does_not_start_is_no_failure_of_the_judge(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "consilience_conformance", "selftest", "--node-command", str(tmp_path / "none")]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert ended.returncode == Exit.UNREACHABLE
    assert ended.stderr.startswith("The healthy node does not serve: ")


def test_a_name_that_is_none_is_told(tmp_path: Path) -> None:
    ended = selftest(tmp_path, {}, "--only", "nonsense")
    assert ended.returncode not in {0, 1}
    assert "there is no mutant and no degenerate node nonsense" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_ends_a_self_test_ends_its_nodes(tmp_path: Path, number: signal.Signals) -> None:
    kept = tmp_path / "kept"
    words = command(tmp_path, {"harmless": TRUE}, "--out", str(kept))
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        ready = kept / "healthy-plain" / "ready"
        give_up = time.monotonic() + SECONDS
        while not ready.exists() and process.poll() is None and time.monotonic() < give_up:
            time.sleep(0.02)
        host, _, port = ready.read_text().strip().rpartition("@")[2].rpartition(":")
        socket.create_connection((host, int(port))).close()
        process.send_signal(number)
        assert process.wait(SECONDS) == 130
        process.communicate()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))
