"""The demo is run as `make demo` runs it where there is no terminal, and what it says at its end is done."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.machine_cache import ROOT

PARTS = ("start", "verified", "how sure", "price", "receipt", "offline", "try next")


CONSILIENCE = Path(sys.executable).with_name("consilience")


def run(folder: Path, *command: str | Path) -> str:
    environment = os.environ | {"TMPDIR": str(folder), "XDG_STATE_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.timeout(300)  # two models are loaded, and answer
def test_the_demo_shows_an_answer_that_is_paid_for_and_keeps_what_proves_it(tmp_path: Path) -> None:
    said = run(tmp_path, sys.executable, "-m", "examples.demo.run", "deadlock")
    titles = re.findall(r"─ (\d)  (.*?) ─", said)
    assert [number for number, _ in titles] == [str(number + 1) for number in range(len(PARTS))]
    assert all(part in title for part, (_, title) in zip(PARTS, titles, strict=True))
    assert "What is a deadlock?" in said
    charged = re.search(r"charged +(\d+) TEST for (\d+) tokens read and (\d+) written", said)
    assert charged
    total, read, written = map(int, charged.groups())
    assert total == -(-read // 10) + 2 * written
    assert f"the receipt is for this answer (PAY-RCP-005): {total} TEST" in said
    assert "FAILS" not in said
    exchange, wallet = re.findall(r"/\S+/(?:exchange\.json|wallet\.sqlite)", said)
    assert "Every check held." in run(tmp_path, CONSILIENCE, "verify", exchange)
    assert "Every check held." in run(tmp_path, CONSILIENCE, "receipts", "verify", "--wallet", wallet)
