"""Testing: nodes in the test's own process, answers that are recorded and played back, signed, and rails on trial.

>>> from consilience.testing import serving_in_thread
>>> with serving_in_thread(node) as running:
...     answer = client.ask("12 inches in cm", node=running.address)

With pytest, the fixture `serve_node` does the same and ends the nodes with the test; it is there as soon as the package
is installed with the extra `[server]`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from consilience.testing.nodes import serving_in_thread
    from consilience.testing.rails import RailBreachError, RailUnderTest, check_rail
    from consilience.testing.recordings import NotRecordedError, RecordedClient, RecordingBrokenError

_HOME = {
    "NotRecordedError": "consilience.testing.recordings",
    "RailBreachError": "consilience.testing.rails",
    "RailUnderTest": "consilience.testing.rails",
    "RecordedClient": "consilience.testing.recordings",
    "RecordingBrokenError": "consilience.testing.recordings",
    "check_rail": "consilience.testing.rails",
    "serving_in_thread": "consilience.testing.nodes",
}

__all__ = [
    "NotRecordedError",
    "RailBreachError",
    "RailUnderTest",
    "RecordedClient",
    "RecordingBrokenError",
    "check_rail",
    "serving_in_thread",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - a name of any type
    """Imports a name at its first use, so that the pytest plugin costs a test run nothing."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
