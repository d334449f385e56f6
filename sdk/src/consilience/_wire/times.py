"""Times on the wire: aware UTC datetimes and timedeltas, to the microsecond."""

from __future__ import annotations

from datetime import datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consilience._wire.violations import ViolationAtError
from consilience.units import EPOCH, MICROSECOND

_NANOSECONDS = 1_000_000_000
_SECONDS_OF_DAY = 86_400


def fill_timestamp(message: Timestamp, value: datetime) -> None:
    """Fills a Timestamp with an aware time."""
    since = value - EPOCH
    message.seconds = since.days * _SECONDS_OF_DAY + since.seconds
    message.nanos = since.microseconds * 1000


def from_timestamp(message: Timestamp) -> datetime:
    """Returns the aware UTC time of a Timestamp.

    Raises:
        ViolationAtError: It lies outside the years 1 to 9999, or its nanoseconds outside a second.
    """
    if not 0 <= message.nanos < _NANOSECONDS:
        raise ViolationAtError("", f"has {message.nanos} nanoseconds, which is no time")
    try:
        return EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError as error:
        raise ViolationAtError("", "is no time between the years 1 and 9999") from error


def fill_duration(message: Duration, value: timedelta) -> None:
    """Fills a Duration, whose nanoseconds have the sign of its seconds."""
    microseconds = value // MICROSECOND
    message.seconds = seconds = abs(microseconds) // 1_000_000 * (-1 if microseconds < 0 else 1)
    message.nanos = (microseconds - seconds * 1_000_000) * 1000


def from_duration(message: Duration) -> timedelta:
    """Returns the length of a Duration.

    Raises:
        ViolationAtError: It is longer than Python can tell.
    """
    if abs(message.nanos) >= _NANOSECONDS or message.seconds * message.nanos < 0:
        raise ViolationAtError("", f"has {message.nanos} nanoseconds beside {message.seconds} s, which is no length")
    try:
        return timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError as error:
        raise ViolationAtError("", "is too long") from error
