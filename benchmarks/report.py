"""The results as JSON and as the table in the docs."""

import dataclasses
import json
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.pairs import Ratio

RESULTS = Path("benchmarks/results.json")
TABLE = Path("docs/guides/performance.md")
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def write_report(ratios: Sequence[Ratio]) -> None:
    """Writes both files; the text around the table is left as it is."""
    results = {
        "measured_at": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "ratios": [dataclasses.asdict(ratio) | {"reached": ratio.reached} for ratio in ratios],
    }
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    head, _, rest = TABLE.read_text().partition(BEGIN)
    tail = rest.partition(END)[2]
    TABLE.write_text(f"{head}{BEGIN}\n\n{table(ratios)}\n\n{END}{tail}")


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
