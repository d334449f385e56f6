"""The drawn regions of the specification: what stands between `<!-- table: X -->` and `<!-- end -->`.

A page says what it wants drawn by the opening marker; everything up to the closing one is replaced. Nothing else on the
page is touched.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.machine_cache import ROOT

SPEC = ROOT / "docs/spec"
Draw = Callable[[str], str]
"""Returns the Markdown of a region, given the name in its marker."""

_REGION = re.compile(r"(?P<open><!-- (?P<kind>\w+): (?P<name>[\w.-]+) -->\n).*?(?P<close><!-- end -->)", re.DOTALL)


def pages() -> list[Path]:
    """Returns the pages of the specification, in the order of their names."""
    return sorted(SPEC.glob("*.md"))


def region_names(text: str, *, kind: str) -> list[str]:
    """Returns the names of the regions of a kind on a page, in their order."""
    return [found["name"] for found in _REGION.finditer(text) if found["kind"] == kind]


def without_regions(text: str) -> str:
    """Returns a page without what is drawn on it."""
    return _REGION.sub("", text)


def redrawn(text: str, *, drawings: Mapping[str, Draw]) -> str:
    """Returns a page with every region drawn anew.

    Args:
        text: The page.
        drawings: How regions are drawn, by their kind.

    Raises:
        KeyError: A marker names a kind, or something of a kind, that there is not.
    """

    def draw(found: re.Match[str]) -> str:
        return f"{found['open']}\n{drawings[found['kind']](found['name']).strip()}\n\n{found['close']}"

    return _REGION.sub(draw, text)
