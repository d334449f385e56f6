"""The files of a report, by format."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from consilience_conformance.report.as_html import report_to_html
from consilience_conformance.report.as_json import report_to_json
from consilience_conformance.report.as_junit import report_to_junit
from consilience_conformance.report.as_markdown import report_to_markdown
from consilience_conformance.report.summary import Report

FORMATS = ("html", "json", "junit", "md")

_WRITERS: Mapping[str, tuple[str, Callable[[Report], str]]] = {
    "html": ("report.html", report_to_html),
    "json": ("report.json", lambda report: json.dumps(report_to_json(report), indent=1) + "\n"),
    "junit": ("junit.xml", report_to_junit),
    "md": ("summary.md", report_to_markdown),
}


def report_files(folder: Path) -> tuple[Path, ...]:
    """Returns the files that a report in all formats would be, whether they are there or not."""
    return tuple(folder / file for file, _ in _WRITERS.values())


def write_report(report: Report, *, folder: Path, formats: Collection[str]) -> tuple[Path, ...]:
    """Writes a report into a folder, which exists, and returns the files, in the order of `FORMATS`.

    Raises:
        OSError: A file cannot be written.
    """
    written = []
    for name in FORMATS:
        if name in formats:
            file, write = _WRITERS[name]
            (folder / file).write_text(write(report), encoding="utf-8")
            written.append(folder / file)
    return tuple(written)
