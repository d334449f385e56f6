"""What the node's engine brings: its tokens per second against plain llama-cpp-python and against a C++ server."""

import asyncio
import json
import sys

from benchmarks.pairs import Measure, Ratio, in_turn, ratio_of

TOKENS = 96
ROUNDS = 3
STREAMS = (1, 2, 4, 8)
MOST = max(STREAMS)


async def measure_engine() -> list[Ratio]:
    """Measures the engine at 1, 2, 4 and 8 streams, each generator in a process of its own."""
    ratios = []
    for streams in STREAMS:
        pairs = await in_turn(_rate("ours", streams), _rate("plain", 1), rounds=ROUNDS)
        ratios.append(
            ratio_of(
                pairs,
                name=f"engine_vs_llamacpp at {streams}",
                unit="tokens/s (llama-cpp-python: one stream)",
                goal=None,
                higher_is_better=True,
            )
        )
    pairs = await in_turn(_rate("ours", MOST), _rate("xllamacpp", MOST), rounds=ROUNDS)
    ratios.append(
        ratio_of(pairs, name="engine_vs_xllamacpp", unit=f"tokens/s at {MOST}", goal=1.0, higher_is_better=True)
    )
    pairs = await in_turn(_first("ours", MOST), _first("xllamacpp", MOST), rounds=ROUNDS)
    ratios.append(
        ratio_of(
            pairs,
            name="first_token_vs_xllamacpp",
            unit=f"s to the first text of the slowest of {MOST}",
            goal=None,
            higher_is_better=False,
        )
    )
    return ratios


def _rate(engine: str, streams: int) -> Measure:
    async def measure() -> float:
        return (await _figures(engine, streams))["tokens_per_second"]

    return measure


def _first(engine: str, streams: int) -> Measure:
    async def measure() -> float:
        return (await _figures(engine, streams))["slowest_first_seconds"]

    return measure


async def _figures(engine: str, streams: int) -> dict[str, float]:
    arguments = ["-m", "benchmarks.generators", engine, str(streams), str(TOKENS)]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the generator {engine} ended with {process.returncode}")
    measured: dict[str, float] = json.loads(printed.splitlines()[-1])
    return measured
