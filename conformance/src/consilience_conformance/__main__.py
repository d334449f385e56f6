"""Lets `python -m consilience_conformance` do what `consilience-conformance` does."""

from __future__ import annotations

from consilience_conformance.entry import main

if __name__ == "__main__":
    main()
