"""One engine, measured in a process of its own: `python -m benchmarks.generators ours|plain|xllamacpp STREAMS TOKENS`.

Prints one JSON object: tokens per second over all streams, and the time to the first text of the slowest of them. The
model is loaded, and one generation done, before the clock starts. All three get the same questions, the same greedy
choice and the same number of tokens, which is produced whatever the model would like to stop at.
"""

import argparse
import asyncio
import json
import os
import threading
import time
from typing import Any

from consilience_node.engines import Message, Prompt, Role, Sampling
from consilience_node.engines.llama_cpp import LlamaCppEngine, LlamaCppOptions
from consilience_node.engines.llama_cpp.model_files import find_model, user_cache_directory

MODEL = "smollm2-135m-instruct"
TOKENS_PER_STREAM = 512
SYSTEM = "You are a helpful assistant."

Figures = dict[str, float]


def weights() -> str:
    """Returns the path of the model that all three run."""
    return str(find_model(MODEL, cache_directory=user_cache_directory()))


def question(number: int) -> str:
    """Returns what one stream asks: all differ behind the system prompt, and none has a short answer."""
    return f"Write a very long story about the number {number}, with many chapters."


def figures(produced: int, seconds: float, firsts: list[float]) -> Figures:
    """Returns what is printed."""
    return {"tokens_per_second": produced / seconds, "slowest_first_seconds": max(firsts)}


async def ours(streams: int, tokens: int) -> Figures:
    """Measures the engine of the reference node."""
    engine = LlamaCppEngine(LlamaCppOptions(generations=streams, context_tokens=TOKENS_PER_STREAM * streams))
    await engine.start()
    sampling = Sampling(max_output_tokens=tokens)

    async def generate(number: int) -> float:
        user, system = Message(role=Role.USER, content=question(number)), Message(role=Role.SYSTEM, content=SYSTEM)
        started, first = time.perf_counter(), 0.0
        async for _ in engine.generate(Prompt(messages=(system, user)), sampling=sampling):
            first = first or time.perf_counter() - started
        return first

    try:
        await generate(0)
        before, started = engine.tokens_generated(), time.perf_counter()
        firsts = await asyncio.gather(*(generate(number) for number in range(1, streams + 1)))
        seconds = time.perf_counter() - started
        return figures(engine.tokens_generated() - before, seconds, list(firsts))
    finally:
        await engine.close()


def plain(streams: int, tokens: int) -> Figures:
    """Measures llama-cpp-python as it comes, which serves one stream at a time."""
    from llama_cpp import Llama  # noqa: PLC0415 - each process loads the one engine that it measures

    model = Llama(weights(), n_ctx=TOKENS_PER_STREAM, n_threads=os.cpu_count(), verbose=False)

    def generate(number: int) -> tuple[int, float]:
        started, first, produced = time.perf_counter(), 0.0, 0
        messages: Any = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question(number)}]
        for _ in model.create_chat_completion(messages, max_tokens=tokens, stream=True, temperature=0.0):
            first = first or time.perf_counter() - started
            produced += 1
        return produced, first

    generate(0)
    started = time.perf_counter()
    results = [generate(number) for number in range(1, streams + 1)]
    seconds = time.perf_counter() - started
    return figures(sum(produced for produced, _ in results), seconds, [first for _, first in results])


def xllamacpp(streams: int, tokens: int) -> Figures:
    """Measures a C++ server that runs in this process, with continuous batching."""
    import xllamacpp as peer  # noqa: PLC0415 - as above

    parameters = peer.CommonParams()
    parameters.model.path = weights()
    parameters.n_parallel, parameters.n_ctx = streams, TOKENS_PER_STREAM * streams
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = os.cpu_count()
    parameters.n_gpu_layers, parameters.verbosity = 0, 0
    server = peer.Server(parameters)

    def generate(number: int, firsts: list[float]) -> None:
        started, first = time.perf_counter(), [0.0]

        def note(_chunk: object) -> None:
            first[0] = first[0] or time.perf_counter() - started

        messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question(number)}]
        request = {"messages": messages, "max_tokens": tokens, "temperature": 0.0, "ignore_eos": True, "stream": True}
        server.handle_chat_completions(request, note)
        firsts.append(first[0])

    generate(0, [])
    firsts: list[float] = []
    threads = [threading.Thread(target=generate, args=(number, firsts)) for number in range(1, streams + 1)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return figures(streams * tokens, time.perf_counter() - started, firsts)


def main() -> None:
    """Measures one engine and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("engine", choices=["ours", "plain", "xllamacpp"])
    parser.add_argument("streams", type=int)
    parser.add_argument("tokens", type=int)
    arguments = parser.parse_args()
    measured: Figures
    match arguments.engine:
        case "ours":
            measured = asyncio.run(ours(arguments.streams, arguments.tokens))
        case "plain":
            measured = plain(arguments.streams, arguments.tokens)
        case _:
            measured = xllamacpp(arguments.streams, arguments.tokens)
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
