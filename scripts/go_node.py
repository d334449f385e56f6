"""Builds the node in Go, and runs all that Go itself can say about it: the commands of a node that can be judged.

The Go of the wire is generated from the protos first; it is not committed.
"""

import os
from pathlib import Path

from scripts.certify import Candidate, CertificationError
from scripts.child_processes import Command, output_of, run
from scripts.go_toolchain import go_command
from scripts.machine_cache import ROOT

FOLDER = ROOT / "examples/nodes/go"
PRICED_SKILL = "units.table"
_PROGRAMS = {"node": ".", "vector-executor": "./cmd/vector-executor", "grant": "./cmd/grant"}
_SERVE = ("--tls", "--conformance", "--drain", "1s", "--pay", "--hold-open", "300ms")


def built(folder: Path) -> Candidate:
    """Returns the node, generated, formatted, vetted, tested and built.

    Args:
        folder: Exists and is empty; holds the programs and the root key.

    Raises:
        CertificationError: A file is not formatted; the text names it.
        subprocess.CalledProcessError: A step failed; its tool said why.
    """
    go = go_command()
    environment = {**os.environ, "PATH": f"{go.parent}{os.pathsep}{os.environ['PATH']}"}

    def run_here(*command: str | Path) -> None:
        run(command, cwd=FOLDER, env=environment)

    run_here(go, "generate")
    if unformatted := output_of([go.with_name("gofmt"), "-l", "."], cwd=FOLDER, env=environment).split():
        raise CertificationError(f"run `gofmt -w .` in {FOLDER.relative_to(ROOT)}; to format: {', '.join(unformatted)}")
    run_here(go, "vet", "./...")
    run_here(go, "test", "./...")
    for name, package in _PROGRAMS.items():
        run_here(go, "build", "-o", folder / name, package)
    return _candidate(folder)


def _candidate(folder: Path) -> Candidate:
    key = folder / "root.key"

    def grant(file: Path, testers: tuple[str, ...]) -> Command:
        return [folder / "grant", "--key", key, "--output", file, *testers]

    return Candidate(
        executor=[folder / "vector-executor"],
        serve=[folder / "node", *_SERVE, "--key", key],
        question="How many feet are 12 inches?",
        grant=grant,
        trusting=lambda issuer: ["--escrow-issuers", issuer],
    )
