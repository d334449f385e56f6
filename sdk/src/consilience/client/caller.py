"""The caller: one key, and the calls that it signs about its answers (spec section 2.6)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consilience._wire.envelopes import seal
from consilience._wire.services import decode_cancelled, decode_snapshot, encode_request
from consilience.asks import (
    CANCEL_METHOD,
    GET_METHOD,
    RESUME_METHOD,
    Answer,
    AnswerSnapshot,
    CancelAnswerCall,
    GetAnswerCall,
    ResumeAnswerCall,
    check_claims,
)
from consilience.calls import CallHeader, new_header
from consilience.client.cards import Cards
from consilience.client.late_peers import LatePeers
from consilience.client.peers import check_author, check_snapshot, held_to_protocol
from consilience.client.routes import Route
from consilience.envelopes import Signed
from consilience.errors import AnswerUnknownError, ConsilienceError
from consilience.identity import KeyPair, Signer, default_key_file
from consilience.nodes import NodeCard
from consilience.telemetry import SILENT, Tracer
from consilience.units import PublicKey, RequestId, Sequence

if TYPE_CHECKING:  # whoever keeps no tickets does without
    from consilience.client.reviews.ticket_book import TicketBook

CANCEL_SECONDS = 2.0
CANCEL_PAUSES_SECONDS = (0.05, 0.2)

_LOGGER = logging.getLogger(__name__)


class Caller:
    """Who asks: a key, the nodes it trusts with its data, the cards it holds, and the registries that keep it waiting.

    Args:
        key: A signer, the path of a key file, or None for the user's own key, which is made at its first use.
        cards: Where routes to nodes come from.
        clock: Tells the time that is signed.
        trusted_nodes: The nodes that may read more than INTERNAL data.
        call_seconds: Bounds a unary call.
        max_answer_bytes: Bounds what is kept of one answer.
        tracer: Follows the asks.
        reviewer: A signer of reviews, or the path of its key file; None: the key that asks.
        ticket_book: Keeps the tickets of answers; None: nobody does.
    """

    def __init__(
        self,
        key: Signer | Path | None,
        *,
        cards: Cards,
        clock: Callable[[], datetime],
        trusted_nodes: frozenset[PublicKey],
        call_seconds: float,
        max_answer_bytes: int,
        tracer: Tracer = SILENT,
        reviewer: Signer | Path | None = None,
        ticket_book: TicketBook | None = None,
    ) -> None:
        self.ticket_book = ticket_book
        self.late_registries = LatePeers()
        self.cards = cards
        self.clock = clock
        self.trusted_nodes = trusted_nodes
        self.max_answer_bytes = max_answer_bytes
        self.tracer = tracer
        self._key = key
        self._reviewer = reviewer
        self.call_seconds = call_seconds
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def signer(self) -> Signer:
        """The key that signs.

        Raises:
            KeyFileError: Its file cannot be read or made.
        """
        if self._key is None:
            self._key = KeyPair.load_or_create(default_key_file())
        elif isinstance(self._key, Path):
            self._key = KeyPair.load(self._key)
        return self._key

    @property
    def reviewer(self) -> Signer:
        """The key that signs reviews; raises as `signer`."""
        if self._reviewer is None:
            return self.signer
        if isinstance(self._reviewer, Path):
            self._reviewer = KeyPair.load(self._reviewer)
        return self._reviewer

    def resume_request(self, request_id: RequestId, *, card: NodeCard, after: Sequence) -> bytes:
        """Returns the signed and encoded wish to read an answer from behind a sequence."""
        header = self.header(RESUME_METHOD, card)
        call = ResumeAnswerCall(header=header, ask_request_id=request_id, after_sequence=after)
        return encode_request(seal(call, signer=self.signer).envelope)

    async def get(self, request_id: RequestId, *, route: Route, asked: NodeCard | None = None) -> AnswerSnapshot:
        """Returns what there is of an answer, verified as far as the node has signed it.

        Args:
            request_id: Of the ask.
            route: To the node, as it is now.
            asked: The card that the ask names, whose keys sign its answer (ASK-ANS-001), though the node may have
                other keys by now; None: that of the route.

        Raises:
            AnswerUnknownError: The caller has no such answer at the node.
            ProtocolError: The answer is not signed for the node.
        """
        call = GetAnswerCall(header=self.header(GET_METHOD, route.card.value), ask_request_id=request_id)
        response = await self.unary(GET_METHOD, encode_request(seal(call, signer=self.signer).envelope), route)
        with held_to_protocol():
            snapshot = decode_snapshot(response)
            if snapshot.final is not None:
                check_claims(snapshot.final)
        check_snapshot(snapshot, card=asked or route.card.value)
        return snapshot

    async def cancel(self, request_id: RequestId, *, route: Route, asked: NodeCard | None = None) -> Signed[Answer]:
        """Stops the work on an answer and returns how it ended; takes and raises the same as `get`."""
        call = CancelAnswerCall(header=self.header(CANCEL_METHOD, route.card.value), ask_request_id=request_id)
        response = await self.unary(CANCEL_METHOD, encode_request(seal(call, signer=self.signer).envelope), route)
        with held_to_protocol():
            final = decode_cancelled(response)
            check_claims(final)
        check_author(final.answer, card=asked or route.card.value)
        return final.answer

    def abandon(self, request_id: RequestId, *, route: Route) -> asyncio.Task[None]:
        """Starts to stop the work on an answer that nobody waits for any more; the task is bounded and raises nothing.

        It goes on when whoever waits for it is cancelled; closing the client waits for it.
        """
        return self._keep(self._abandon(request_id, route))

    async def close(self) -> None:
        """Waits for what was abandoned to be told to its nodes."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _abandon(self, request_id: RequestId, route: Route) -> None:
        try:
            async with asyncio.timeout(CANCEL_SECONDS):
                for pause in CANCEL_PAUSES_SECONDS:
                    try:
                        await self.cancel(request_id, route=route)
                    except AnswerUnknownError:
                        await asyncio.sleep(pause)  # the ask may be on its way still
                    else:
                        return
                await self.cancel(request_id, route=route)
        except (ConsilienceError, TimeoutError) as error:
            _LOGGER.info("the ask %s could not be cancelled at its node: %s", request_id.hex(), error)

    async def unary(self, method: str, request: bytes, route: Route) -> bytes:
        """Makes a call that is bounded as the user said; raises as `Route.call`."""
        return await route.call(method, request, seconds=self.call_seconds)

    def header(self, method: str, card: NodeCard) -> CallHeader:
        """Returns the header of a call that is signed now."""
        return new_header(method=method, audience=card.node_id, caller=self.signer.public_key, now=self.clock())

    def _keep(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
