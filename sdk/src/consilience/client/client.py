"""The client: the door through which a program asks the network.

>>> async with Client() as client:
...     result = await client.ask("What is a heisenbug?", node="cn1…@127.0.0.1:7341")
...     print(result.text, result.confidence, result.citations, result.model)
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from consilience.asks import Answer, AnswerSnapshot, OnDisconnect, Turn
from consilience.calls import new_request_id
from consilience.client.arguments import (
    check_data_class_type,
    check_node,
    check_options,
    check_question,
    check_request_id,
    check_timeout,
)
from consilience.client.asks import AnswerStream
from consilience.client.caller import Caller
from consilience.client.card_memory import CardMemory, default_card_file
from consilience.client.cards import Cards, NodeReference
from consilience.client.connections import Connections
from consilience.client.questions import AskOptions, Question, amount_of, turns_of
from consilience.client.readers import LogReader
from consilience.client.results import AskResult
from consilience.client.shapes import AnswerShape, shape_of
from consilience.client.watches import Watch
from consilience.envelopes import Signed
from consilience.errors import ForkedError, UsageError
from consilience.identity import Signer, parse_node_id
from consilience.nodes import DataClass, NodeCard
from consilience.payments import Budget
from consilience.telemetry import SILENT, Tracer
from consilience.units import PublicKey, RequestId, utc_now

if TYPE_CHECKING:  # a client that pays nothing does without
    from consilience.client.payments import PaymentDesk, Wallet
    from consilience.client.payments.payer import Payer
    from consilience.client.reviews import FoundNodes, ReviewDesk, TicketBook
    from consilience.client.reviews.finding import Wanted
    from consilience.rails.contract import PayerRail

DEFAULT_TIMEOUT_SECONDS = 60.0
DEFAULT_CALL_SECONDS = 10.0
DEFAULT_CARD_MAX_AGE = timedelta(minutes=5)
DEFAULT_MAX_ANSWER_BYTES = 64 * 1024 * 1024


class Client:
    """Asks nodes. One client serves a whole program: it shares connections and cards, and closes what it opened.

    Args:
        key: A signer, or a key file. Without it: the file that `CONSILIENCE_KEY_FILE` names, else the user's own,
            made at its first use.
        trusted_nodes: Text forms of the nodes (`cn1…`) that may read CONFIDENTIAL and RESTRICTED questions, if their
            policy does.
        data_class: The class of questions for which an ask names none.
        card_max_age: How long a card is used before it is fetched again.
        card_file: Where the cards seen are remembered, against roll-back; the user's state folder, unless you say.
        call_timeout: Bounds, in seconds, fetching a card and every call but an answer.
        max_answer_bytes: Bounds what is kept in memory of one answer, everything in its log counted.
        clock: Tells the time that is signed.
        tracer: Follows the asks: `consilience.telemetry`.
        budget: What asks may cost. Without it nothing is paid.
        wallet: What is remembered of payments, or its file; the user's own, unless you say. One that is given as a
            `Wallet` stays open when the client is closed.
        rails: On which money goes to nodes, the preferred one first; `hold.v1` without any value, unless you say.
        reviewer: Signs reviews and warnings, as `key`; the key that asks, unless you say.
        ticket_file: Where the tickets of answers are kept, for reviews that are written later; nowhere, unless you say.
        statement_file: Where what is said in public is kept, so that saying it again is the same record; as above.
        registries: Their addresses, or cards: where nodes are looked for, and reviews published.
    """

    def __init__(
        self,
        key: Signer | Path | str | None = None,
        *,
        trusted_nodes: Iterable[str | PublicKey] = (),
        data_class: DataClass = DataClass.PUBLIC,
        card_max_age: timedelta = DEFAULT_CARD_MAX_AGE,
        card_file: Path | None = None,
        call_timeout: float = DEFAULT_CALL_SECONDS,
        max_answer_bytes: int = DEFAULT_MAX_ANSWER_BYTES,
        clock: Callable[[], datetime] = utc_now,
        tracer: Tracer = SILENT,
        budget: Budget | None = None,
        wallet: Wallet | Path | str | None = None,
        rails: Sequence[PayerRail] | None = None,
        reviewer: Signer | Path | str | None = None,
        ticket_file: Path | None = None,
        statement_file: Path | None = None,
        registries: Iterable[NodeReference] = (),
    ) -> None:
        check_data_class_type(data_class)
        check_timeout(call_timeout, name="call_timeout")
        self._registries = tuple(registries)
        for registry in self._registries:
            check_node(registry)
        self._review_desk: ReviewDesk | None = None
        self._statement_file = statement_file
        self._ticket_book: TicketBook | None = None
        if ticket_file is not None:
            from consilience.client.reviews.ticket_book import TicketBook  # noqa: PLC0415 - an ask does without

            self._ticket_book = TicketBook(ticket_file)
        self._data_class = data_class
        self._connections = Connections(connect_seconds=call_timeout)
        self._cards = Cards(
            self._connections,
            memory=CardMemory(card_file or default_card_file()),
            clock=clock,
            max_age_seconds=card_max_age.total_seconds(),
            fetch_seconds=call_timeout,
        )
        self._caller = Caller(
            Path(key) if isinstance(key, str) else key,
            cards=self._cards,
            clock=clock,
            trusted_nodes=frozenset(map(_node_id, trusted_nodes)),
            call_seconds=call_timeout,
            max_answer_bytes=max_answer_bytes,
            tracer=tracer,
            reviewer=Path(reviewer) if isinstance(reviewer, str) else reviewer,
            ticket_book=self._ticket_book,
        )
        self._payer: Payer | None = None
        if budget is not None or wallet is not None:
            from consilience.client.payments.payer import payer_for  # noqa: PLC0415 - a free ask does without

            self._payer = payer_for(self._caller, budget=budget, wallet=wallet, rails=rails)
        self._process = os.getpid()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Returns the client itself; connections are made at their first use."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the client."""
        await self.close()

    async def ask(
        self, question: str | Sequence[Turn], *, node: NodeReference, **options: Unpack[AskOptions]
    ) -> AskResult:
        """Asks a node and waits for the whole answer.

        Args:
            question: A text, or a conversation whose last turn is the question.
            node: Its address (`cn1…@host:port`), or its card.
            options: See `AskOptions`.

        Raises:
            UsageError: Something was asked for that cannot be; nothing was sent. `DataClassForbiddenError`: the node
                may not read the question.
            RefusedError: The node said no; one subclass per reason.
            ProtocolError: The node broke a rule of the protocol.
            TransportError: The node cannot be reached, or did not answer in time; then the ask was cancelled.
            AnswerShapeError: The answer does not fit `answer_type` or `answer_schema`.
        """
        async with self.stream(question, node=node, **options) as stream:
            return await stream.final()

    def stream(
        self, question: str | Sequence[Turn], *, node: NodeReference, **options: Unpack[AskOptions]
    ) -> AnswerStream:
        """Returns the answer of a node as a stream, to be entered with `async with`.

        Args:
            question: As `ask`.
            node: As `ask`.
            options: As `ask`.

        Raises:
            UsageError: Something was asked for that cannot be.
        """
        check_question(question)
        check_node(node)
        check_options(options)
        shape = shape_of(options.get("answer_type"), options.get("answer_schema"))
        data_class, request_id = options.get("data_class"), options.get("request_id")
        if request_id is None:
            request_id = new_request_id()
        check_request_id(request_id)
        wanted = Question(
            turns=turns_of(question),
            request_id=request_id,
            data_class=self._data_class if data_class is None else data_class,
            skill=options.get("skill"),
            max_output_tokens=options.get("max_output_tokens", 0),
            max_hidden_tokens=options.get("max_hidden_tokens"),
            shape=shape,
            model=options.get("model") or "",
            on_disconnect=options.get("on_disconnect", OnDisconnect.UNSPECIFIED),
            allow_truncation=options.get("allow_truncation", False),
            max_charge=amount_of(options.get("max_charge")),
            reviewable=options.get("reviewable", True),
        )
        return self._stream(
            node,
            request_id=wanted.request_id,
            question=wanted,
            shape=shape,
            timeout=options.get("timeout", DEFAULT_TIMEOUT_SECONDS),
            first_token_timeout=options.get("first_token_timeout"),
        )

    def resume(
        self,
        request_id: RequestId,
        *,
        node: NodeReference,
        timeout: float | None = DEFAULT_TIMEOUT_SECONDS,
        first_token_timeout: float | None = None,
    ) -> AnswerStream:
        """Returns an answer that was asked for before, from its beginning, as a stream to be entered.

        Leaving the block before the end cancels the ask, as with `stream`, unless the stream is detached.

        Args:
            request_id: Names the ask, which was signed with the same key.
            node: The node that was asked.
            timeout: Seconds until the answer has to be there; None for no bound.
            first_token_timeout: Seconds until its first text has to be there.

        Raises:
            UsageError: An argument is not what it has to be.
        """
        check_request_id(request_id)
        check_node(node)
        check_timeout(timeout, name="timeout")
        check_timeout(first_token_timeout, name="first_token_timeout")
        return self._stream(
            node,
            request_id=request_id,
            question=None,
            shape=None,
            timeout=timeout,
            first_token_timeout=first_token_timeout,
        )

    async def get(self, request_id: RequestId, *, node: NodeReference) -> AnswerSnapshot:
        """Returns what there is of an answer now.

        Raises:
            UsageError: An argument is not what it has to be.
            AnswerUnknownError: The node has no such answer of this key.
            ProtocolError, TransportError: As `ask`.
        """
        self._check_usable()
        check_request_id(request_id)
        check_node(node)
        return await self._caller.get(request_id, route=await self._cards.route(node))

    async def cancel(self, request_id: RequestId, *, node: NodeReference) -> Signed[Answer]:
        """Stops the work on an answer, and returns how it ended; one that has ended stays as it is. Raises as `get`."""
        self._check_usable()
        check_request_id(request_id)
        check_node(node)
        return await self._caller.cancel(request_id, route=await self._cards.route(node))

    async def card(self, node: NodeReference) -> Signed[NodeCard]:
        """Returns the verified card of a node, from the cache while it is good.

        Raises:
            AddressInvalidError: The address is none.
            UnreachableError: The node cannot be reached.
            ProtocolError: The card, its certificate or its history does not hold.
        """
        self._check_usable()
        check_node(node)
        return (await self._cards.route(node)).card

    @property
    def payments(self) -> PaymentDesk:
        """Prices, sessions and receipts.

        Raises:
            UsageError: The client is closed.
        """
        from consilience.client.payments.desk import PaymentDesk  # noqa: PLC0415 - an ask does without

        self._check_usable()
        return PaymentDesk(self._caller, payer=self._payer)

    @property
    def reviews(self) -> ReviewDesk:
        """Reviews and warnings, to write and to read.

        Raises:
            UsageError: The client is closed.
        """
        from consilience.client.reviews import ReviewDesk, StatementBook  # noqa: PLC0415 - an ask does without

        self._check_usable()
        if self._review_desk is None:
            book = None if self._statement_file is None else StatementBook(self._statement_file)
            self._review_desk = ReviewDesk(self._caller, registries=self._registries, statement_book=book)
        return self._review_desk

    async def find(
        self, *, registries: Iterable[NodeReference] | None = None, near: str = "", **wanted: Unpack[Wanted]
    ) -> FoundNodes:
        """Returns nodes with a skill that fits, the nearest and cheapest first, out of all registries asked.

        Args:
            registries: Whom to ask; the client's own, unless you say. One that lies stands out where there are two.
            near: A question, which stays on this machine: nodes whose skills are described in its words come first.
            wanted: See `Wanted`.

        Raises:
            UsageError: Something is asked for that cannot be, or there is no registry to ask.
            ConsilienceError: No registry answered; why the first one did not.
        """
        from consilience.client.reviews.finding import found_by  # noqa: PLC0415 - an ask does without

        self._check_usable()
        asked = self._registries if registries is None else tuple(registries)
        return await found_by(self._caller, registries=asked, near=near, wanted=wanted)

    async def locate(
        self, node_id: str | PublicKey, *, registries: Iterable[NodeReference] | None = None
    ) -> Signed[NodeCard]:
        """Returns the newest card of a node of which the id alone is known, out of registries.

        Where the node has another root key since, the hand-overs are followed that its cards committed to, and
        remembered; the card is then that of the new id.

        Args:
            node_id: `cn1…`, or its 32 bytes.
            registries: Whom to ask; the client's own, unless you say.

        Raises:
            UsageError: There is no registry to ask.
            RecordUnknownError: No registry has a card of it.
            ProtocolError: A hand-over is none that the node committed to, or the card does not hold.
            ConsilienceError: No registry answered; why the first one did not.
        """
        from consilience.client.reviews.locating import located  # noqa: PLC0415 - an ask does without

        self._check_usable()
        asked = self._registries if registries is None else tuple(registries)
        return await located(_node_id(node_id), caller=self._caller, registries=asked)

    async def close(self) -> None:
        """Closes what the client opened. What runs on its connections ends; asks that were left are cancelled first."""
        self._closed = True
        await self._cards.close()
        await self._caller.close()
        if self._payer is not None:
            await self._payer.close()
        if self._ticket_book is not None:
            await asyncio.to_thread(self._ticket_book.close)
        await self._connections.close()

    def _stream(
        self,
        node: NodeReference,
        *,
        request_id: RequestId,
        question: Question | None,
        shape: AnswerShape | None,
        timeout: float | None,
        first_token_timeout: float | None,
    ) -> AnswerStream:
        self._check_usable()
        watch = Watch(total_seconds=timeout, first_text_seconds=first_token_timeout)
        payer = self._payer
        reader = LogReader(self._caller, node=node, request_id=request_id, question=question, watch=watch, payer=payer)
        return AnswerStream(reader, caller=self._caller, watch=watch, shape=shape, payer=payer)

    def _check_usable(self) -> None:
        if self._closed:
            raise UsageError("the client is closed")
        if self._process != os.getpid():
            raise ForkedError("the client was made before this process was forked off; make one here")


def _node_id(node: str | PublicKey) -> PublicKey:
    return parse_node_id(node) if isinstance(node, str) else node
