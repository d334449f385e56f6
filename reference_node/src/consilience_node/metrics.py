"""Numbers for Prometheus, on an HTTP port of their own: how many asks, how they ended, how long they took.

Labels are names of skills, models, assets, outcomes and reasons: nothing that an asker wrote, and nobody who asks or
pays, is among them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from datetime import timedelta
from threading import Thread
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from consilience.asks import Outcome, StopReason, Usage
from consilience_node.engines import Completion, Engine, ModelInfo, Piece, Prompt, Sampling

_PREFIX = "consilience_node"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class NodeMetrics:
    """Counts what the node does: an observer of the server toolkit, and a meter around each engine."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._asks = self._counter("asks", "Answers that ended.", labels=("skill", "outcome", "stop_reason"))
        self._refusals = self._counter("refusals", "Calls that were refused.", labels=("method", "reason"))
        self._tokens = self._counter("tokens", "Tokens of answers that ended.", labels=("skill", "kind"))
        self._charges = self._counter("charges", "Units of the asset that were charged.", labels=("skill", "asset"))
        self._running = self._gauge("running_asks", "Asks that are being worked on.", labels=("skill",))
        self._first_delta = self._histogram("first_delta_seconds", "From acceptance to the first text.")
        self._duration = self._histogram("answer_seconds", "From acceptance to the end.")
        self._generations = self._gauge(
            "engine_generations",
            "Generations in an engine: without text yet (queued, or reading the prompt), or generating.",
            labels=("model", "state"),
        )
        self._generated = self._gauge("engine_generated_tokens", "Tokens chosen since the start.", labels=("model",))

    def accepted(self, *, skill_id: str) -> None:
        """Notes that work on an ask began."""
        self._running.labels(skill_id).inc()

    def refused(self, *, method: str, reason: str) -> None:
        """Notes that a call was refused."""
        self._refusals.labels(method, reason).inc()

    def first_delta(self, *, skill_id: str, delay: timedelta) -> None:
        """Notes how long the first text took."""
        self._first_delta.labels(skill_id).observe(delay.total_seconds())

    def finished(self, *, skill_id: str, outcome: Outcome, stop_reason: StopReason, usage: Usage) -> None:
        """Notes how an answer ended, and what it took."""
        self._running.labels(skill_id).dec()
        self._asks.labels(skill_id, outcome.name.lower(), stop_reason.name.lower()).inc()
        self._duration.labels(skill_id).observe(usage.duration.total_seconds())
        kinds = ("input_tokens", "cached_input_tokens", "output_tokens", "hidden_tokens")
        for kind in kinds:
            self._tokens.labels(skill_id, kind.removesuffix("_tokens")).inc(getattr(usage, kind))

    def charged(self, *, skill_id: str, asset: str, amount: int) -> None:
        """Notes what an answer was charged."""
        self._charges.labels(skill_id, asset).inc(amount)

    def metered(self, engine: Engine, *, model_id: str) -> Engine:
        """Returns an engine that does what the given one does, and is counted."""
        self._generated.labels(model_id).set_function(engine.tokens_generated)
        return _MeteredEngine(
            engine,
            waiting=self._generations.labels(model_id, "waiting"),
            generating=self._generations.labels(model_id, "generating"),
        )

    def _counter(self, name: str, text: str, *, labels: tuple[str, ...]) -> Counter:
        return Counter(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"{_PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str) -> Histogram:
        return Histogram(f"{_PREFIX}_{name}", text, ("skill",), registry=self.registry, buckets=_SECONDS)


@contextmanager
def serving_metrics(metrics: NodeMetrics, *, host: str, port: int) -> Iterator[int]:
    """Serves metrics over HTTP while the block runs.

    Yields:
        The port, which the system chose if `port` is 0.

    Raises:
        OSError: The address cannot be used.
    """
    server: WSGIServer
    thread: Thread
    server, thread = start_http_server(port, addr=host, registry=metrics.registry)
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _MeteredEngine:
    """Counts the generations of an engine that wait for their first text, and those that have it."""

    def __init__(self, engine: Engine, *, waiting: Gauge, generating: Gauge) -> None:
        self._engine = engine
        self._waiting = waiting
        self._generating = generating

    @property
    def model(self) -> ModelInfo:
        return self._engine.model

    @property
    def structured(self) -> bool:
        return self._engine.structured

    async def start(self) -> None:
        await self._engine.start()

    async def close(self) -> None:
        await self._engine.close()

    async def count_tokens(self, prompt: Prompt) -> int:
        return await self._engine.count_tokens(prompt)

    async def check_schema(self, json_schema: str) -> None:
        await self._engine.check_schema(json_schema)

    async def generate(self, prompt: Prompt, *, sampling: Sampling) -> AsyncGenerator[Piece | Completion, None]:
        state = self._waiting
        state.inc()
        try:
            async with aclosing(self._engine.generate(prompt, sampling=sampling)) as items:
                async for item in items:
                    if state is self._waiting:
                        state.dec()
                        state = self._generating
                        state.inc()
                    yield item
        finally:
            state.dec()

    def tokens_generated(self) -> int:
        return self._engine.tokens_generated()
