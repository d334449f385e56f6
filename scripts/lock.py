"""Writes the locks from the ranges: `make lock`.

A lock holds exact versions and hashes, and nothing about where they come from: no registry stands in this repository.
The resolver is used for this alone and lives in an environment that is thrown away.
"""

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from scripts.machine_cache import LOCKS, ROOT, environment_python

_RESOLVER = "uv==0.13.9"
_WORKSPACE = ("pyproject.toml", "reference_node/pyproject.toml", "conformance/pyproject.toml")
_OURS = ("consilience", "consilience-node", "consilience-conformance")
_COMPILED_HERE = "llama-cpp-python"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """One lock file: the groups of the root pyproject.toml it pins.

    Attributes:
        name: Stem of the file in `locks/`.
        groups: Dependency groups.
        with_distributions: Whether it also pins what the three distributions need, with all their extras.
        with_dependencies: Whether it pins what its packages need in turn.
        like: Stem of a lock whose versions it must share.
    """

    name: str
    groups: tuple[str, ...]
    with_distributions: bool = False
    with_dependencies: bool = True
    like: str | None = None

    def arguments(self) -> list[str]:
        """Returns the arguments of the resolver that are this lock's own."""
        arguments = [f"--group={group}" for group in self.groups]
        if self.with_distributions:
            skipped = (*_OURS, _COMPILED_HERE)
            arguments += [*_WORKSPACE, "--all-extras", *(f"--no-emit-package={name}" for name in skipped)]
        if not self.with_dependencies:
            arguments.append("--no-deps")
        if self.like is not None:
            arguments.append(f"--constraints=locks/{self.like}.txt")
        return arguments


_ALL = (
    _Lock(name="dev", groups=("dev",), with_distributions=True),
    _Lock(name="bench", groups=("bench",), like="dev"),
    _Lock(name="generate", groups=("generate",)),
    _Lock(name="llama", groups=("llama",), with_dependencies=False),
    _Lock(name="llama-build", groups=("llama-build",)),
    _Lock(name="smollm2", groups=("smollm2",), with_dependencies=False),
    _Lock(name="gemma", groups=("gemma",), with_dependencies=False),
)


def _resolve(lock: _Lock, *, resolver: Path) -> None:
    """Writes one lock; versions that already stand in it stay where they still fit."""
    command = [
        *(resolver, "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *("--output-file", LOCKS / f"{lock.name}.txt", *lock.arguments()),
        *(argument for argument in sys.argv[1:] if argument == "--upgrade"),
    ]
    subprocess.run(command, cwd=ROOT, check=True, env=_resolver_settings())


def _resolver_settings() -> dict[str, str]:
    """Returns the environment in which the resolver trusts the certificates that pip was told to trust."""
    certificates = os.environ.get("PIP_CERT")
    return {**os.environ, **({"SSL_CERT_FILE": certificates} if certificates else {})}


def main() -> None:
    """Runs the command; `--upgrade` takes the newest versions instead of those that stand in the locks."""
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, "-m", "venv", scratch], check=True)
        python = environment_python(Path(scratch))
        subprocess.run([python, "-m", "pip", "install", "--quiet", _RESOLVER], check=True)
        for lock in _ALL:
            print(f"locks/{lock.name}.txt", flush=True)
            _resolve(lock, resolver=python.with_name("uv"))


if __name__ == "__main__":
    main()
