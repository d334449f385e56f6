"""`consilience-conformance vectors` lists the vectors, runs executors, and tells a script what came of it."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from consilience_conformance import vectors
from consilience_conformance.vectors.command import vectors_command
from consilience_conformance.vectors.questions import fields_by_type, questions
from scripts.machine_cache import ROOT
from tests.guide_runner import blocks_of

_PYTHON = shlex.quote(sys.executable)
_RIGHT = f"{_PYTHON} examples/executors/python/executor.py"


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(vectors_command, arguments)


def _broken(name: str) -> str:
    return f"{_PYTHON} -m conformance.tests.broken_executor --broken {name}"


def test_without_an_executor_the_files_are_listed() -> None:
    result = _run()
    assert result.exit_code == 0
    assert f"{len(questions())} tests of {len(fields_by_type())} types" in result.output
    for name in (*vectors.NAMES, *fields_by_type()):
        assert name in result.output


def test_the_list_is_given_to_machines_too() -> None:
    result = _run("--json", "--type", "CardCheck")
    assert json.loads(result.output) == {"cards": {"CardCheck": 20}}


def test_a_right_executor_passes() -> None:
    result = _run("--exec", _RIGHT)
    assert result.exit_code == 0
    assert f"{len(questions())} of {len(questions())} tests passed." in result.output


def test_a_failure_says_what_was_expected_and_what_it_means() -> None:
    result = _run("--exec", _broken("malleable"))
    assert result.exit_code == 1
    assert "FAIL        EnvelopeVerify" in result.output
    assert "expected  refused 'SIGNATURE_INVALID' (SIG-ENV-001 is broken)" in result.output
    assert "got       accepted" in result.output
    assert "MalleableS  SIGNATURE_MALLEABILITY: " in result.output


def test_many_failures_are_not_all_printed() -> None:
    result = _run("--exec", _broken("refuses-everything"))
    assert result.exit_code == 1
    assert result.output.count("\nFAIL ") == 20
    assert "more failed: --json shows all" in result.output


def test_what_is_not_supported_is_named_with_a_command_that_asks_for_less() -> None:
    result = _run("--exec", _broken("knows-node-ids-only"), "--type", "NodeIdText", "--type", "CardCheck")
    assert result.exit_code == 3
    assert "UNSUPPORTED CardCheck" in result.output
    assert "Too little ran: 31 of 51 tests passed." in result.output
    again = shlex.split(result.output.splitlines()[-1])
    assert again[:2] == ["consilience-conformance", "vectors"]
    assert _run(*again[2:]).exit_code == 0


def test_an_executor_that_broke_off_is_shown_with_its_last_words() -> None:
    result = _run("--exec", _broken("dies"))
    assert result.exit_code == 4
    assert "ENDED_EARLY" in result.output
    assert "exit code 3" in result.output
    assert (
        f"The next was {questions()[4].file}.json {questions()[4].number}: {questions()[4].comment}." in result.output
    )
    assert "broken on purpose: dies" in result.output


def test_an_executor_that_does_not_start_is_one_line() -> None:
    result = _run("--exec", "./nope")
    assert result.exit_code == 4
    assert result.stdout.startswith("The executor does not start: cannot start './nope'")
    assert len(result.stdout.splitlines()) == 1


def test_one_type_is_counted_as_one() -> None:
    assert _run("--type", "EnvelopeSign").stdout.splitlines()[-1].endswith(" tests of 1 type")


def test_the_report_for_machines_holds_every_test() -> None:
    result = _run("--exec", _broken("swaps-the-digest"), "--json")
    report = json.loads(result.output)
    assert report["exitCode"] == result.exit_code == 1
    assert len(report["tests"]) == len(questions()) == sum(report["counts"].values())
    failed = [test for test in report["tests"] if test["outcome"] == "FAIL"]
    assert all("digest" in test["expected"] and "digest" in test["got"] for test in failed)


def test_a_type_that_does_not_exist_is_an_error_of_use() -> None:
    assert _run("--type", "NoSuchType").exit_code == 2


@pytest.mark.parametrize("arguments", [(), ("--exec", _RIGHT)])
def test_a_damaged_file_is_a_fault_of_the_suite(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "envelopes.json").write_text("{")
    monkeypatch.setattr(vectors, "FOLDER", tmp_path)
    result = _run(*arguments)
    assert result.exit_code == 5
    assert "The suite is at fault" in result.stderr


def test_ctrl_c_ends_the_executor_and_is_no_verdict(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    command = "from consilience_conformance.vectors.command import vectors_command; vectors_command()"
    executor = f"{_broken('is-late')} --alive {shlex.quote(str(alive))}"
    suite = subprocess.Popen([sys.executable, "-c", command, "--exec", executor], stderr=subprocess.PIPE, text=True)
    try:
        with alive.open("rb") as reader:  # opens once the executor does
            suite.send_signal(signal.SIGINT)
            _, errors = suite.communicate(timeout=60)
            assert reader.read() == b""  # ends once all that the suite started is gone
    finally:
        suite.kill()
        suite.wait()
    assert suite.returncode == 130
    assert errors == "Interrupted; the executor was ended.\n"


def test_the_executor_of_the_guide_has_thirty_lines_and_passes(tmp_path: Path) -> None:
    (block,) = (
        block for block in blocks_of(ROOT / "docs" / "guides" / "run-the-vectors.md") if block.language == "python"
    )
    file = tmp_path / "executor.py"
    file.write_text(block.text)
    types = re.findall(r'^known = \{"(\w+)": \w+, "(\w+)"', block.text, flags=re.MULTILINE)[0]
    result = _run("--exec", f"{_PYTHON} {shlex.quote(str(file))}", *(f"--type={name}" for name in types))
    assert result.exit_code == 0, result.output
    assert len(block.text.splitlines()) <= 30
