"""Asking an engine, and what came of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from consilience_node.engines import Completion, Message, Piece, Prompt, Role


def prompt(question: str, *, system: str = "You are a helpful assistant.", share_prefix: bool = True) -> Prompt:
    return Prompt(
        messages=(Message(role=Role.SYSTEM, content=system), Message(role=Role.USER, content=question)),
        share_prefix=share_prefix,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    pieces: tuple[Piece, ...]
    completion: Completion

    @property
    def text(self) -> str:
        return "".join(piece.text for piece in self.pieces)


async def read(items: AsyncIterator[Piece | Completion]) -> Answer:
    """Reads a generation to its end, which must be exactly one completion."""
    *pieces, completion = [item async for item in items]
    assert isinstance(completion, Completion)
    assert all(isinstance(piece, Piece) for piece in pieces)
    return Answer(pieces=tuple(piece for piece in pieces if isinstance(piece, Piece)), completion=completion)
