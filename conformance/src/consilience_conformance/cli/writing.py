"""Writing: the options that say where a report goes, and the report as it goes there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from consilience_conformance.report.files import FORMATS, write_report
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


def written(report: Report, *, folder: Path | None, formats: tuple[str, ...]) -> tuple[str, ...]:
    """Writes the report where it is wanted, and returns the line that says so.

    Raises:
        click.UsageError: It cannot be written.
    """
    if folder is None:
        return ()
    try:
        files = write_report(report, folder=folder, formats=formats or FORMATS)
    except OSError as error:
        raise click.UsageError(f"the report cannot be written: {error.filename}: {error.strerror}") from error
    return (f"Report: {', '.join(map(str, files))}",)
