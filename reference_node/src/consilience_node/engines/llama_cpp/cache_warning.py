"""What is said where nothing can be remembered: a node runs without its cache, only more slowly."""

from __future__ import annotations

import logging
from functools import cache
from pathlib import Path

_LOGGER = logging.getLogger(__name__)


@cache
def warn_unwritable(directory: Path, *, reason: str) -> None:
    """Says once per process that a cache cannot be written, and what that costs."""
    _LOGGER.warning(
        "cannot write the cache %s (%s): every start does its work again; name another place with XDG_CACHE_HOME",
        directory,
        reason,
    )
