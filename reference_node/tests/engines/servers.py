"""Servers with the OpenAI chat interface: a real one, and one that replies what it is told."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_RUNNING_ON = re.compile(r"running on (http://127\.0\.0\.1:\d+)")


@contextmanager
def llama_server(model: Path, *, log: Path, context_tokens: int = 512) -> Iterator[str]:
    """Runs llama-cpp-python's own server on a free port; yields the address of its interface."""
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", "smollm2"]
    command += ["--host", "127.0.0.1", "--port", "0", "--n_threads", "1", "--n_ctx", str(context_tokens)]
    command += ["--logits_all", "True", "--interrupt_requests", "False"]
    with log.open("w") as output, subprocess.Popen(command, stderr=output, stdout=subprocess.DEVNULL) as process:
        try:
            while not (found := _RUNNING_ON.search(log.read_text())):
                assert process.poll() is None, log.read_text()
                try:
                    process.wait(0.1)
                except subprocess.TimeoutExpired:
                    continue
            yield f"{found[1]}/v1"
        finally:
            process.terminate()
            process.wait()


@dataclass(kw_only=True)
class ToldServer:
    """A server that replies what it is told, and remembers what it was asked.

    Attributes:
        replies: raw HTTP replies by the last step of the path, one after the other; the last one
            for good. An empty one keeps the connection silent.
        requests: bodies of the requests so far, in order.
        connections: tasks that serve one connection each.
        hung_up: set when a client has gone away from a silent or unfinished reply.
    """

    replies: dict[str, list[bytes]]
    requests: list[dict[str, object]] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[asyncio.Task[object]] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serves one connection, which its task outlives only by closing it."""
        task = asyncio.current_task()
        assert task is not None
        self.connections.append(task)
        with suppress(ConnectionError):
            await self._reply(reader, writer)
            writer.close()
            await writer.wait_closed()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b"{}"
        path = head.split(b" ")[1].decode().rsplit("/", 1)[-1]
        self.requests.append(json.loads(body))
        planned = self.replies[path]
        reply = planned.pop(0) if len(planned) > 1 else planned[0]
        writer.write(reply)
        if (not reply or UNFINISHED in reply) and await reader.read() == b"":
            self.hung_up.set()


UNFINISHED = b": more will come\n\n"
MODELS = {"object": "list", "data": [{"id": "m", "max_model_len": 100, "owned_by": "us"}]}


@asynccontextmanager
async def told_server(*completions: bytes, models: bytes | None = None) -> AsyncIterator[ToldServer]:
    """Runs a server on a free port that gives these replies."""
    told = ToldServer(replies={"models": [models or reply(MODELS)], "completions": list(completions)})
    server = await asyncio.start_server(told.serve, "127.0.0.1", 0)
    told.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield told
    finally:
        server.close()
        await asyncio.gather(*told.connections)


def reply(body: object, *, status: str = "200 OK", headers: str = "") -> bytes:
    """Returns a whole JSON reply."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n{headers}\r\n".encode() + data


def stream(*events: object, end: bytes = b"data: [DONE]\n\n") -> bytes:
    """Returns a stream of events."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    return head + b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + end


def delta(text: str | None = None, *, logprobs: list[float] | None = None, finish: str | None = None) -> object:
    """Returns one event of a stream."""
    content = None if logprobs is None else {"content": [{"token": "?", "logprob": value} for value in logprobs]}
    choice = {"index": 0, "delta": {"content": text}, "logprobs": content, "finish_reason": finish}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def usage(prompt: int, output: int, *, cached: int | None = None) -> dict[str, object]:
    """Returns an event that only counts."""
    details = {} if cached is None else {"prompt_tokens_details": {"cached_tokens": cached}}
    return {"choices": [], "usage": {"prompt_tokens": prompt, "completion_tokens": output, **details}}
