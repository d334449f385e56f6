"""The state folder: where the SDK remembers things for its user, by the XDG base directory specification."""

from __future__ import annotations

import os
from pathlib import Path


def user_state_folder() -> Path:
    """Returns `$XDG_STATE_HOME/consilience`, or the same in `~/.local/state`; it may not exist yet."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return base / "consilience"
