"""Silence: how long a check, and the run that it belongs to, has waited for a node that said nothing."""

from __future__ import annotations


class Silence:
    """Silence that was borne; what several calls bear at one time counts once.

    Attributes:
        seconds: In all.
    """

    def __init__(self, *, within: Silence | None = None) -> None:
        """Begins with none; `within` is the silence of the run, which hears of it too."""
        self.seconds = 0.0
        self._heard_until = 0.0
        self._within = within

    def borne(self, began: float, ended: float) -> None:
        """Takes a stretch of silence.

        Args:
            began: Monotonic time at which a call began to wait.
            ended: Monotonic time at which it was given up.
        """
        self.seconds += max(0.0, ended - max(began, self._heard_until))
        self._heard_until = max(self._heard_until, ended)
        if self._within is not None:
            self._within.borne(began, ended)
