"""One request on its way through the engine thread."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

import numpy as np

from consilience_node.engines.answer_text import AnswerText
from consilience_node.engines.interface import Completion, Piece, Sampling, StopCause
from consilience_node.engines.llama_cpp.cells import Strand
from consilience_node.engines.llama_cpp.context import Span, Tokens
from consilience_node.engines.llama_cpp.token_choice import TokenChoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the engine thread is asked to do.

    Attributes:
        id: name of the request, unique within the engine.
        prompt: tokens of the rendered prompt; at least one.
        sampling: how to continue it.
        output_limit: most tokens to generate; prompt and output together fit the context.
        grammar: grammar that the text must satisfy, if any.
        share_prefix: whether computed tokens may be shared with other prompts.
    """

    id: int
    prompt: tuple[int, ...]
    sampling: Sampling
    output_limit: int
    grammar: str | None
    share_prefix: bool


class Generation:
    """A request, the tokens it has so far, and the text that became of them."""

    def __init__(self, request: Request, *, choice: TokenChoice) -> None:
        self.request = request
        self.choice = choice
        self.cached_prompt_tokens: int | None = None
        """Prompt tokens that were shared and not computed; None until its first step."""
        self._buffer = np.empty(self.reserve, dtype=np.int32)
        self._length = len(request.prompt)
        self._buffer[: self._length] = request.prompt
        self._text = AnswerText.under(request.sampling)
        # Tokens are not characters: the decoder keeps the bytes of an incomplete one.
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")

    @property
    def reserve(self) -> int:
        """Most tokens that it will ever have."""
        return len(self.request.prompt) + self.request.output_limit

    @property
    def tokens(self) -> Tokens:
        """The prompt and what was generated so far."""
        return self._buffer[: self._length]

    @property
    def output_full(self) -> bool:
        """Whether the limit of the request, or the end of the context, is reached."""
        return self._length >= self.reserve

    @property
    def text_complete(self) -> bool:
        """Whether a stop condition of the text was met."""
        return self._text.stopped is not None

    def add_token(self, token: int, *, piece: bytes, logprob: float) -> Piece | None:
        """Takes a generated token; returns the text that is certain now, if any."""
        self._buffer[self._length] = token
        self._length += 1
        return self._text.add(self._decoder.decode(piece), logprobs=(logprob,))

    def end(self, stop: StopCause) -> list[Piece | Completion]:
        """Returns what was still held back, and the summary."""
        last_character = self._text.add(self._decoder.decode(b"", final=True), tokens=0, logprobs=())
        pieces = [piece for piece in (last_character, self._text.finish()) if piece]
        completion = self._text.completion(
            prompt_tokens=len(self.request.prompt),
            cached_prompt_tokens=self.cached_prompt_tokens or 0,
            stop=stop,
        )
        return [*pieces, completion]


class Seat:
    """A generation in the context: the strand that holds its computed tokens.

    A generation that has to give up its seat for want of room computes its tokens again in
    another, and nobody notices.
    """

    def __init__(self, generation: Generation, *, strand: Strand) -> None:
        self.generation = generation
        self.strand = strand
        self.begun = False
        """Whether it has looked for tokens to share, and may compute its own."""
        self.last_turn = 0
        """Number of the last step that computed tokens of it."""

    @property
    def shares_prefix(self) -> bool:
        """Whether its tokens may serve others, and theirs it."""
        return self.generation.request.share_prefix

    @property
    def pending(self) -> int:
        """How many of its tokens are not computed yet; with exactly one it is decoding."""
        return len(self.generation.tokens) - len(self.strand)

    def next_span(self, limit: int) -> Span:
        """Returns the next tokens to compute, at most `limit`."""
        start = len(self.strand)
        tokens = self.generation.tokens[start : start + limit]
        return Span(
            sequence_id=self.strand.sequence_id,
            position=start,
            tokens=tokens,
            predicts=len(tokens) == self.pending,
        )
