"""Writes the Python of the wire: `make generate`.

The pinned old compiler lives in an environment of its own (locks/generate.txt), so what is generated depends on nothing
that is installed here, and its output runs under every protobuf from the compiler's generation on.

Example:
    $ python -m scripts.generate            # writes into the source tree
    $ python -m scripts.generate --out DIR  # writes the same tree below DIR
"""

import argparse
import shutil
import subprocess
import tempfile
from pathlib import Path

from scripts.machine_cache import LOCKS, ROOT, locked_environment

_GENERATED_FOLDERS = (
    "sdk/src/consilience/v1",
    "conformance/src/consilience_conformance/v1",
    "conformance/src/consilience_conformance/descriptors",
    "conformance/src/buf",
)


def generate_into(out: Path) -> None:
    """Compiles the protos into a folder that has the layout of the repository.

    Args:
        out: An empty folder.

    Raises:
        subprocess.CalledProcessError: A proto does not compile; the compiler said why on stderr.
    """
    python = locked_environment("compiler", lock_file=LOCKS / "generate.txt")
    subprocess.run([python, "-m", "scripts.compile_protos", out], cwd=ROOT, check=True)


def generated_files(tree: Path) -> dict[str, bytes]:
    """Returns the generated files of a tree, by their path from its top; empty where there are none."""
    return {
        str(file.relative_to(tree)): file.read_bytes()
        for folder in _GENERATED_FOLDERS
        for file in sorted((tree / folder).rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }


def replace_generated(tree: Path, *, by: Path) -> None:
    """Puts the generated files of one tree in the place of another's; files that are no longer generated go."""
    fresh = generated_files(by)
    for name in generated_files(tree).keys() - fresh.keys():
        (tree / name).unlink()
    for name, content in fresh.items():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Write the Python of the wire from the protos.")
    parser.add_argument("--out", type=Path, help="write below this folder instead of into the source tree")
    out: Path | None = parser.parse_args().out
    if out is not None:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir(parents=True)
        generate_into(out.resolve())
        return
    with tempfile.TemporaryDirectory() as scratch:
        generate_into(Path(scratch))
        replace_generated(ROOT, by=Path(scratch))
    print(f"generated {len(generated_files(ROOT))} files")


if __name__ == "__main__":
    main()
