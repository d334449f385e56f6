"""Writes every vector file into the folder of the vectors: `python -m consilience_conformance.vectors.generator`."""

from __future__ import annotations

from pathlib import Path

from consilience_conformance.vectors import FOLDER
from consilience_conformance.vectors.generator.files import all_files


def main() -> None:
    """Runs the command."""
    for file in all_files():
        target = Path(str(FOLDER)) / f"{file.name}.json"
        target.write_text(file.to_text(), encoding="utf-8")
        print(target)  # noqa: T201 - a command that says what it wrote


if __name__ == "__main__":
    main()
