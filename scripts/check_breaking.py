"""Holds the protos against every frozen image: `make lint`.

A released package never changes its numbers, names or types. Until the first release there is nothing to hold against,
and the command says so.
"""

import subprocess
import sys
from pathlib import Path

BUF = Path(sys.executable).with_name("buf")  # of this environment, activated or not
_FROZEN = Path("proto/frozen")


def breaking_changes(tree: Path) -> list[str]:
    """Compares the protos of a tree with its frozen images.

    Args:
        tree: Folder with `buf.yaml` and `proto/`.

    Returns:
        One line for each change that would break a peer; empty if there is none.

    Raises:
        RuntimeError: The comparison itself failed.
    """
    return [line for image in frozen_images(tree) for line in _changes_against(image, tree=tree)]


def frozen_images(tree: Path) -> list[Path]:
    """Returns the frozen images of a tree, in the order of their names."""
    return sorted((tree / _FROZEN).glob("*.binpb"))


def _changes_against(image: Path, *, tree: Path) -> list[str]:
    """Returns what buf finds broken against one image."""
    command = [str(BUF), "breaking", "--against", str(image)]
    found = subprocess.run(command, cwd=tree, check=False, capture_output=True, text=True)
    match found.returncode:
        case 0:
            return []
        case 100:  # buf's own code for findings, apart from its failures
            return found.stdout.splitlines()
        case _:
            raise RuntimeError(f"`{' '.join(command)}` failed: {found.stderr}")


def main() -> None:
    """Runs the command."""
    tree = Path.cwd()
    changes = breaking_changes(tree)
    for line in changes:
        print(line)
    print(f"{len(frozen_images(tree))} frozen images, {len(changes)} breaking changes")
    if changes:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
