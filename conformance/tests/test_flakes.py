"""The hunt for flakes keeps the machine busy, ends what it started, and tells a run that found something."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from consilience_conformance.selftest.load import loaded
from consilience_conformance.verdicts import Exit

MUTANT = """
import os, sys
words = sys.argv[1:]
if words[0] == "serve":
    words += ["--mutant", "request-id-reused-ok"]
os.execv(sys.executable, [sys.executable, "-m", "consilience_node", *words])
"""
SECONDS = 300

pytestmark = pytest.mark.timeout(SECONDS + 10)


async def test_the_load_uses_up_time_while_it_is_wanted_and_is_gone_then() -> None:
    """Its time is counted once it was waited for, so that what is counted is gone."""
    before = os.times()
    async with loaded(2):
        hashlib.pbkdf2_hmac("sha256", b"", b"", 500_000)  # as good as a clock: it takes a while of a processor's time
    after = os.times()
    assert after.children_user - before.children_user > 0


def hunt(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "consilience_conformance.selftest.flakes", "--load", "1", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_a_run_that_finds_something_is_told_with_its_seed_and_leaves_its_report_in_place_of_an_earlier_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "node.py").write_text(MUTANT)
    report = tmp_path / "out" / "7" / "report.json"
    report.parent.mkdir(parents=True)
    report.write_text("of last night")
    words = ("--runs", "1", "--seed", "7", "--out", str(tmp_path / "out"))
    ended = hunt(*words, "--node-command", shlex.join([sys.executable, str(tmp_path / "node.py")]))
    assert ended.returncode == Exit.FAILED, ended.stderr
    first, *told = ended.stdout.splitlines()
    assert first.startswith("FLAKE  plain      --seed 7 ")
    assert "another-ask-under-a-bound-id-is-refused says fail" in ended.stdout
    assert told[-1] == "1 runs, 1 of them with a flake"
    assert "another-ask-under-a-bound-id-is-refused" in report.read_text()


def test_a_node_that_does_not_serve_is_no_flake(tmp_path: Path) -> None:
    ended = hunt("--runs", "1", "--node-command", str(tmp_path / "none"))
    assert ended.returncode == Exit.UNREACHABLE
    assert ended.stderr.startswith("The healthy node does not serve: ")
