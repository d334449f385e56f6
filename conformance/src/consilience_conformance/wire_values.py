"""Values as a node sent them, to which no rule was applied: times and numbers of enums that may be out of all ranges.

Nothing that reads here raises: a node that says nonsense is to be found out, and not to stop who reads it.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from google.protobuf.descriptor import EnumDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def shown_time(value: Timestamp | Duration) -> str:
    """Returns a time or a duration for people."""
    try:
        return value.ToJsonString()
    except ValueError:
        return f"{value.seconds} s {value.nanos} ns, which is no {type(value).__name__.lower()}"


def nanoseconds_of(value: Timestamp | Duration) -> int:
    """Returns a time as nanoseconds since 1970, or the nanoseconds of a duration, however many they are."""
    return value.seconds * 10**9 + value.nanos


def timestamp(time: datetime) -> Timestamp:
    """Returns the message of an aware time, in whole microseconds."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def time_of(value: Timestamp) -> datetime | None:
    """Returns an aware UTC time, in whole microseconds; None: it lies beyond all calendars."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds_of(value) // 1000)
    except OverflowError:
        return None


def duration_of(value: Duration) -> timedelta | None:
    """Returns a duration in whole microseconds; None: it is longer than can be counted."""
    try:
        return timedelta(microseconds=nanoseconds_of(value) // 1000)
    except OverflowError:
        return None


def enum_name(enum: EnumDescriptor, number: int) -> str:
    """Returns the name of a value; of one that the enum does not have, the number."""
    found = enum.values_by_number.get(number)
    return found.name if found else str(number)
