"""Mutants of headers: what a call is for, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from typing import Any

from consilience import calls
from consilience.asks import questions
from consilience.calls import CallHeader
from consilience.errors import CallExpiredError, CallNotYetValidError, ServerTime
from consilience.server import admission, asks
from consilience_node.mutants.registry import mutant, replace

Check = Callable[..., None]


def _reading(change: Callable[[CallHeader, dict[str, Any]], dict[str, Any]]) -> None:
    """Has headers checked as if something in them were as it should be."""

    def reading(check: Check) -> Check:
        return lambda header, **right: check(changed(header, **change(header, right)), **right)

    replace(admission, "check_header", reading)


@mutant("method-not-bound")
def _method_not_bound() -> None:
    """A call that was signed for one method is taken by the others."""
    _reading(lambda _, right: {"method": right["method"]})


@mutant("wrong-audience-ok")
def _wrong_audience_ok() -> None:
    """A call that was signed for another node is taken."""
    _reading(lambda _, right: {"audience": right["audience"]})


@mutant("extension-not-required")
def _extension_not_required() -> None:
    """A call that requires an extension which the node does not know is carried out without it."""
    _reading(lambda *_: {"required_extensions": ()})


@mutant("every-extension-required")
def _every_extension_required() -> None:
    """A call that brings an extension which the node does not know is refused, though it does not require it."""
    _reading(lambda header, _: {"required_extensions": (*header.required_extensions, *header.extensions)})


@mutant("lifetime-without-bound")
def _lifetime_without_bound() -> None:
    """A header may live for as long as its caller likes."""
    replace(questions, "MAX_LIFETIME", lambda _: timedelta(days=36_500))


@mutant("lifetime-bound-by-nine-minutes")
def _lifetime_bound_by_nine_minutes() -> None:
    """A header of ten minutes is refused."""
    replace(questions, "MAX_LIFETIME", lambda _: timedelta(minutes=9))


@mutant("clocks-without-skew")
def _clocks_without_skew() -> None:
    """Caller and node have to have one clock."""
    replace(calls, "MAX_CLOCK_SKEW", lambda _: timedelta(0))


def _without(refusal: type[Exception]) -> None:
    def lenient(check: Check) -> Check:
        def fresh(header: CallHeader, **when: Any) -> None:
            try:
                check(header, **when)
            except refusal:
                return

        return fresh

    replace(asks, "check_freshness", lenient)


@mutant("expired-call-ok")
def _expired_call_ok() -> None:
    """A call that has expired is carried out."""
    _without(CallExpiredError)


@mutant("future-call-ok")
def _future_call_ok() -> None:
    """A call that is not valid yet is carried out."""
    _without(CallNotYetValidError)


@mutant("time-not-told")
def _time_not_told() -> None:
    """Who is too late or too early is not told what time it is."""
    replace(calls, "ServerTime", lambda _: lambda **_: None)


@mutant("time-of-another-clock")
def _time_of_another_clock() -> None:
    """Who is too late or too early is told another time than the node's."""
    replace(calls, "ServerTime", lambda _: lambda **_: ServerTime(server_time=datetime(2000, 1, 1, tzinfo=UTC)))
