"""What others put into their pipelines is run here as their hosts run it: each shell step, against a real node."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from reference_node.tests.lines import HOST, free_ports
from reference_node.tests.processes import NodeProcess, run, serving
from scripts.machine_cache import LOCKS, ROOT, downloaded, run_pip

_ACTION = ROOT / "conformance/ci/github"
_GITLAB = ROOT / "conformance/ci/gitlab/consilience-conformance.yml"
_CONFIGURATION = """
[node]
name = "candidate"

[[models]]
id = "script"
engine = "scripted"
script = "script.toml"

[[skills]]
id = "say"
model = "script"
"""
_FORMATS = {"report.html", "report.json", "junit.xml", "summary.md"}
_PASSED, _FAILED, _UNREACHABLE, _USAGE = 0, 1, 4, 64


def _content(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def offline() -> dict[str, str]:
    """Settings by which pip takes what is locked from this machine's cache; a host would fetch it."""
    return {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(downloaded(LOCKS / "conformance.txt"))}


@pytest.fixture(scope="module")
def folder_of_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("node")
    (folder / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    (folder / "node.toml").write_text(_CONFIGURATION)
    return folder


@pytest.fixture(scope="module")
def node(folder_of_node: Path) -> Iterator[NodeProcess]:
    with serving("--config", folder_of_node / "node.toml", "--conformance", folder=folder_of_node) as running:
        yield running


@pytest.fixture(scope="module")
def mutant(folder_of_node: Path) -> Iterator[NodeProcess]:
    words = ("--config", folder_of_node / "node.toml", "--mutant", "cancel-not-served")
    with serving(*words, folder=folder_of_node / "mutant") as running:
        yield running


@dataclass(frozen=True, slots=True, kw_only=True)
class _Done:
    """What a host sees of a job: the exit code of its last step, its words, and the folder it ran in."""

    code: int
    said: str
    workspace: Path

    def report(self, name: str) -> str:
        return (self.workspace / "conformance-report" / name).read_text()


class _GitHub:
    """Runs the shell steps of the action as a runner does: expressions filled in, a file for each channel."""

    def __init__(self, folder: Path, *, settings: Mapping[str, str]) -> None:
        self.action = _content(_ACTION / "action.yml")
        self.settings = dict(settings)
        self.channels = {name: folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        self.folder = folder
        self._run("Install the suite", {}, workspace=folder)

    def judge(self, workspace: Path, **inputs: str) -> _Done:
        for channel in self.channels.values():
            channel.write_text("")
        return self._run("Judge the node", inputs, workspace=workspace)

    def said_in(self, channel: str) -> str:
        return self.channels[channel].read_text()

    def _run(self, name: str, inputs: Mapping[str, str], *, workspace: Path) -> _Done:
        (step,) = (step for step in self.action["runs"]["steps"] if step["name"] == name)
        assert step["shell"] == "bash"
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", script],
            cwd=workspace,
            env={**_machine(), **self.settings, **self._surroundings(), **self._filled_in(step["env"], inputs)},
            capture_output=True,
            text=True,
            check=False,
        )
        return _Done(code=done.returncode, said=done.stdout + done.stderr, workspace=workspace)

    def _surroundings(self) -> dict[str, str]:
        channels = {name: str(file) for name, file in self.channels.items()}
        return {**channels, "GITHUB_ACTION_PATH": str(_ACTION), "RUNNER_TEMP": str(self.folder)}

    def _filled_in(self, values: Mapping[str, str], inputs: Mapping[str, str]) -> dict[str, str]:
        """Returns the environment of a step; an expression that the action does not declare is a KeyError."""
        declared = {name: str(one.get("default", "")) for name, one in self.action["inputs"].items()}
        given = {name.replace("_", "-"): value for name, value in inputs.items()}
        assert set(given) <= set(declared)
        known = {f"inputs.{name}": given.get(name, default) for name, default in declared.items()}
        known["steps.python.outputs.python-path"] = sys.executable
        return {
            name: re.sub(r"\$\{\{ *(.*?) *\}\}", lambda found: known[found[1]], value) for name, value in values.items()
        }


def _machine() -> dict[str, str]:
    """Returns what a bare machine has: nothing of our environment is found by chance."""
    return {"PATH": f"{Path(sys.base_prefix, 'bin')}:/usr/bin:/bin", "HOME": os.environ["HOME"], "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory, offline: dict[str, str]) -> _GitHub:
    return _GitHub(tmp_path_factory.mktemp("runner"), settings=offline)


def test_action_certifies_a_node_that_keeps_the_rules(github: _GitHub, node: NodeProcess, tmp_path: Path) -> None:
    done = github.judge(tmp_path, address=node.address)
    assert done.code == _PASSED, done.said
    assert github.said_in("GITHUB_OUTPUT") == "exit-code=0\n"
    assert github.said_in("GITHUB_STEP_SUMMARY") == done.report("summary.md") != ""
    assert {file.name for file in (tmp_path / "conformance-report").iterdir()} == _FORMATS


def test_action_fails_by_the_exit_code_and_shows_what_to_mend(
    github: _GitHub, mutant: NodeProcess, tmp_path: Path
) -> None:
    done = github.judge(tmp_path, address=mutant.address, only="NODE-PROF-001")
    assert (done.code, github.said_in("GITHUB_OUTPUT")) == (_FAILED, "exit-code=1\n"), done.said
    assert "methods-of-the-profiles-are-served" in github.said_in("GITHUB_STEP_SUMMARY")


def test_action_says_so_where_nothing_was_judged(github: _GitHub, tmp_path: Path) -> None:
    stale = tmp_path / "conformance-report" / "summary.md"
    stale.parent.mkdir()
    stale.write_text("PASSED")
    done = github.judge(tmp_path, address="127.0.0.1:1")
    assert done.code == _UNREACHABLE, done.said
    assert "NOT JUDGED" in github.said_in("GITHUB_STEP_SUMMARY").splitlines()[0]


def test_action_says_so_where_there_is_no_report(github: _GitHub, tmp_path: Path) -> None:
    done = github.judge(tmp_path, address="127.0.0.1:1", mode="guessed")
    assert done.code == _USAGE, done.said
    assert github.said_in("GITHUB_STEP_SUMMARY").startswith("The node was not judged: exit code 64.")


def test_action_hands_every_input_to_the_suite(github: _GitHub, node: NodeProcess, tmp_path: Path) -> None:
    judge = github.folder / "consilience-conformance/bin/consilience-conformance"
    key, grant = tmp_path / "tester.key", tmp_path / "grant.binpb"
    keys = subprocess.run([judge, "tester", "--key", key], capture_output=True, text=True, check=True).stdout.split()
    named = [word for one in keys for word in ("--tester", one)]
    assert run("grant", "--state-folder", node.folder / "state", "--output", grant, *named).returncode == 0
    inputs = {
        "profile": "core",
        "mode": "both",
        "skill": "say",
        "question": "What, if anything?",
        "only": "ask",
        "seed": "7",
        "grant": str(grant),
        "tester_key": str(key),
        "restart": "true",
        "replica": node.address,
        "feed": f"{HOST}:{free_ports(1)[0]}",
    }
    others = {"address", "known-failing", "out", "artifact"}
    assert {name.replace("_", "-") for name in inputs} | others == set(github.action["inputs"])
    done = github.judge(tmp_path, address=node.address, **inputs)
    assert done.code == _PASSED, done.said
    command = yaml.safe_load(done.report("report.json"))["scope"]["command"]
    for name in ("profile", "mode", "skill", "question", "seed", "grant", "tester_key", "restart", "replica", "feed"):
        option = f"--{name.replace('_', '-')}"
        assert command[command.index(option) + 1] == inputs[name]


def test_action_passes_a_node_that_fails_as_its_list_says(github: _GitHub, mutant: NodeProcess, tmp_path: Path) -> None:
    known = tmp_path / "known-failing.toml"
    known.write_text(
        "methods-of-the-profiles-are-served = "
        '{ message = "consilience.v1.AskService/CancelAnswer is not", issue = "12", expires = 9999-12-31 }\n'
    )
    done = github.judge(
        tmp_path, address=mutant.address, only="methods-of-the-profiles-are-served", known_failing=str(known)
    )
    assert done.code == _PASSED, done.said
    assert "known failing" in github.said_in("GITHUB_STEP_SUMMARY")


def test_action_uses_nothing_of_others_but_pinned_majors() -> None:
    used = [step["uses"] for step in _content(_ACTION / "action.yml")["runs"]["steps"] if "uses" in step]
    assert used
    assert [one for one in used if not re.fullmatch(r"actions/(setup-python|upload-artifact)@v\d+", one)] == []


def test_action_uploads_the_folder_that_the_suite_writes_also_when_it_fails() -> None:
    *_, upload = _content(_ACTION / "action.yml")["runs"]["steps"]
    assert upload["with"]["path"] == "${{ inputs.out }}"
    assert upload["if"].startswith("always()")


@pytest.fixture(scope="module")
def gitlab_suite(tmp_path_factory: pytest.TempPathFactory, offline: dict[str, str]) -> dict[str, str]:
    """Settings by which pip finds the suite, as a registry would offer it."""
    folder = tmp_path_factory.mktemp("wheels")
    options = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", folder)
    run_pip(sys.executable, "wheel", *options, ROOT, ROOT / "conformance")
    return {**offline, "PIP_FIND_LINKS": f"{offline['PIP_FIND_LINKS']} {folder}"}


def _gitlab_job(workspace: Path, *, program: str, settings: Mapping[str, str], **variables: str) -> _Done:
    """Runs the lines of the job one after another in one shell, as a runner of GitLab does."""
    job = _content(_GITLAB)[".consilience-conformance"]
    given = {f"CONSILIENCE_{name.upper()}": value for name, value in variables.items()}
    assert set(given) <= set(job["variables"])
    done = subprocess.run(
        [program, "-e", "-c", "\n".join(job["script"])],
        cwd=workspace,
        env={**_machine(), **settings, **job["variables"], **given},
        capture_output=True,
        text=True,
        check=False,
    )
    return _Done(code=done.returncode, said=done.stdout + done.stderr, workspace=workspace)


def test_gitlab_job_certifies_a_node_that_keeps_the_rules(
    gitlab_suite: dict[str, str], node: NodeProcess, tmp_path: Path
) -> None:
    done = _gitlab_job(tmp_path, program="bash", settings=gitlab_suite, node=node.address)
    assert done.code == _PASSED, done.said
    artifacts = _content(_GITLAB)[".consilience-conformance"]["artifacts"]
    assert artifacts["when"] == "always"
    assert {file.name for file in (tmp_path / artifacts["paths"][0]).iterdir()} == _FORMATS
    assert ET.parse(tmp_path / artifacts["reports"]["junit"]).getroot().get("failures") == "0"  # noqa: S314 - ours


def test_gitlab_job_fails_by_the_exit_code_in_the_plainest_of_shells(
    gitlab_suite: dict[str, str], mutant: NodeProcess, tmp_path: Path
) -> None:
    done = _gitlab_job(
        tmp_path, program="sh", settings=gitlab_suite, node=mutant.address, only="NODE-PROF-001", seed="7"
    )
    assert done.code == _FAILED, done.said
    cases = ET.fromstring(done.report("junit.xml")).iter("testcase")  # noqa: S314 - ours
    failed = [case.get("name") for case in cases if case.find("failure[@type='fail']") is not None]
    assert failed == ["methods-of-the-profiles-are-served"]


def test_gitlab_job_reads_every_variable_that_it_declares() -> None:
    job = _content(_GITLAB)[".consilience-conformance"]
    script = "\n".join(job["script"])
    assert [name for name in job["variables"] if f'"${name}"' not in script] == []


def test_gitlab_job_names_the_suite_of_this_release() -> None:
    version = tomllib.loads((ROOT / "conformance/pyproject.toml").read_text())["project"]["version"]
    pinned = _content(_GITLAB)[".consilience-conformance"]["variables"]["CONSILIENCE_SUITE"]
    assert pinned == f"consilience-conformance=={version}"


def _shell_texts() -> Iterator[tuple[str, str]]:
    for step in _content(_ACTION / "action.yml")["runs"]["steps"]:
        if "run" in step:
            yield f"github: {step['name']}", f"#!/bin/bash\n{step['run']}"
    yield "gitlab", "#!/bin/sh\n" + "\n".join(_content(_GITLAB)[".consilience-conformance"]["script"])
    yield ".ci/run", (ROOT / ".ci/run").read_text()


Shellcheck = Callable[[str], subprocess.CompletedProcess[str]]


@pytest.fixture
def shellcheck() -> Shellcheck:
    tool = Path(sys.executable).with_name("shellcheck")
    return lambda text: subprocess.run([tool, "-"], input=text, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("name", "text"), tuple(_shell_texts()))
def test_shell_is_clean(name: str, text: str, shellcheck: Shellcheck) -> None:
    assert shellcheck(text).stdout == "", name


def test_shell_that_is_not_clean_is_noticed(shellcheck: Shellcheck) -> None:
    assert "SC2086" in shellcheck("#!/bin/bash\nrm $1\n").stdout
