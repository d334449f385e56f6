"""The results as JSON and as tables in the docs."""

import dataclasses
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.pairs import Ratio
from scripts.machine_cache import ROOT
from scripts.spec_regions import redrawn

RESULTS = ROOT / "benchmarks/results.json"
PAGE = ROOT / "docs/guides/performance.md"


def write_report(ratios: Sequence[Ratio]) -> None:
    """Writes the results of `make bench`."""
    write_results(RESULTS, ratios=ratios)
    write_tables(PAGE, {"ratios": table(ratios)})


def write_results(file: Path, *, ratios: Sequence[Ratio], **more: Any) -> None:  # noqa: ANN401 - anything that is JSON
    """Writes ratios, and what else there is, with when and where they were measured."""
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "ratios": [dataclasses.asdict(ratio) | {"reached": ratio.reached} for ratio in ratios],
        **more,
    }
    file.write_text(json.dumps(results, indent=2) + "\n")


def write_tables(page: Path, tables: Mapping[str, str]) -> None:
    """Writes tables into the regions of their names; the text around them is left as it is."""
    text = page.read_text(encoding="utf-8")
    page.write_text(redrawn(text, drawings={"table": tables.__getitem__}), encoding="utf-8")


def table(ratios: Sequence[Ratio]) -> str:
    """Returns the ratios as a Markdown table."""
    rows = [
        "| what | ratio (min to max) | goal | reached | ours | peer | unit |",
        "|---|---|---|---|---|---|---|",
    ]
    for ratio in ratios:
        goal = "" if ratio.goal is None else f"{'≥' if ratio.higher_is_better else '≤'} {ratio.goal:g}"
        reached = {True: "yes", False: "**no**", None: ""}[ratio.reached]
        rows.append(
            f"| `{ratio.name}` | {ratio.ratio:.2f} ({ratio.lowest:.2f} to {ratio.highest:.2f}) | {goal} | {reached} "
            f"| {ratio.ours:,.4g} | {ratio.peer:,.4g} | {ratio.unit} |"
        )
    return "\n".join(rows)
