"""Values out of all ranges are read without a fault, and said as they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from consilience.v1 import ask_pb2
from consilience_conformance.wire_values import duration_of, enum_name, shown_time, time_of

BEYOND = (2**63 - 1, -(2**63), 10**15)


def test_what_is_in_range_is_told_as_it_is() -> None:
    assert shown_time(Timestamp(seconds=1)) == "1970-01-01T00:00:01Z"
    assert shown_time(Duration(seconds=90)) == "90s"
    assert time_of(Timestamp(seconds=1, nanos=2000)) == datetime(1970, 1, 1, 0, 0, 1, 2, tzinfo=UTC)
    assert duration_of(Duration(seconds=-90)) == timedelta(seconds=-90)
    assert enum_name(ask_pb2.Outcome.DESCRIPTOR, ask_pb2.OUTCOME_ANSWERED) == "OUTCOME_ANSWERED"


@pytest.mark.parametrize("seconds", BEYOND)
def test_what_is_beyond_all_ranges_is_nothing_and_is_shown_as_numbers(seconds: int) -> None:
    assert time_of(Timestamp(seconds=seconds)) is None
    assert duration_of(Duration(seconds=seconds)) is None
    assert shown_time(Timestamp(seconds=seconds, nanos=7)) == f"{seconds} s 7 ns, which is no timestamp"
    assert shown_time(Duration(seconds=seconds)) == f"{seconds} s 0 ns, which is no duration"


def test_a_number_that_an_enum_does_not_have_is_itself() -> None:
    assert enum_name(ask_pb2.Outcome.DESCRIPTOR, 99) == "99"
