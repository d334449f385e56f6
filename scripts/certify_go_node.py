"""Builds, tests and certifies the node in Go, and pays it with our client: `make certify`.

It needs Go, which is installed where there is none, and buf from `make setup`. The report of the run, with all that was
sent and came back, is left in `build/certify`.
"""

import subprocess
import tempfile
from pathlib import Path

from scripts import go_node
from scripts.certify import CertificationError, judge
from scripts.child_processes import unwind_when_told_to_end
from scripts.machine_cache import ROOT
from scripts.pay_node import pay

_REPORT = ROOT / "build/certify"


def main() -> None:
    """Runs the command; the exit code of a judge that says no is passed on."""
    unwind_when_told_to_end()
    try:
        with tempfile.TemporaryDirectory(prefix="consilience-certify-") as folder:
            node = go_node.built(Path(folder))
            judge(node, folder=Path(folder), report=_REPORT)
            pay(node, folder=Path(folder), skill=go_node.PRICED_SKILL)
    except CertificationError as error:
        raise SystemExit(f"not certified: {error}") from None
    except subprocess.CalledProcessError as error:
        print(f"not certified: exit {error.returncode} of {error.cmd[0]}; see its words above", flush=True)
        raise SystemExit(error.returncode) from None


if __name__ == "__main__":
    main()
