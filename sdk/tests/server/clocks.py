"""A clock that a test sets."""

from datetime import datetime, timedelta

from consilience.units import utc_now


class ManualClock:
    """Stands still until it is moved; begins at the present, so that it agrees with clocks that go on."""

    def __init__(self) -> None:
        self.now = utc_now()

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by
