"""Mutants of what stops the work on an answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from consilience._wire import services
from consilience.asks import Ask, Outcome, StopReason
from consilience.errors import AudienceWrongError
from consilience.server import admission, runs
from consilience.server.asks import AskService
from consilience.server.runs import AnswerRun
from consilience.v1.ask_pb2 import CancelAnswerCall, CancelAnswerRequest
from consilience_node.mutants.registry import mutant, replace

_FOR_EVER = timedelta(days=365)


def _deaf_to(*reasons: StopReason) -> None:
    def deaf(stop: Callable[..., None]) -> Callable[..., None]:
        def stop_for(self: Any, reason: StopReason) -> None:
            if reason not in reasons:
                stop(self, reason)

        return stop_for

    replace(AnswerRun, "stop", deaf)


@mutant("deadline-ignored")
def _deadline_ignored() -> None:
    """The work goes on behind its deadline."""
    _deaf_to(StopReason.DEADLINE)


@mutant("on-disconnect-ignored")
def _on_disconnect_ignored() -> None:
    """The work goes on without readers, whatever the ask says."""
    _deaf_to(StopReason.DISCONNECTED)


@mutant("cancel-as-an-answer")
def _cancel_as_an_answer() -> None:
    """An answer that was cancelled ends as if it were whole."""
    replace(runs, "_ENDINGS", lambda endings: {**endings, StopReason.CANCELLED: Outcome.ANSWERED})


@mutant("any-reader-stops-the-work")
def _any_reader_stops_the_work() -> None:
    """With ON_DISCONNECT_CANCEL the work stops when the first of its readers is gone."""

    def hasty(leave: Callable[..., None]) -> Callable[..., None]:
        def left(self: Any) -> None:
            others, self._readers = self._readers - 1, 1
            leave(self)
            self._readers = others

        return left

    replace(AnswerRun, "reader_left", hasty)


@mutant("cancel-tells-no-end")
def _cancel_tells_no_end() -> None:
    """CancelAnswer stops the work, and its response lacks the Final."""
    replace(services, "encode_cancelled", lambda _: lambda _: b"")


@mutant("run-time-ignored")
def _run_time_ignored() -> None:
    """Work whose ask sets no deadline may go on for ever."""

    def endless(deadline: Callable[..., datetime]) -> Callable[..., datetime]:
        def of(ask: Ask, limits: Any, now: datetime) -> datetime:
            return now + _FOR_EVER if ask.limits.deadline is None else deadline(ask, limits, now)

        return of

    replace(admission, "_deadline", endless)


@mutant("cancel-refused-but-done")
def _cancel_refused_but_done() -> None:
    """A CancelAnswer for another node is refused, and the work is stopped all the same."""

    def obeying(cancel: Callable[..., Any]) -> Callable[..., Any]:
        async def refuse(self: AskService, request: bytes) -> Any:
            try:
                return await cancel(self, request)
            except AudienceWrongError:
                call = CancelAnswerCall.FromString(CancelAnswerRequest.FromString(request).call.payload)
                for run in self.answers.running:
                    if run.key.request_id == call.ask_request_id:
                        run.stop(StopReason.CANCELLED)
                raise

        return refuse

    replace(AskService, "cancel_answer", obeying)
