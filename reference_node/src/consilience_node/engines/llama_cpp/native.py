"""The door to llama.cpp: every module here takes the binding from this one.

llama.cpp's threads meet some hundred times for every token. With OpenMP they spin while they wait,
by default for milliseconds, which is fine on an idle machine; but when another process needs a
processor too, each spins away the time the other one is waiting for, and a node that made 120
tokens a second makes 6. Spinning for some ten microseconds and then sleeping costs 5 to 10 percent
on an idle machine and avoids that. OpenMP reads the setting when it is loaded, hence here; who sets
`GOMP_SPINCOUNT` or `OMP_WAIT_POLICY` decides otherwise.
"""

from __future__ import annotations

import os

if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")

from llama_cpp import llama_cpp as llama

__all__ = ["llama"]
