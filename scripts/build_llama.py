"""Compiles llama-cpp-python once per machine: `python -m scripts.build_llama` prints where the wheel lies.

The registry has only its source. The build is portable (`GGML_NATIVE=OFF`): a native one crashes on virtual machines
that advertise Intel AMX. It takes 10 to 14 minutes on two cores, so the wheel is kept in the machine's cache under its
own file name, which says version, Python and platform; every clone installs it from there.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from scripts.child_processes import running, unwind_when_told_to_end
from scripts.machine_cache import LOCKS, cache_dir, exclusive, locked_environment

_LOCK = LOCKS / "llama.txt"
_BUILD_OPTIONS = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF"
_REPORT_INTERVAL_S = 15
_PATIENCE_S = 5.0  # less than set-up gives to this script, which ends its compilers meanwhile
_COMPILERS = ("c++", "g++", "clang++")


def llama_wheel() -> Path:
    """Returns the compiled wheel of the pinned version for this machine, compiling it if there is none.

    Raises:
        SystemExit: There is no C++ compiler, or the compilation failed; the message says what to do.
    """
    wheels = cache_dir() / "wheels"
    wheels.mkdir(exist_ok=True)
    with exclusive("llama-cpp-python"):
        return _compiled_before(wheels) or _compile(wheels)


def _compiled_before(wheels: Path) -> Path | None:
    """Returns a kept wheel of the pinned version that this interpreter can load."""
    version = pinned_version()
    usable = frozenset(sys_tags())
    for wheel in wheels.glob(f"llama_cpp_python-{version}-*.whl"):
        *_, tags = parse_wheel_filename(wheel.name)
        if tags & usable:
            return wheel
    return None


def pinned_version() -> str:
    """Returns the version that the lock names."""
    match = re.search(r"^llama-cpp-python==(\S+)", _LOCK.read_text(), flags=re.MULTILINE)
    if match is None:
        raise SystemExit(f"{_LOCK.name} names no version of llama-cpp-python; run `make lock`")
    return match[1]


def _compile(wheels: Path) -> Path:
    """Compiles the pinned source into the folder of kept wheels, where it appears whole."""
    if not (os.environ.get("CXX") or any(map(shutil.which, _COMPILERS))):
        raise SystemExit("llama.cpp needs a C++ compiler: install one (Debian: `apt install g++`) and run this again")
    python = locked_environment("llama-build", lock_file=LOCKS / "llama-build.txt")
    log = wheels / f"llama-cpp-python-{pinned_version()}.log"
    with tempfile.TemporaryDirectory(dir=wheels) as scratch:
        # Without pip's cache: a wheel compiled there by somebody else may be native to another processor.
        command: list[str | Path] = [
            *(python, "-m", "pip", "wheel", "--verbose", "--no-cache-dir", "--no-deps", "--no-build-isolation"),
            *("--require-hashes", "-r", _LOCK, "--wheel-dir", scratch),
        ]
        environment = {
            **os.environ,
            "CMAKE_ARGS": _BUILD_OPTIONS,
            "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        }
        with (
            log.open("wb") as output,
            running(
                command, env=environment, stdout=output, stderr=subprocess.STDOUT, patience_s=_PATIENCE_S
            ) as process,
        ):
            _report_until_done(process, log=log)
        if process.returncode != 0:
            raise SystemExit(f"llama.cpp did not compile (exit {process.returncode}); the compiler's words: {log}")
        (wheel,) = Path(scratch).glob("*.whl")
        return wheel.replace(wheels / wheel.name)


def _report_until_done(process: subprocess.Popen[bytes], *, log: Path) -> None:
    """Waits for the compilation, and says every 15 seconds how far it is."""
    print("compiling llama.cpp, once on this machine (10 to 14 minutes on two cores) …", file=sys.stderr, flush=True)
    start = time.monotonic()
    while True:
        try:
            process.wait(timeout=_REPORT_INTERVAL_S)
        except subprocess.TimeoutExpired:
            elapsed = time.monotonic() - start
            print(f"  {elapsed:4.0f} s  {_progress(log)}", file=sys.stderr, flush=True)
        else:
            return


def _progress(log: Path) -> str:
    """Returns how many of the build's steps are done, as its tool last wrote it."""
    steps = re.findall(r"\[(\d+)/(\d+)\]", log.read_text(errors="replace"))
    return "fetching and configuring" if not steps else f"step {steps[-1][0]} of {steps[-1][1]}"


def main() -> None:
    """Runs the command."""
    unwind_when_told_to_end()
    try:
        print(llama_wheel())
    except KeyboardInterrupt:
        raise SystemExit("interrupted; llama.cpp will be compiled from the start next time") from None


if __name__ == "__main__":
    main()
