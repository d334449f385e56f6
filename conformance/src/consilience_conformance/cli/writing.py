"""Writing: the options that say where a report goes, and the report as it goes there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from consilience_conformance.report.files import FORMATS, report_files, write_report
from consilience_conformance.report.summary import Report


def listed(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Reads an option that is repeated, or a list with commas, or both."""
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def formats(context: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Reads the formats of a report."""
    return among(listed(context, parameter, values), known=FORMATS)


def among(values: tuple[str, ...], *, known: Sequence[str]) -> tuple[str, ...]:
    """Returns values of an option that are all known.

    Raises:
        click.BadParameter: One is not.
    """
    for value in values:
        if value not in known:
            raise click.BadParameter(f"{value!r} is none of {', '.join(known)}")
    return values


def made(folder: Path | None, *, formats: tuple[str, ...]) -> Path | None:
    """Makes the folder of the report before anything is judged, so that nothing is judged in vain.

    Raises:
        click.UsageError: It cannot be made, or a format is named and no folder.
    """
    if formats and folder is None:
        raise click.UsageError("--format says how a report is written, and --out DIR where: name both")
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"the folder {folder} cannot be made: {error.strerror}") from error
    return folder


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of a report.

    Attributes:
        lines: Say where it is.
        fault: Says which files could not be written, and why; empty: none.
    """

    lines: tuple[str, ...] = ()
    fault: str = ""


def written(report: Report, *, folder: Path | None, formats: tuple[str, ...]) -> Written:
    """Writes the report where it is wanted; a file that cannot be written keeps no other from being so."""
    if folder is None:
        return Written()
    files: list[Path] = []
    faults: list[str] = []
    for name in formats or FORMATS:
        try:
            files += write_report(report, folder=folder, formats=(name,))
        except OSError as error:
            faults.append(f"{error.filename or folder}: {error.strerror}")
    lines = [f"Report: {', '.join(map(str, files))}"] if files else []
    earlier = [file for file in report_files(folder) if file.is_file() and file not in files]
    if earlier:
        lines.append(f"Of an earlier run: {', '.join(map(str, earlier))}")
    fault = f"the report cannot be written: {'; '.join(faults)}" if faults else ""
    return Written(lines=tuple(lines), fault=fault)
