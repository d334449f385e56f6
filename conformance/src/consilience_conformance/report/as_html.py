"""The HTML report: one file that holds all it needs, loads nothing, and can be read without scripts.

A node decides on names, messages and texts, so everything is escaped by the template, and the page forbids every
script and style but its own by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from consilience_conformance.report.printable import printable
from consilience_conformance.report.summary import (
    Report,
    count_line,
    failures,
    must_share,
    number_of,
    standings,
    suite_fault,
    unjudged_musts,
    untested,
    warnings,
)
from consilience_conformance.report.views import GLYPHS, chapters, levels, result_views
from consilience_conformance.verdicts import Verdict

_BAR = (
    Verdict.PASS,
    Verdict.WARN,
    Verdict.KNOWN_FAILING,
    Verdict.FAIL,
    Verdict.STALE,
    Verdict.SUITE_ERROR,
    Verdict.UNTESTABLE,
    Verdict.NOT_TESTED,
    Verdict.NOT_APPLICABLE,
)
"""In which order the bar shows the verdicts."""


def report_to_html(report: Report) -> str:
    """Returns a report as one HTML page."""
    run = report.run
    rows = standings(run)
    judged, known = must_share(rows)
    style, script = _part("page.css"), _part("page.js")
    return (
        _environment()
        .get_template("page.html")
        .render(
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(script),  # noqa: S704 - our own file
            style_digest=_digest(style),
            script_digest=_digest(script),
            run=run,
            report=report,
            counts=count_line(run),
            judged=judged,
            known=known,
            bar=_bar(Counter(result.verdict for result in run.results)),
            failed=result_views(failures(run), report=report),
            warned=result_views(warnings(run), report=report),
            everything=result_views(run.results, report=report),
            untested=untested(run),
            unjudged=unjudged_musts(report),
            levels=levels(rows),
            chapters=chapters(rows),
            standings=rows,
            again=report.again(),
        )
    )


def _bar(counts: Counter[Verdict]) -> list[tuple[Verdict, int, float, float]]:
    """Returns the parts of the bar: verdict, how many, where it begins and how long it is, in thousandths."""
    total, begin, parts = counts.total() or 1, 0.0, []
    for verdict in _BAR:
        if counts[verdict]:
            length = 1000 * counts[verdict] / total
            parts.append((verdict, counts[verdict], round(begin, 2), round(length, 2)))
            begin += length
    return parts


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("consilience_conformance.report", "page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "prose": _prose,
        "printable": printable,
        "slug": lambda verdict: verdict.value.replace(" ", "-"),
    }
    environment.globals |= {"glyphs": GLYPHS, "number_of": number_of, "suite_fault": suite_fault}
    return environment


@cache
def _part(name: str) -> str:
    return (files("consilience_conformance.report") / "page" / name).read_text(encoding="utf-8")


def _prose(text: str) -> Markup:
    """Returns a sentence of the specification, in which names stand between backticks."""
    parts = (
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(text.split("`"))
    )
    return Markup("").join(parts)


def _digest(text: str) -> str:
    """Returns the digest by which a content security policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
