"""Continuous batching: which tokens of which generations make up the next step of the model.

Every step computes one token of each generation that is decoding, so that nobody's stream stands
still, and fills up with chunks of the prompts that have just come, in turn. Prompts that begin
alike compute the common beginning once: who comes later waits until it is there, and shares it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from consilience_node.engines.errors import EngineError, EngineUnavailable, SchemaUnsupported
from consilience_node.engines.interface import Completion, Piece, StopCause
from consilience_node.engines.llama_cpp.cells import CellLedger, common_prefix
from consilience_node.engines.llama_cpp.context import Context, Logits, NoRoom, Span
from consilience_node.engines.llama_cpp.generation import Generation, Seat
from consilience_node.engines.llama_cpp.token_choice import RowReader
from consilience_node.engines.llama_cpp.vocabulary import Vocabulary

_WORTH_WAITING_TOKENS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something to tell the reader of a request; a `Completion` or an error is the last one."""

    request_id: int
    item: Piece | Completion | EngineError


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLimits:
    """How much goes into one step.

    Attributes:
        generations: most generations at once.
        batch_tokens: most tokens of a step.
        prompt_tokens_beside_decoding: most prompt tokens of a step in which others decode; more
            would make their streams stutter.
        chunk_tokens: least share of a step that is worth giving to one prompt, if it has so much.
    """

    generations: int
    batch_tokens: int
    prompt_tokens_beside_decoding: int = 64
    chunk_tokens: int = 64


