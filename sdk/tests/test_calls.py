"""The header of a call: made once, checked in one order, against a clock that is passed in."""

import dataclasses
from datetime import UTC, datetime, timedelta

import pytest

from consilience.calls import (
    DEFAULT_LIFETIME,
    MAX_CLOCK_SKEW,
    MAX_LIFETIME,
    REQUEST_ID_BYTES,
    CallHeader,
    check_freshness,
    check_header,
    new_header,
    new_request_id,
)
from consilience.errors import (
    AudienceWrongError,
    CallExpiredError,
    CallNotYetValidError,
    ExtensionUnsupportedError,
    MethodWrongError,
    ServerTime,
    Supported,
)
from consilience.units import PublicKey, RequestId

_NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_METHOD = "consilience.v1.AskService/Ask"
_NODE, _OTHER, _CALLER = PublicKey(b"n" * 32), PublicKey(b"o" * 32), PublicKey(b"c" * 32)
_KNOWN = "https://example.com/known"


@pytest.fixture
def header() -> CallHeader:
    """A header that is in order."""
    return new_header(method=_METHOD, audience=_NODE, caller=_CALLER, now=_NOW)


def test_a_new_header_is_fresh_and_for_its_method_and_node(header: CallHeader) -> None:
    check_header(header, method=_METHOD, audience=_NODE)
    check_freshness(header, now=_NOW)
    assert header.caller == _CALLER
    assert header.expire_time - header.issue_time == DEFAULT_LIFETIME <= MAX_LIFETIME


def test_request_ids_are_16_random_bytes(header: CallHeader) -> None:
    ids = {new_request_id() for _ in range(100)} | {header.request_id}
    assert len(ids) == 101
    assert {len(request_id) for request_id in ids} == {REQUEST_ID_BYTES}


def test_a_retry_keeps_its_request_id() -> None:
    request_id = RequestId(b"r" * 16)
    made = new_header(method=_METHOD, audience=_NODE, caller=_CALLER, now=_NOW, request_id=request_id)
    assert made.request_id == request_id


@pytest.mark.parametrize("method", ["consilience.v1.AskService/GetAnswer", f"/{_METHOD}", _METHOD.lower(), ""])
def test_a_header_for_another_method_is_refused(header: CallHeader, method: str) -> None:
    with pytest.raises(MethodWrongError):
        check_header(header, method=method, audience=_NODE)


def test_a_header_for_another_node_is_refused(header: CallHeader) -> None:
    with pytest.raises(AudienceWrongError):
        check_header(header, method=_METHOD, audience=_OTHER)


def test_the_method_is_checked_before_the_node_and_the_node_before_the_extensions(header: CallHeader) -> None:
    demanding = dataclasses.replace(header, required_extensions=("urn:x",))
    with pytest.raises(MethodWrongError):
        check_header(demanding, method="other", audience=_OTHER)
    with pytest.raises(AudienceWrongError):
        check_header(demanding, method=_METHOD, audience=_OTHER)


def test_a_required_extension_that_is_not_known_is_refused_with_those_that_are(header: CallHeader) -> None:
    demanding = dataclasses.replace(header, required_extensions=(_KNOWN, "urn:x"))
    with pytest.raises(ExtensionUnsupportedError, match="urn:x") as caught:
        check_header(demanding, method=_METHOD, audience=_NODE, extensions={_KNOWN: b""})
    assert caught.value.detail == Supported(field="header.required_extensions", values=(_KNOWN,))


def test_a_required_extension_that_is_known_passes(header: CallHeader) -> None:
    demanding = dataclasses.replace(header, required_extensions=(_KNOWN,))
    check_header(demanding, method=_METHOD, audience=_NODE, extensions=frozenset({_KNOWN}))


def test_an_extension_that_is_not_required_is_ignored(header: CallHeader) -> None:
    check_header(dataclasses.replace(header, extensions={"urn:x": b""}), method=_METHOD, audience=_NODE)


@pytest.mark.parametrize("off", [timedelta(0), MAX_CLOCK_SKEW])
def test_a_clock_within_the_skew_accepts(header: CallHeader, off: timedelta) -> None:
    check_freshness(header, now=header.issue_time - off)
    check_freshness(header, now=header.expire_time + off)


def test_an_expired_call_is_refused_with_the_time_of_the_server(header: CallHeader) -> None:
    late = header.expire_time + MAX_CLOCK_SKEW + _MICROSECOND
    with pytest.raises(CallExpiredError) as caught:
        check_freshness(header, now=late)
    assert caught.value.detail == ServerTime(server_time=late)


def test_a_call_from_the_future_is_refused_with_the_time_of_the_server(header: CallHeader) -> None:
    early = header.issue_time - MAX_CLOCK_SKEW - _MICROSECOND
    with pytest.raises(CallNotYetValidError) as caught:
        check_freshness(header, now=early)
    assert caught.value.detail == ServerTime(server_time=early)


def test_a_call_from_the_last_minute_of_all_times_is_refused_as_one_from_the_future(header: CallHeader) -> None:
    end = datetime.max.replace(tzinfo=UTC)
    last = dataclasses.replace(header, issue_time=end, expire_time=end)
    with pytest.raises(CallNotYetValidError):
        check_freshness(last, now=header.issue_time)


def test_a_call_from_the_first_minute_of_all_times_has_expired(header: CallHeader) -> None:
    beginning = datetime.min.replace(tzinfo=UTC)
    first = dataclasses.replace(header, issue_time=beginning, expire_time=beginning)
    with pytest.raises(CallExpiredError):
        check_freshness(first, now=header.issue_time)
