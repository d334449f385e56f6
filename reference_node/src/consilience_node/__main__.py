"""Lets `python -m consilience_node` do what `consilience-node` does."""

from __future__ import annotations

from consilience_node.cli import main

if __name__ == "__main__":
    main(prog_name="consilience-node")
