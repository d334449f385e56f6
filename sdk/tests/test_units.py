"""Times and the order of cards turn into each other without loss; numbers of the wire print as their names."""

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.asks import DroppedSide, OnDisconnect, Outcome, Role, StopReason
from consilience.nodes import DataClass, Profile, TlsMode
from consilience.units import EPOCH, MICROSECOND, CardSequence, NamedNumber, card_sequence, issue_time, utc_now

_TIMES = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(time=_TIMES)
def test_a_time_survives_as_the_sequence_of_a_card(time: datetime) -> None:
    assert issue_time(card_sequence(time)) == time


def test_a_sequence_counts_microseconds_since_the_epoch() -> None:
    assert card_sequence(EPOCH) == 0
    assert card_sequence(EPOCH + timedelta(seconds=1)) == 1_000_000
    assert issue_time(CardSequence(1)) == EPOCH + MICROSECOND


def test_a_sequence_does_not_depend_on_the_zone_of_a_time() -> None:
    noon = datetime(2026, 1, 15, 12, tzinfo=UTC)
    elsewhere = noon.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert card_sequence(noon) == card_sequence(elsewhere)


def test_a_time_without_a_zone_has_no_sequence() -> None:
    with pytest.raises(TypeError):
        card_sequence(datetime(2026, 1, 15, 12))  # noqa: DTZ001


def test_the_clock_tells_aware_utc() -> None:
    now = utc_now()
    assert now.tzinfo is UTC


@pytest.mark.parametrize("kind", [DataClass, DroppedSide, OnDisconnect, Outcome, Profile, Role, StopReason, TlsMode])
def test_a_number_of_the_wire_prints_as_its_name_and_counts_as_a_number(kind: type[NamedNumber]) -> None:
    for member in kind:
        assert f"{member} {member:>20}" == f"{member!s} {member.name:>20}" == f"{member.name} {member.name:>20}"
        assert json.dumps(member) == str(int(member))
        assert member == member.value
