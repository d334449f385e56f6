from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count

import pytest

from consilience_node.engines import Completion, EngineUnavailable, Piece, Sampling, StopCause
from consilience_node.engines.llama_cpp.cells import CellLedger
from consilience_node.engines.llama_cpp.context import Context, Logits, NoRoom, Span
from consilience_node.engines.llama_cpp.generation import Generation, Request
from consilience_node.engines.llama_cpp.model import Model
from consilience_node.engines.llama_cpp.scheduler import Event, Scheduler, StepLimits
from consilience_node.engines.llama_cpp.token_choice import TokenChoice

SEQUENCES = 8


class CountingContext(Context):
    """A context that counts what it computes, and how often it had no room."""

    computed = 0
    refusals = 0

    def step(self, spans: Sequence[Span]) -> Logits:
        try:
            logits = super().step(spans)
        except NoRoom:
            self.refusals += 1
            raise
        self.computed += sum(len(span.tokens) for span in spans)
        return logits


class Bench:
    """A scheduler on a real context, driven step by step."""

    def __init__(self, model: Model, *, cells: int, claimed_cells: int | None, idle_cells: int) -> None:
        self.model = model
        self.context = CountingContext(model, cells=cells, sequences=SEQUENCES, batch_tokens=128, threads=1)
        self.ledger = CellLedger(
            self.context, cells=claimed_cells or self.context.cells, sequences=SEQUENCES, idle_cells=idle_cells
        )
        self.scheduler = Scheduler(
            context=self.context,
            ledger=self.ledger,
            vocabulary=model.vocabulary,
            limits=StepLimits(generations=4, batch_tokens=128, prompt_tokens_beside_decoding=16, chunk_tokens=16),
        )
        self.events: list[Event] = []
        self._ids = count(1)

    def submit(self, prompt: str, *, output: int = 8, share_prefix: bool = True) -> int:
        sampling = Sampling(max_output_tokens=output)
        request = Request(
            id=next(self._ids),
            prompt=tuple(self.model.vocabulary.encode_content(prompt)),
            sampling=sampling,
            output_limit=output,
            grammar=None,
            share_prefix=share_prefix,
        )
        self.scheduler.submit(Generation(request, choice=TokenChoice(sampling)))
        return request.id

    def step(self) -> list[Event]:
        events = self.scheduler.step()
        self.events += events
        return events

    def run(self) -> None:
        while self.scheduler.has_work:
            self.step()

    def text(self, request_id: int) -> str:
        return "".join(item.text for item in self._items(request_id) if isinstance(item, Piece))

    def completion(self, request_id: int) -> Completion:
        (completion,) = [item for item in self._items(request_id) if isinstance(item, Completion)]
        return completion

    def _items(self, request_id: int) -> list[object]:
        return [event.item for event in self.events if event.request_id == request_id]


OpenBench = Callable[..., Bench]


@pytest.fixture
def open_bench(model: Model) -> Iterator[OpenBench]:
    with ExitStack() as stack:

        def open_bench(*, cells: int = 512, claimed_cells: int | None = None, idle_cells: int = 256) -> Bench:
            bench = Bench(model, cells=cells, claimed_cells=claimed_cells, idle_cells=idle_cells)
            stack.callback(bench.context.close)
            stack.callback(bench.scheduler.close)
            return bench

        yield open_bench


def _run_one(bench: Bench, prompt: str) -> int:
    request_id = bench.submit(prompt, output=4)
    bench.run()
    return request_id


def _numbers(length: int, *, start: int = 1) -> str:
    return " ".join(str(number % 10) for number in range(start, start + length))


def test_long_prompt_never_makes_a_stream_stand_still(open_bench: OpenBench) -> None:
    bench = open_bench()
    stream = bench.submit("One, two, three,", output=40)
    bench.step()
    late = bench.submit(_numbers(60), output=1)
    while not any(event.request_id == late for event in bench.events):
        assert [event.request_id for event in bench.step() if event.request_id == stream] == [stream]


def test_short_prompt_does_not_wait_for_the_end_of_a_long_one(open_bench: OpenBench) -> None:
    bench = open_bench()
    bench.submit("One, two, three,", output=30)
    bench.step()
    long, short = bench.submit(_numbers(60), output=1), bench.submit("Why not", output=1)
    bench.run()
    order = [event.request_id for event in bench.events if isinstance(event.item, Completion)]
    assert order.index(short) < order.index(long)


