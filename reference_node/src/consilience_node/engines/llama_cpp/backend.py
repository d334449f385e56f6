"""llama.cpp's own start-up, and its log.

The library prints pages about every model it loads. Here its warnings and errors go to the Python
logger `consilience_node.engines.llama_cpp`, and the rest nowhere.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib.metadata import version

from consilience_node.engines.llama_cpp.native import llama

_LOGGER = logging.getLogger("consilience_node.engines.llama_cpp")
_LEVELS = {3: logging.WARNING, 4: logging.ERROR}
_CONTINUES = 5


class _LogRouter:
    """Puts llama.cpp's fragments together to lines, and passes on those that matter."""

    def __init__(self) -> None:
        self._level: int | None = None
        self._line = ""

    def __call__(self, level: int, text: bytes, _: object) -> None:
        if level != _CONTINUES:
            self._level = _LEVELS.get(level)
            self._line = ""
        if self._level is None:
            return
        self._line += text.decode("utf-8", errors="replace")
        if self._line.endswith("\n"):
            _LOGGER.log(self._level, "%s", self._line.rstrip())
            self._line = ""


# llama.cpp keeps the pointer: the callback must live as long as the process does.
_route_log = llama.llama_log_callback(_LogRouter())


@cache
def start_backend() -> str:
    """Initialises llama.cpp once per process.

    Returns:
        Version of the binding, which pins the version of llama.cpp.
    """
    llama.llama_log_set(_route_log, None)
    llama.llama_backend_init()
    return version("llama-cpp-python")
