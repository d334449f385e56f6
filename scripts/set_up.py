"""Makes the development environment `.venv`: `make setup`.

Needs Python 3.11 or later with venv, and a C++ compiler the first time on a machine. What is downloaded or compiled is
kept in the machine's cache, so the second clone is ready within a minute.

Example:
    $ python3.11 -m scripts.set_up          # what tests and demo need
    $ python3.11 -m scripts.set_up gemma    # also the packages of locks/gemma.txt
"""

import argparse
import subprocess
import sys
from pathlib import Path

from scripts.child_processes import output_of, run, unwind_when_told_to_end
from scripts.machine_cache import LOCKS, OFFLINE, ROOT, environment_python, install_locked, run_pip

_ENVIRONMENT = ROOT / ".venv"
_DISTRIBUTIONS = (ROOT, ROOT / "reference_node", ROOT / "conformance")
_ALWAYS = ("dev", "smollm2")


def set_up(*, extra_locks: tuple[str, ...] = ()) -> None:
    """Makes or refreshes the environment.

    Args:
        extra_locks: Stems of further files in `locks/`.

    Raises:
        subprocess.CalledProcessError: A step failed; its tool said why.
    """
    python = _environment()
    for name in (*_ALWAYS, *extra_locks):
        _say(f"packages of locks/{name}.txt")
        install_locked(python, lock_file=LOCKS / f"{name}.txt")
    _say("llama.cpp")
    build: list[str | Path] = [python, "-m", "scripts.build_llama"]
    wheel = output_of(build, cwd=ROOT).strip()
    run_pip(python, "install", "--quiet", *OFFLINE, wheel)
    _say("the three distributions, editable")
    editable: list[str | Path] = [argument for folder in _DISTRIBUTIONS for argument in ("--editable", folder)]
    run_pip(python, "install", "--quiet", *OFFLINE, "--no-build-isolation", *editable)


def _environment() -> Path:
    """Returns the interpreter of `.venv`, made if it is absent."""
    python = environment_python(_ENVIRONMENT)
    if not python.exists():
        _say("virtual environment")
        run([sys.executable, "-m", "venv", _ENVIRONMENT])
    return python


def _say(step: str) -> None:
    print(f"set-up: {step}", flush=True)


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Make the development environment.")
    parser.add_argument("locks", nargs="*", metavar="LOCK", help="stem of a further file in locks/, such as gemma")
    locks: list[str] = parser.parse_args().locks
    for name in locks:
        if not (LOCKS / f"{name}.txt").exists():
            parser.error(f"there is no lock {name}; there are {', '.join(sorted(f.stem for f in LOCKS.glob('*.txt')))}")
    unwind_when_told_to_end()
    try:
        set_up(extra_locks=tuple(locks))
    except KeyboardInterrupt:
        raise SystemExit(
            "set-up interrupted; `make setup` uses again what is complete, and does over what was not"
        ) from None
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"set-up stopped: exit {error.returncode} of {error.cmd[0]}; see its words above") from error


if __name__ == "__main__":
    main()
