"""`make bench-federation` in small: a federation goes through a course, and what is measured has its place."""

import subprocess
import sys

import pytest

from benchmarks.federation.report import PAGE
from scripts.machine_cache import ROOT
from scripts.spec_regions import region_names


@pytest.mark.timeout(240)  # nine processes on a small machine
def test_a_federation_agrees_after_a_death_and_a_cut_and_nothing_is_lost_to_who_searches() -> None:
    command = [sys.executable, "-m", "benchmarks.federation.measure", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=230, check=False)
    assert done.returncode == 0, done.stderr
    for name in ("spread_vs_pause", "heal_vs_pause", "return_vs_pause", "find_broken_vs_whole"):
        assert f"| `{name}` |" in done.stdout
    assert "| `found_vs_searched` | 1.00 (1.00 to 1.00) | ≥ 1 | yes |" in done.stdout


def test_the_page_has_the_region_that_the_report_writes() -> None:
    assert region_names(PAGE.read_text(), kind="table") == ["ratios"]
