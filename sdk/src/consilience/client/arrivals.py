"""Arrivals: what a node sent of the log of one answer, verified event by event before anybody reads it."""

from __future__ import annotations

from collections import deque

from consilience._wire.events import decode_events
from consilience.asks import Accepted, Answer, AnswerEvent, Final, Transcript, check_answer, check_claims
from consilience.client.openings import Opening
from consilience.client.peers import breach, check_author, check_promises
from consilience.envelopes import Signed
from consilience.errors import AnswerTooLargeError, ProtocolError, RefusedError
from consilience.nodes import NodeCard
from consilience.units import Digest


class Arrivals:
    """What has arrived of one log.

    Args:
        opening: What was asked, and what it is paid by.
        max_bytes: Bounds what is kept.

    Attributes:
        transcript: The log as it grows.
        responses: The messages as they came.
        ready: The events that nobody has read yet.
    """

    def __init__(self, opening: Opening, *, max_bytes: int) -> None:
        self.transcript = Transcript()
        self.responses: list[bytes] = []
        self.ready: deque[AnswerEvent] = deque()
        self._opening = opening
        self._max_bytes = max_bytes
        self._bytes_left = max_bytes
        self._accepted: Digest | None = None

    def take(self, received: bytes, *, card: NodeCard) -> None:
        """Verifies a message, as a whole, and makes its events ready to be read.

        Raises:
            AnswerTooLargeError: There is no room for it.
            ProtocolError: The node broke the rules of the log, of the answer or of its payment.
        """
        self._bytes_left -= len(received)
        if self._bytes_left < 0:
            raise AnswerTooLargeError(f"the answer takes more than {self._max_bytes} bytes")
        try:
            entries = decode_events(received)
            for entry in entries:
                check_claims(entry.event)
        except RefusedError as error:
            raise breach(error) from error
        payment = self._opening.payment
        for entry in entries:
            if payment is not None:
                payment.take(entry.event, transcript=self.transcript)
            self.transcript.append(entry)
            match entry.event:
                case Accepted(ask_digest=digest):
                    self._check_accepted(digest)
                    self._opening.trace.accepted()
                case Final(answer=answer) as final:
                    self._check_answer(answer, card=card)
                    if payment is not None:
                        payment.end(final)
        self.responses.append(received)
        self.ready.extend(entries)

    def _check_accepted(self, digest: Digest) -> None:
        asked = self._opening.ask.digest if self._opening.ask else self._accepted
        if asked is not None and digest != asked:
            raise ProtocolError("the node accepted another ask", requirement="ASK-ANS-002")
        self._accepted = digest

    def _check_answer(self, answer: Signed[Answer], *, card: NodeCard) -> None:
        """Checks an answer by spec section 2.5, as far as it is known what was asked."""
        ask = self._opening.ask
        check_answer(
            answer,
            transcript=self.transcript,
            ask_digest=(ask.digest if ask else self._accepted) or answer.value.ask_digest,
            card_digest=ask.value.card_digest if ask else answer.value.card_digest,
            node_id=card.node_id,
        )
        check_author(answer, card=card)
        if ask is not None and (skill := card.skill(ask.value.skill_id)) is not None:
            check_promises(answer.value, skill=skill)
