"""Outages: why no event came, so that the error at the end tells the cause and not that time ran out on it."""

from __future__ import annotations

import time
from dataclasses import dataclass

from consilience.client.backoff import PATIENCE_SECONDS
from consilience.client.connections import Connection
from consilience.errors import (
    AnswerTimeoutError,
    AnswerUnknownError,
    ConnectionLostError,
    ConsilienceError,
    NodeDrainingError,
    RefusedError,
    TransportError,
    UnreachableError,
)
from consilience.units import RequestId, Sequence


class AnswerLostError(AnswerUnknownError):
    """The node had begun the answer, and does not know it any more."""

    remedy = "Ask again; a node that keeps its answers in a file has them after a restart."


class EndedTooSoonError(ConnectionLostError):
    """The node itself ended a stream that had no Final: an accident once, a breach when it is the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setback:
    """What keeps the next event of an answer away, while its stream goes on trying.

    Attributes:
        cause: A TransportError: the node is not reached. A RefusedError: it asks to come again later. None: its card
            has not come yet.
        seconds_left: For how long the stream goes on at most, from now on; None: nothing bounds it.
    """

    cause: TransportError | RefusedError | None
    seconds_left: float | None


class Outage:
    """What stands between a reader and the next event. An event that arrives ends it.

    Args:
        request_id: Names the ask in errors.
    """

    __slots__ = ("_began", "_broken_at", "_failure", "_refusal", "_request_id")

    def __init__(self, request_id: RequestId) -> None:
        self._request_id = request_id
        self._failure: TransportError | None = None
        self._refusal: RefusedError | None = None
        self._broken_at = 0.0
        self._began = False

    def end(self) -> None:
        """Notes that an event arrived."""
        self._failure = self._refusal = None
        self._began = True

    def broke(self, failure: TransportError) -> None:
        """Notes that a connection broke or could not be made."""
        if isinstance(failure, AnswerTimeoutError):
            return
        if self._failure is None:
            self._broken_at = time.monotonic()
        self._failure = failure

    def told_to_wait(self, refusal: RefusedError) -> None:
        """Notes that the node is there and asks to come again later."""
        self._failure, self._refusal = None, refusal

    def setback(self, *, is_up: bool, ends_at: float | None) -> Setback | None:
        """Returns what keeps the next event away; None: nothing that is known.

        Args:
            is_up: Whether the node is reached at this moment.
            ends_at: When the patience of the user ends, by the monotonic clock; None: never.
        """
        if self._failure is not None:
            if is_up:
                return None
            given_up_at = self._broken_at + PATIENCE_SECONDS if self._began else None
            return Setback(cause=self._failure, seconds_left=seconds_to(given_up_at, ends_at))
        if self._refusal is not None:
            return Setback(cause=self._refusal, seconds_left=seconds_to(ends_at))
        return None

    def given_up(self, failure: TransportError, connection: Connection, *, sent: bool) -> ConsilienceError:
        """Returns the error of whoever tried often enough: a node that said that it stops has stopped."""
        if isinstance(self._refusal, NodeDrainingError):
            return self._refusal
        where = connection.endpoint.uri
        if not sent:
            return UnreachableError(f"{where} cannot be reached, and the ask was not sent: {failure}")
        return ConnectionLostError(
            f"the connection to {where} broke and did not come back, for the ask {self._request_id.hex()}: {failure}"
        )

    def out_of_time(self, expired: TransportError, connection: Connection | None, *, sent: bool) -> ConsilienceError:
        """Returns the error of whoever has no more time.

        Args:
            expired: What to say where the node is reached and late.
            connection: The one in use.
            sent: Whether an attempt may have reached the node.
        """
        if connection is None or connection.is_up or self._failure is None:
            return expired
        return self.given_up(self._failure, connection, sent=sent)

    def answer_lost(self, *, last: Sequence) -> AnswerLostError:
        """Returns the error of an answer that the node had begun and does not know any more."""
        return AnswerLostError(
            f"the node lost the answer to the ask {self._request_id.hex()} behind event {last}; was it restarted?"
        )


def seconds_to(*moments: float | None) -> float | None:
    """Returns the time to the first of some moments of the monotonic clock; None: there is none."""
    first = min((moment for moment in moments if moment is not None), default=None)
    return None if first is None else max(first - time.monotonic(), 0.0)
