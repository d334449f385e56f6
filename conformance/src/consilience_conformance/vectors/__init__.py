"""The vectors: bytes to accept and bytes to refuse, for an implementation in any language (docs/spec/README.md).

Each file is JSON in the layout of Project Wycheproof and fits `schema.json`.

>>> load("node_ids")["numberOfTests"] > 20
True
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

FOLDER = files(__name__)
"""Where the files are."""

NAMES = (
    "envelopes",
    "headers",
    "node_ids",
    "cards",
    "transcripts",
    "exchanges",
    "tariffs",
    "receipts",
    "tickets",
    "records",
    "slots",
    "errors",
)
"""The files, in the order of the chapters of the specification."""


def load(name: str) -> dict[str, Any]:
    """Returns the content of a file of vectors, or of `schema`.

    Args:
        name: The file's name without suffix.

    Raises:
        FileNotFoundError: There is none.
    """
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return content
