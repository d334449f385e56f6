"""A node with one skill of each temper, and the command line as a process of its own."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from consilience.asks import Citation, Confidence, DocumentSource, Outcome, Progress, StopReason
from consilience.identity import KeyPair
from consilience.nodes import Model
from consilience.server import Conclusion, IncomingAsk, Item, Node, RunningNode
from consilience.testing import serving_in_thread
from consilience.units import utc_now

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def running_node() -> Iterator[RunningNode]:
    model = Model(id="tiny", family="Tiny", quantization="Q4_1", engine="abacus 1.0")
    node = Node(name="glossary", key=KeyPair.generate(), models=[model])

    @node.skill(
        "glossary.define", description="Defines [terms].", domains=["bugs"], languages=["en"], model_ids=["tiny"]
    )
    async def define(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield Progress(message="looking it up")
        yield "a bug that "
        yield "disappears"
        document = DocumentSource(uri="glossary:terms", title="heisenbug", digest=b"d" * 32, retrieval_time=utc_now())
        yield Citation(origin=document)
        sure = Confidence(method="lookup", p_correct=0.75, lower=0.5, upper=0.9)
        yield Conclusion(confidence=sure, model=model)

    @node.skill("glossary.abstain")
    async def abstain(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "I do not know."
        yield Conclusion(outcome=Outcome.ABSTAINED, stop_reason=StopReason.NO_KNOWLEDGE)

    @node.skill("glossary.echo", accepts_answer_schema=True, domains=["bugs", "words"])
    async def echo(ask: IncomingAsk) -> AsyncIterator[Item]:
        yield ask.text

    @node.skill("glossary.slow")
    async def slow(_ask: IncomingAsk) -> AsyncIterator[Item]:
        yield "one moment "
        await asyncio.sleep(60)

    with serving_in_thread(node) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    home = {name: str(tmp_path / name.lower()) for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME")}
    return os.environ | home | {"COLUMNS": "120", "NO_COLOR": "1"}


@pytest.fixture
def consilience(environment: dict[str, str], tmp_path: Path) -> Run:
    """Returns a function that runs the command line to its end."""

    def run(*words: str | bytes, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "consilience"), *words]
        return subprocess.run(
            command, env=environment, cwd=tmp_path, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    return run
