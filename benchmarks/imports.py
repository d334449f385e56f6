"""What the import costs: `from consilience import Client` against `import grpc`, each in a fresh process."""

import os
import subprocess
import sys
import time
from tempfile import TemporaryDirectory

from benchmarks.pairs import Ratio, in_turn, ratio_of

ROUNDS = 11


async def measure_imports() -> Ratio:
    """Measures whole processes, so that what the interpreter itself needs is taken off first.

    Both find their bytecode compiled, by the first import: an installed package is compiled, and a work tree is not.
    """
    with TemporaryDirectory(prefix="bytecode-") as bytecode:

        async def ours() -> float:
            return _seconds("from consilience import Client", bytecode) - _seconds("pass", bytecode)

        async def grpcs() -> float:
            return _seconds("import grpc", bytecode) - _seconds("pass", bytecode)

        pairs = await in_turn(ours, grpcs, rounds=ROUNDS)
    pairs = [(mine * 1e3, peers * 1e3) for mine, peers in pairs]
    return ratio_of(pairs, name="import_vs_grpc", unit="ms", goal=2.0, higher_is_better=False)


def _seconds(statement: str, bytecode: str) -> float:
    surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, env=surroundings | {"PYTHONPYCACHEPREFIX": bytecode})
    return time.perf_counter() - started
