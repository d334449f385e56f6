"""A node is certified by its commands alone: one that is right passes, and what is wrong with another is passed on."""

import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from scripts import go_node
from scripts.certify import Candidate, CertificationError, judge
from scripts.child_processes import Command
from scripts.machine_cache import ROOT

_NODE = (sys.executable, "-m", "consilience_node")
_CONFIGURATION = """
[node]
name = "candidate"
address = "127.0.0.1:0"

[[models]]
id = "script"
engine = "scripted"
script = "script.toml"

[[skills]]
id = "say"
model = "script"
"""


@pytest.fixture
def candidate(tmp_path: Path) -> Candidate:
    """The reference node, with a model that says something fixed."""
    (tmp_path / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    (tmp_path / "node.toml").write_text(_CONFIGURATION)
    state = tmp_path / "state"

    def grant(file: Path, testers: tuple[str, ...]) -> Command:
        named = (word for key in testers for word in ("--tester", key))
        return [*_NODE, "grant", "--state-folder", state, "--output", file, *named]

    return Candidate(
        executor=[sys.executable, ROOT / "examples/executors/python/executor.py"],
        serve=[*_NODE, "serve", "--config", tmp_path / "node.toml", "--state-folder", state, "--conformance"],
        question="Are you done?",
        grant=grant,
    )


def test_node_that_keeps_the_rules_is_certified(candidate: Candidate, tmp_path: Path) -> None:
    judge(candidate, folder=tmp_path, report=tmp_path / "report")
    assert {file.name for file in (tmp_path / "report").iterdir()} >= {"report.html", "report.json", "junit.xml"}
    assert not (tmp_path / "ready").exists(), "the node still serves"


def test_exit_code_of_a_judge_that_says_no_is_passed_on(candidate: Candidate, tmp_path: Path) -> None:
    mutant = replace(candidate, serve=[*candidate.serve, "--mutant", "cancel-not-served"])
    with pytest.raises(subprocess.CalledProcessError) as error:
        judge(mutant, folder=tmp_path, report=tmp_path / "report")
    assert error.value.returncode == 1
    assert not (tmp_path / "ready").exists(), "the node still serves"


def test_node_whose_executor_is_wrong_is_not_even_started(candidate: Candidate, tmp_path: Path) -> None:
    wrong = replace(candidate, executor=[sys.executable, "-c", "pass"])
    with pytest.raises(subprocess.CalledProcessError) as error:
        judge(wrong, folder=tmp_path, report=tmp_path / "report")
    assert error.value.returncode == 4
    assert not (tmp_path / "state").exists()


def test_node_that_ends_instead_of_serving_is_told_apart(candidate: Candidate, tmp_path: Path) -> None:
    ending = replace(candidate, serve=[sys.executable, "-c", "raise SystemExit(7)"])
    with pytest.raises(CertificationError, match="ended with 7 before it served"):
        judge(ending, folder=tmp_path, report=tmp_path / "report")


_STAND_INS = {
    "gofmt": "echo {unformatted}",
    "go": 'echo "$*" >> {folder}/said\n[ "$1" != {failing} ] || exit 3\n[ "$1" != build ] || touch "$3"',
}
Tools = Callable[..., None]


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """Puts programs in the place of Go's, which take notes instead: no test here needs Go."""

    def put(*, unformatted: str = "", failing: str = "nothing") -> None:
        words = {"unformatted": unformatted, "failing": failing, "folder": tmp_path}
        for name, body in _STAND_INS.items():
            tool = tmp_path / "tools" / name
            tool.parent.mkdir(exist_ok=True)
            tool.write_text("#!/bin/sh\n" + body.format_map({key: shlex.quote(str(it)) for key, it in words.items()}))
            tool.chmod(0o755)
        monkeypatch.setattr(go_node, "go_command", lambda: tmp_path / "tools" / "go")

    return put


def _built(folder: Path) -> Candidate:
    folder.mkdir()
    return go_node.built(folder)


def test_node_in_go_is_generated_vetted_and_tested_before_it_is_built(tools: Tools, tmp_path: Path) -> None:
    tools()
    node = _built(tmp_path / "built")
    said = [line.split()[0] for line in (tmp_path / "said").read_text().splitlines()]
    assert said == ["generate", "vet", "test", "build", "build", "build"]
    grant = node.grant(tmp_path / "grant.binpb", ("cn1…",))
    assert all(Path(command[0]).is_file() for command in (node.executor, node.serve, grant))


@pytest.mark.parametrize("step", ["generate", "vet", "test", "build"])
def test_step_of_go_that_fails_ends_the_building(step: str, tools: Tools, tmp_path: Path) -> None:
    tools(failing=step)
    with pytest.raises(subprocess.CalledProcessError) as error:
        _built(tmp_path / "built")
    assert error.value.returncode == 3


def test_file_that_is_not_formatted_is_named(tools: Tools, tmp_path: Path) -> None:
    tools(unformatted="main.go")
    with pytest.raises(CertificationError, match=r"run `gofmt -w \.` in examples/nodes/go; to format: main.go"):
        _built(tmp_path / "built")
