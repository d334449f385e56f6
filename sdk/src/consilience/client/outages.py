"""Outages: why no event came, so that the error at the end tells the cause and not that time ran out on it."""

from __future__ import annotations

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


class Outage:
    """What stands between a reader and the next event. An event that arrives ends it.

    Args:
        request_id: Names the ask in errors.
    """

    __slots__ = ("_draining", "_failure", "_request_id")

    def __init__(self, request_id: RequestId) -> None:
        self._request_id = request_id
        self._failure: TransportError | None = None
        self._draining: NodeDrainingError | None = None

    def end(self) -> None:
        """Notes that an event arrived."""
        self._failure = self._draining = None

    def broke(self, failure: TransportError) -> None:
        """Notes that a connection broke or could not be made."""
        if not isinstance(failure, AnswerTimeoutError):
            self._failure = failure

    def told_to_wait(self, refusal: RefusedError) -> None:
        """Notes that the node is there and asks to come again later."""
        self._failure = None
        self._draining = refusal if isinstance(refusal, NodeDrainingError) else None

    def given_up(self, failure: TransportError, connection: Connection, *, sent: bool) -> ConsilienceError:
        """Returns the error of whoever tried often enough: a node that said that it stops has stopped."""
        if self._draining is not None:
            return self._draining
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
