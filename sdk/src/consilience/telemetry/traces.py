"""Traces: what client and server tell of an ask while it lasts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol, Self

from consilience.asks import Answer, Ask
from consilience.units import PublicKey, RequestId

Metadata = tuple[tuple[str, str], ...]
"""Pairs of gRPC metadata to be sent, keys in lower case."""

ReceivedMetadata = Iterable[tuple[str, str | bytes]]
"""Pairs of gRPC metadata as a peer sent them, so of any content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedAsk:
    """What may be told of an ask: everything but the question.

    Attributes:
        node_id, caller: The keys of the two, 32 bytes each.
        request_id: 16 bytes.
        skill_id: What is asked of the node.
        model_id: The model that was asked for; empty: the node chooses.
        max_output_tokens: What the answer was bounded to; zero: the bound of the card.
    """

    node_id: PublicKey
    caller: PublicKey
    request_id: RequestId
    skill_id: str
    model_id: str = ""
    max_output_tokens: int = 0

    @classmethod
    def of(cls, ask: Ask) -> Self:
        """Returns what may be told of an ask."""
        return cls(
            node_id=ask.header.audience,
            caller=ask.header.caller,
            request_id=ask.header.request_id,
            skill_id=ask.skill_id,
            model_id=ask.model_id,
            max_output_tokens=ask.limits.max_output_tokens,
        )


class AskTrace(Protocol):
    """Follows one ask on one side. What is told after the end is ignored.

    The methods return at once; they are called on the event loop of whoever asks or answers.
    """

    @property
    def metadata(self) -> Metadata:
        """What the asker sends with the calls about this ask, so that the node can follow it too; often nothing."""

    def active(self) -> AbstractContextManager[object]:
        """Returns a block in which this ask is the present one: asks made within are its children."""

    def accepted(self) -> None:
        """The ask was accepted; on the asker's side: `Accepted` has arrived."""

    def first_text(self) -> None:
        """The first text of the answer was produced; on the asker's side: it has arrived."""

    def reconnected(self) -> None:
        """The asker's connection broke, and the answer goes on over another."""

    def finished(self, answer: Answer) -> None:
        """The answer has its Final; on the asker's side: it has arrived and was verified. Ends the trace."""

    def failed(self, error: Exception) -> None:
        """The ask was refused, or failed without a Final. Ends the trace."""

    def abandoned(self) -> None:
        """Nobody waits for the end any more, or another process has taken the work over. Ends the trace."""


class Tracer(Protocol):
    """Begins the traces of asks: one per client, and one per node."""

    def asking(self, ask: TracedAsk, *, authority: str) -> AskTrace:
        """Begins the trace of an ask that is sent now.

        Args:
            ask: What may be told of it.
            authority: The `host:port` that it is sent to.
        """

    def answering(self, ask: TracedAsk, *, metadata: ReceivedMetadata) -> AskTrace:
        """Begins the trace of an ask that has arrived, and whose signature holds.

        Args:
            ask: What may be told of it.
            metadata: The metadata of the call that brought it.
        """


class _SilentTrace:
    """Tells nobody."""

    metadata: Metadata = ()

    def active(self) -> AbstractContextManager[object]:
        return nullcontext()

    def accepted(self) -> None:
        pass

    def first_text(self) -> None:
        pass

    def reconnected(self) -> None:
        pass

    def finished(self, answer: Answer) -> None:
        pass

    def failed(self, error: Exception) -> None:
        pass

    def abandoned(self) -> None:
        pass


SILENT_TRACE: AskTrace = _SilentTrace()
"""The trace of an ask that is not signed yet, or that nobody follows."""


class SilentTracer:
    """Begins traces that tell nobody."""

    def asking(self, ask: TracedAsk, *, authority: str) -> AskTrace:  # noqa: ARG002 - it is told to nobody
        """Returns a trace that tells nobody."""
        return SILENT_TRACE

    def answering(
        self,
        ask: TracedAsk,  # noqa: ARG002 - it is told to nobody
        *,
        metadata: ReceivedMetadata,  # noqa: ARG002 - as above
    ) -> AskTrace:
        """Returns a trace that tells nobody."""
        return SILENT_TRACE


SILENT: Tracer = SilentTracer()
"""The default of every `tracer` argument."""
