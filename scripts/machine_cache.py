"""What is made once per machine and shared by all clones: compiled wheels, downloads, private environments.

Everything lives under `${XDG_CACHE_HOME:-~/.cache}/consilience`. Two tasks that run at the same time never make the
same thing twice: each maker holds a file lock, and what it makes appears whole or not at all.

Example:
    >>> python = locked_environment("compiler", lock_file=Path("locks/generate.txt"))
    >>> subprocess.run([python, "-m", "grpc_tools.protoc", "--version"], check=True)
"""

import fcntl
import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.child_processes import run

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "locks"
OFFLINE = ("--no-deps", "--no-index")
_PYTHON_TAG = f"py{sys.version_info.major}{sys.version_info.minor}"


def cache_dir() -> Path:
    """Returns the folder of this machine's cache, made if absent."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "consilience"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def exclusive(name: str) -> Iterator[None]:
    """Holds the machine-wide lock of a thing that is made once; waits, and says so, while another process makes it."""
    with (cache_dir() / f"{name}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"waiting for another process that makes {name} …", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def digest_of(*files: Path) -> str:
    """Returns a short digest of the contents of files, the key under which what follows from them is kept."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def environment_python(folder: Path) -> Path:
    """Returns the interpreter of a virtual environment."""
    return folder / "bin" / "python"


def downloaded(lock_file: Path) -> Path:
    """Downloads the packages of a lock, hashes checked, or finds the folder they were put into before.

    Args:
        lock_file: Requirements, each pinned with hashes.

    Returns:
        A folder for pip's `--find-links`; with it an installation needs no network.

    Raises:
        subprocess.CalledProcessError: A package could not be fetched; pip said why.
    """
    name = f"{lock_file.stem}-{_PYTHON_TAG}-{digest_of(lock_file)}"
    folder = cache_dir() / "downloads" / name
    complete = folder / "complete"
    with exclusive(f"downloads-{lock_file.stem}"):
        if not complete.exists():
            fetch: list[str | Path] = [
                "download",
                "--quiet",
                "--require-hashes",
                "--no-deps",
                "--dest",
                folder,
                "-r",
                lock_file,
            ]
            run_pip(sys.executable, *fetch)
            complete.touch()
    return folder


def install_locked(python: Path, *, lock_file: Path) -> None:
    """Installs exactly the packages of a lock into the environment of an interpreter.

    Raises:
        subprocess.CalledProcessError: A package could not be fetched or installed; pip said why.
    """
    folder = downloaded(lock_file)
    run_pip(python, "install", "--quiet", *OFFLINE, "--find-links", folder, "--require-hashes", "-r", lock_file)


def locked_environment(name: str, *, lock_file: Path) -> Path:
    """Makes a private virtual environment with exactly the packages of a lock, or finds the one made before.

    Args:
        name: What the environment is for; part of its folder's name.
        lock_file: Requirements, each pinned with hashes.

    Returns:
        The interpreter of the environment.

    Raises:
        subprocess.CalledProcessError: The environment or a package could not be installed; pip said why.
    """
    folder = cache_dir() / "environments" / f"{name}-{_PYTHON_TAG}-{digest_of(lock_file)}"
    python = environment_python(folder)
    complete = folder / "complete"
    with exclusive(name):
        if not complete.exists():
            run([sys.executable, "-m", "venv", "--clear", folder])
            install_locked(python, lock_file=lock_file)
            complete.touch()
    return python


def run_pip(python: str | Path, *arguments: str | Path) -> None:
    """Runs pip in the environment of an interpreter.

    Raises:
        subprocess.CalledProcessError: pip failed; it said why.
    """
    run([python, "-m", "pip", "--disable-pip-version-check", *arguments])
