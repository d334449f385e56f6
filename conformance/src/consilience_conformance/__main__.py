"""Lets `python -m consilience_conformance` do what `consilience-conformance` does."""

from __future__ import annotations

from consilience_conformance.cli import main

if __name__ == "__main__":
    main(prog_name="consilience-conformance")
