"""Late peers: whom calls wait for at this moment, and for how long already, so that whoever watches can be told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from consilience.errors import RefusedError


@dataclass(frozen=True, slots=True, eq=False)
class Wait:
    """That somebody is waited for.

    Attributes:
        name: What a person knows them by.
        began: When, by the monotonic clock.
        refusal: They asked to come again later; None: they have not answered yet.
    """

    name: str
    began: float
    refusal: RefusedError | None


class LatePeers:
    """The waits of one client that go on."""

    def __init__(self) -> None:
        self._waits: set[Wait] = set()

    @contextmanager
    def waiting_for(self, name: str, *, refusal: RefusedError | None = None) -> Iterator[None]:
        """Notes, while it is within, that somebody is waited for."""
        wait = Wait(name, time.monotonic(), refusal)
        self._waits.add(wait)
        try:
            yield
        finally:
            self._waits.discard(wait)

    def since(self, seconds: float) -> tuple[Wait, ...]:
        """Returns the waits that have gone on for some seconds or more, the longest first."""
        now = time.monotonic()
        waits = tuple(self._waits)  # at one go: another thread may look
        return tuple(sorted((one for one in waits if now - one.began >= seconds), key=lambda one: one.began))
