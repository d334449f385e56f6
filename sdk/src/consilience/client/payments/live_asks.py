"""The paid asks of a client whose answers it reads: its event loop and the thread of its wallet both look here."""

from __future__ import annotations

from threading import Lock

from consilience.units import Digest, RequestId


class LiveAsks:
    """Knows out of which session each of them is paid."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._sessions: dict[RequestId, Digest] = {}

    def add(self, request_id: RequestId, *, session_id: Digest) -> None:
        """Notes that an answer is read from now on."""
        with self._lock:
            self._sessions[request_id] = session_id

    def drop(self, request_id: RequestId) -> None:
        """Notes that an answer is not read any more; where it was not, nothing changes."""
        with self._lock:
            self._sessions.pop(request_id, None)

    def names(self) -> frozenset[RequestId]:
        """Returns their request ids."""
        with self._lock:
            return frozenset(self._sessions)

    def any_of(self, session_id: Digest) -> bool:
        """Tells whether one of them is paid out of a session."""
        with self._lock:
            return session_id in self._sessions.values()
