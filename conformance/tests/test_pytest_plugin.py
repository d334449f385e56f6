"""The pytest plugin shows each check as a test, all of one run."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.tests.judged_nodes import talking_node
from consilience.identity import KeyPair
from consilience.testing.nodes import serving_in_thread
from consilience_conformance.cases import all_checks
from reference_node.tests.processes import serving

CONFIG = """
[[models]]
id = "script"
engine = "scripted"
script = "script.toml"
[[skills]]
id = "chat"
model = "script"
"""


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving_in_thread(talking_node(key=KeyPair.generate())) as running:
        yield running.address


def _pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs pytest in a folder of its own; the plugin comes with the installed suite."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:asyncio", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=100)


def test_each_check_is_a_test(address: str, tmp_path: Path) -> None:
    collected = _pytest(tmp_path, "--consilience-node", address, "--collect-only", "-q").stdout
    assert [line for line in collected.splitlines() if "::" in line] == [
        f"consilience::{check.name}" for check in all_checks()
    ]


def test_what_is_selected_runs_with_what_it_rests_on_beside_tests_of_ones_own(address: str, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_ask(): pass\n")
    done = _pytest(tmp_path, "--consilience-node", address, "-v", "-k", "test_ask or copies-of-an-ask")
    assert done.returncode == 0, done.stdout
    assert "consilience::copies-of-an-ask-are-one-execution PASSED" in done.stdout
    assert "test_own.py::test_ask PASSED" in done.stdout
    assert "2 passed" in done.stdout


def test_what_was_not_judged_is_skipped_with_the_reason(address: str, tmp_path: Path) -> None:
    done = _pytest(tmp_path, "--consilience-node", address, "-rs", "-k", "cancel-stops-the-work")
    assert "1 skipped" in done.stdout
    assert "--grant FILE" in done.stdout


def test_nothing_judged_is_no_success_even_beside_tests_of_ones_own(address: str, tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_ask(): pass\n")
    done = _pytest(tmp_path, "--consilience-node", address, "-k", "test_ask or cancel-stops-the-work")
    assert "1 passed, 1 skipped" in done.stdout
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_check_that_fails_is_a_test_that_fails_and_says_what_to_mend(tmp_path: Path) -> None:
    (tmp_path / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    (tmp_path / "node.toml").write_text(CONFIG)
    mutant = ("--config", tmp_path / "node.toml", "--mutant", "cancel-not-served")
    with serving(*mutant, folder=tmp_path) as node:
        done = _pytest(tmp_path, "--consilience-node", node.address, "-k", "methods-of-the-profiles")
    assert done.returncode == 1
    assert "consilience.v1.AskService/CancelAnswer is not served" in done.stdout
    assert "A node MUST implement every method" in done.stdout
    assert "--only methods-of-the-profiles-are-served" in done.stdout
    assert "Traceback" not in done.stdout
    assert "pytest_items.py" not in done.stdout


def test_a_node_that_is_not_reached_is_an_error_of_usage(unused_tcp_port: int, tmp_path: Path) -> None:
    done = _pytest(tmp_path, "--consilience-node", f"127.0.0.1:{unused_tcp_port}")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the node cannot be judged: nothing answers" in done.stderr


def test_without_the_option_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text("def test_ask(): pass\n")
    assert "1 passed" in _pytest(tmp_path).stdout
