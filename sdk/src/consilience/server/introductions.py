"""Introductions: what a node says of itself to the person who starts it."""

from __future__ import annotations

import sys

from consilience.server.serving import RunningNode


def introduce(running: RunningNode) -> None:
    """Writes to standard error where the node serves, and what it can be asked; the address is what an asker writes."""
    card = running.card.value
    lines = [f"{card.name} serves on {running.address}"]
    lines += [f"  skill  {skill.id:<24} {skill.description}".rstrip() for skill in card.skills]
    sys.stderr.write("\n".join(lines) + "\n")
    sys.stderr.flush()