def test_common_beginning_is_computed_once_even_by_prompts_that_come_at_once(open_bench: OpenBench) -> None:
    bench = open_bench(cells=1024)
    beginning = _numbers(50)
    length = len(bench.model.vocabulary.encode_content(beginning))
    ids = [bench.submit(beginning + ending, output=4) for ending in (" a cat", " the dog", " one bird")]
    bench.run()
    cached = [bench.completion(id_).cached_prompt_tokens for id_ in ids]
    assert cached[0] == 0
    assert min(cached[1:]) >= length - 1
    used = bench.ledger.cells - bench.ledger.free_cells
    assert used < 2 * length


def test_shared_beginning_does_not_change_the_answer(open_bench: OpenBench) -> None:
    prompts = ["The capital of France is", "The capital of France was"]
    texts = []
    for share_prefix in (False, True):
        bench = open_bench()
        ids = [bench.submit(prompt, output=6, share_prefix=share_prefix) for prompt in prompts]
        bench.run()
        texts.append([bench.text(id_) for id_ in ids])
    assert texts[0] == texts[1]
    assert texts[0][0] != texts[0][1]


def test_prompt_that_was_asked_before_computes_its_last_token_only(open_bench: OpenBench) -> None:
    bench = open_bench()
    first, again = [_run_one(bench, "The capital of France is") for _ in "ab"]
    assert bench.completion(again).cached_prompt_tokens == bench.completion(again).prompt_tokens - 1
    assert bench.text(again) == bench.text(first)


def test_prompt_that_may_not_share_computes_everything_and_leaves_nothing(open_bench: OpenBench) -> None:
    bench = open_bench()
    for _ in range(2):
        private = bench.submit(_numbers(20), output=2, share_prefix=False)
        bench.run()
        assert bench.completion(private).cached_prompt_tokens == 0
        assert bench.ledger.free_cells == bench.ledger.cells


def test_whoever_would_not_fit_waits_until_another_has_ended(open_bench: OpenBench) -> None:
    bench = open_bench(cells=256)
    first, second = bench.submit("One, two,", output=130), bench.submit("Red, green,", output=130)
    for _ in range(8):
        bench.step()
    assert {event.request_id for event in bench.events} == {first}
    bench.scheduler.cancel(first)
    assert {event.request_id for event in bench.step()} == {second}


def test_idle_tokens_make_room_for_new_prompts(open_bench: OpenBench) -> None:
    bench = open_bench(cells=256, idle_cells=256)
    for start in range(1, 5):
        last = bench.submit(_numbers(40, start=start), output=1)
        bench.run()
        assert bench.completion(last).stop is StopCause.LENGTH
    assert bench.ledger.free_cells < 100


def test_full_context_makes_the_latest_comer_wait_and_loses_no_token(open_bench: OpenBench) -> None:
    bench = open_bench(cells=256, claimed_cells=1024)
    prompts = [_numbers(37, start=start) for start in (1, 4, 7)]
    ids = [bench.submit(prompt, output=30) for prompt in prompts]
    bench.run()
    assert bench.context.refusals > 0
    needed, once_more = 3 * (74 + 30), 74 + 30
    assert bench.context.computed <= needed + once_more, "whoever made way waits until there is room"
    alone = open_bench()
    for id_, prompt in zip(ids, prompts, strict=True):
        assert bench.completion(id_).output_tokens == 30
        single = alone.submit(prompt, output=6)
        alone.run()
        assert bench.text(id_).startswith(alone.text(single))


def test_generation_that_cannot_fit_even_alone_fails_and_others_go_on(open_bench: OpenBench) -> None:
    bench = open_bench(cells=256, claimed_cells=1024)
    large = bench.submit(_numbers(150), output=4)
    bench.run()
    assert isinstance(bench.events[-1].item, EngineUnavailable)
    assert bench.events[-1].request_id == large
    small = bench.submit("One, two,", output=4)
    bench.run()
    assert bench.completion(small).output_tokens == 4


def test_cancelled_generations_free_their_place_at_once(open_bench: OpenBench) -> None:
    bench = open_bench()
    running, waiting = [
        [bench.submit(_numbers(5, start=start), output=50, share_prefix=False) for start in range(4)] for _ in "ab"
    ]
    bench.step()
    for request_id in (*running, *waiting):
        bench.scheduler.cancel(request_id)
    assert not bench.scheduler.has_work
    assert bench.ledger.free_cells == bench.ledger.cells
    before = bench.scheduler.tokens_generated
    bench.step()
    assert bench.scheduler.tokens_generated == before
