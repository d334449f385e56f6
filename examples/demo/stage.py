"""The stage of the demo: titles that count themselves, and how long everything took."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console


class Stage:
    """Where the demo is shown.

    Args:
        console: Whom it is shown to.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._titles = 0
        self._timings: dict[str, float] = {}

    def title(self, words: str) -> None:
        """Begins the next part."""
        self._titles += 1
        self.console.rule(f"{self._titles}  {words}")

    @contextlib.contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Measures what happens in the block."""
        started = time.monotonic()
        yield
        self._timings[name] = time.monotonic() - started

    def show_timings(self) -> None:
        """Shows what was measured, and the sum of it."""
        for name, seconds in (*self._timings.items(), ("all of it", sum(self._timings.values()))):
            self.console.print(f"{name:<32}{seconds:7.2f} s")
