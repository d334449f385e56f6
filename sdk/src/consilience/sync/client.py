"""The client without `async`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, Unpack

from consilience import client as asynchronous
from consilience.asks import Answer, AnswerSnapshot, Turn
from consilience.client.cards import NodeReference
from consilience.client.client import (
    DEFAULT_CALL_SECONDS,
    DEFAULT_CARD_MAX_AGE,
    DEFAULT_MAX_ANSWER_BYTES,
    DEFAULT_TIMEOUT_SECONDS,
)
from consilience.envelopes import Signed
from consilience.identity import Signer
from consilience.nodes import DataClass, NodeCard
from consilience.payments import Budget
from consilience.sync import background
from consilience.sync.asks import AnswerStream
from consilience.telemetry import SILENT, Tracer
from consilience.units import PublicKey, RequestId, utc_now

if TYPE_CHECKING:  # a client that pays nothing does without
    from consilience.client.payments import Wallet
    from consilience.client.reviews import FoundNodes
    from consilience.client.reviews.finding import Wanted
    from consilience.rails.contract import PayerRail
    from consilience.sync.payments import PaymentDesk
    from consilience.sync.reviews import ReviewDesk


class Client:
    """Asks nodes: `consilience.Client`, whose arguments and methods these are. It may be used from several threads.

    It belongs to the process that made it: after a fork the child makes its own, and this one raises `ForkedError`.
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
        self._client = asynchronous.Client(
            key,
            trusted_nodes=trusted_nodes,
            data_class=data_class,
            card_max_age=card_max_age,
            card_file=card_file,
            call_timeout=call_timeout,
            max_answer_bytes=max_answer_bytes,
            clock=clock,
            tracer=tracer,
            budget=budget,
            wallet=wallet,
            rails=rails,
            reviewer=reviewer,
            ticket_file=ticket_file,
            statement_file=statement_file,
            registries=registries,
        )
        self._background = background.hold()
        self._closed = False

    def __enter__(self) -> Self:
        """Returns the client itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the client."""
        self.close()

    def ask(
        self, question: str | Sequence[Turn], *, node: NodeReference, **options: Unpack[asynchronous.AskOptions]
    ) -> asynchronous.AskResult:
        """Asks a node and waits for the whole answer; see `consilience.Client.ask`. Ctrl-C cancels it at the node."""
        return self._background.run(self._client.ask(question, node=node, **options))

    def stream(
        self, question: str | Sequence[Turn], *, node: NodeReference, **options: Unpack[asynchronous.AskOptions]
    ) -> AnswerStream:
        """Returns the answer of a node as a stream, to be entered with `with`; see `consilience.Client.stream`."""
        return AnswerStream(self._client.stream(question, node=node, **options), background=self._background)

    def resume(
        self,
        request_id: RequestId,
        *,
        node: NodeReference,
        timeout: float | None = DEFAULT_TIMEOUT_SECONDS,
        first_token_timeout: float | None = None,
    ) -> AnswerStream:
        """Returns an answer that was asked for before, from its beginning; see `consilience.Client.resume`."""
        stream = self._client.resume(request_id, node=node, timeout=timeout, first_token_timeout=first_token_timeout)
        return AnswerStream(stream, background=self._background)

    def get(self, request_id: RequestId, *, node: NodeReference) -> AnswerSnapshot:
        """Returns what there is of an answer now; see `consilience.Client.get`."""
        return self._background.run(self._client.get(request_id, node=node))

    def cancel(self, request_id: RequestId, *, node: NodeReference) -> Signed[Answer]:
        """Stops the work on an answer, and returns how it ended; see `consilience.Client.cancel`."""
        return self._background.run(self._client.cancel(request_id, node=node))

    def card(self, node: NodeReference) -> Signed[NodeCard]:
        """Returns the verified card of a node; see `consilience.Client.card`."""
        return self._background.run(self._client.card(node))

    @property
    def payments(self) -> PaymentDesk:
        """Prices, sessions and receipts; see `consilience.Client.payments`."""
        from consilience.sync.payments import PaymentDesk  # noqa: PLC0415 - an ask does without

        return PaymentDesk(self._client.payments, background=self._background)

    @property
    def reviews(self) -> ReviewDesk:
        """Reviews and warnings, to write and to read; see `consilience.Client.reviews`."""
        from consilience.sync.reviews import ReviewDesk  # noqa: PLC0415 - an ask does without

        return ReviewDesk(self._client.reviews, background=self._background)

    def find(
        self, *, registries: Iterable[NodeReference] | None = None, near: str = "", **wanted: Unpack[Wanted]
    ) -> FoundNodes:
        """Returns nodes with a skill that fits, the nearest and cheapest first; see `consilience.Client.find`."""
        return self._background.run(self._client.find(registries=registries, near=near, **wanted))

    def locate(
        self, node_id: str | PublicKey, *, registries: Iterable[NodeReference] | None = None
    ) -> Signed[NodeCard]:
        """Returns the newest card of a node of which the id alone is known; see `consilience.Client.locate`."""
        return self._background.run(self._client.locate(node_id, registries=registries))

    def close(self) -> None:
        """Closes what the client opened. In a forked child there is nothing of it to close."""
        if self._closed or not self._background.is_here:
            return
        self._closed = True
        self._background.run(self._client.close())
        background.release(self._background)
