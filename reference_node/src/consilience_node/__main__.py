"""Lets `python -m consilience_node` do what `consilience-node` does."""

from __future__ import annotations

from consilience_node.entry import main

if __name__ == "__main__":
    main()