class Scheduler:
    """Runs any number of generations over one context; to be used by one thread only.

    Args:
        context: computes the steps.
        ledger: mirrors the context's memory.
        vocabulary: the model's tokens.
        limits: how much goes into one step.
    """

    def __init__(self, *, context: Context, ledger: CellLedger, vocabulary: Vocabulary, limits: StepLimits) -> None:
        self._context = context
        self._ledger = ledger
        self._vocabulary = vocabulary
        self._limits = limits
        self._rows = RowReader(rows=limits.generations, vocabulary=vocabulary.size)
        self._waiting: deque[Generation] = deque()
        self._seats: list[Seat] = []
        self._steps = 0
        # Set when a generation had to make way: it would only have to again until another ends.
        self._admission_held = False
        self.tokens_generated = 0
        """All tokens chosen so far."""

    @property
    def has_work(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._seats or self._waiting)

    def submit(self, generation: Generation) -> None:
        """Queues a generation; it fits the context alone."""
        self._waiting.append(generation)

    def cancel(self, request_id: int) -> None:
        """Drops a generation wherever it is; one that has ended is not known any more, and that is fine."""
        for seat in self._seats:
            if seat.generation.request.id == request_id:
                self._release(seat)
                return
        for generation in self._waiting:
            if generation.request.id == request_id:
                self._waiting.remove(generation)
                generation.choice.close()
                return

    def step(self) -> list[Event]:
        """Computes one batch and returns what came of it."""
        self._admit()
        self._begin()
        events: list[Event] = []
        while plan := self._compose():
            self._ledger.make_room(sum(len(span.tokens) for span in plan.values()))
            try:
                logits = self._context.step(list(plan.values()))
            except NoRoom:
                events += self._make_way()
                continue
            self._note_computed(plan)
            predicting = [seat for seat, span in plan.items() if span.predicts]
            return events + (self._choose(predicting, logits) if predicting else [])
        return events

    def close(self) -> None:
        """Frees what the generations hold outside the context."""
        for generation in (*self._waiting, *(seat.generation for seat in self._seats)):
            generation.choice.close()

    def _admit(self) -> None:
        """Seats those who wait, in order of arrival, as long as all can finish."""
        while self._waiting and not self._admission_held and len(self._seats) < self._limits.generations:
            generation = self._waiting[0]
            if not self._ledger.admits(generation.reserve):
                return
            strand = self._ledger.open(reserve=generation.reserve, shareable=generation.request.share_prefix)
            self._seats.append(Seat(self._waiting.popleft(), strand=strand))

    def _begin(self) -> None:
        """Lets new generations share what is computed already, or wait for what soon will be."""
        for seat in self._seats:
            if not seat.begun:
                seat.begun = not seat.shares_prefix or self._inherit(seat)

    def _inherit(self, seat: Seat) -> bool:
        """Shares the longest common beginning; False if a longer one is just being computed."""
        # The last token is always computed anew: the logits after it are wanted.
        tokens = seat.generation.tokens[:-1]
        source, length = self._ledger.longest_prefix(tokens)
        coming = (common_prefix(other.generation.tokens, tokens) for other in self._computing_prompts())
        if max(coming, default=0) >= length + _WORTH_WAITING_TOKENS:
            return False
        if source is not None:
            self._ledger.inherit(seat.strand, source=source, length=length)
        if seat.generation.cached_prompt_tokens is None:
            seat.generation.cached_prompt_tokens = length
        return True

    def _computing_prompts(self) -> list[Seat]:
        return [seat for seat in self._seats if seat.begun and seat.pending > 1 and seat.shares_prefix]

    def _compose(self) -> dict[Seat, Span]:
        """Chooses the tokens of the next step."""
        plan = {seat: seat.next_span(1) for seat in self._seats if seat.begun and seat.pending == 1}
        room = self._limits.batch_tokens - len(plan)
        if plan:
            room = min(room, self._limits.prompt_tokens_beside_decoding)
        prompts = [seat for seat in self._seats if seat.begun and seat.pending > 1]
        prompts.sort(key=lambda seat: seat.last_turn)
        chunk = max(self._limits.chunk_tokens, room // max(len(prompts), 1))
        for seat in prompts:
            if room <= 0:
                break
            span = plan[seat] = seat.next_span(min(chunk, room))
            room -= len(span.tokens)
        return plan

    def _note_computed(self, plan: dict[Seat, Span]) -> None:
        self._steps += 1
        for seat, span in plan.items():
            self._ledger.extend(seat.strand, span.tokens)
            seat.last_turn = self._steps

    def _make_way(self) -> list[Event]:
        """Frees cells after the context had none: idle strands first, then the latest comer's."""
        if self._ledger.evict():
            return []
        latest = self._seats[-1]
        if len(self._seats) == 1:
            return self._fail(latest, EngineUnavailable("the context is full, and nothing can be freed"))
        self._seats.pop()
        self._ledger.finish(latest.strand, keep=False)
        self._waiting.appendleft(latest.generation)
        self._admission_held = True
        return []

    def _choose(self, seats: list[Seat], logits: Logits) -> list[Event]:
        """Chooses the next token of each generation whose logits have just been computed."""
        likeliest = self._rows.likeliest(logits)
        normalisers = self._rows.log_normalisers(logits, likeliest=likeliest)
        events: list[Event] = []
        for row, seat in enumerate(seats):
            try:
                token = seat.generation.choice.choose(logits[row], likeliest=int(likeliest[row]))
            except SchemaUnsupported as error:
                events += self._fail(seat, error)
                continue
            logprob = min(0.0, float(logits[row, token] - normalisers[row]))
            events += self._take(seat, token, logprob=logprob)
        return events

    def _take(self, seat: Seat, token: int, *, logprob: float) -> list[Event]:
        """Adds a chosen token to its generation, and ends the generation if it is the last."""
        self.tokens_generated += 1
        if self._vocabulary.ends_answer(token):
            return self._end(seat, StopCause.END)
        generation = seat.generation
        piece = generation.add_token(token, piece=self._vocabulary.piece(token), logprob=logprob)
        events = [Event(request_id=generation.request.id, item=piece)] if piece else []
        if generation.text_complete or generation.output_full:
            events += self._end(seat, StopCause.LENGTH)
        return events

    def _end(self, seat: Seat, stop: StopCause) -> list[Event]:
        self._release(seat)
        request_id = seat.generation.request.id
        return [Event(request_id=request_id, item=item) for item in seat.generation.end(stop)]

    def _fail(self, seat: Seat, error: EngineError) -> list[Event]:
        self._release(seat)
        return [Event(request_id=seat.generation.request.id, item=error)]

    def _release(self, seat: Seat) -> None:
        """Takes a generation out of the context; what it computed may serve the next."""
        self._seats.remove(seat)
        self._ledger.finish(seat.strand, keep=True)
        seat.generation.choice.close()
        self._admission_held = False
