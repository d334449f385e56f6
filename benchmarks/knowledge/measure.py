"""Measures how often a model is right, from passages and from memory, and writes its calibration data.

Run it as `python -m benchmarks.knowledge.measure`; README.md says what is asked and how answers are judged. It takes
some ten minutes on two cores with the packaged model. `--show` prints every answer with its verdict, which is how the
patterns of the questions were made and how they are to be checked for another model.
"""

import argparse
import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from consilience_node.engines import Completion, Engine, Message, Piece, Prompt, Role, Sampling, StopCause
from consilience_node.engines.llama_cpp.engine import LlamaCppEngine
from consilience_node.engines.llama_cpp.options import DEFAULT_MODEL, LlamaCppOptions
from consilience_node.knowledge import calibration as calibrations
from consilience_node.knowledge.calibration import ClosedBookRow, GroundedRow, read_calibration
from consilience_node.knowledge.gate import evidence_of
from consilience_node.knowledge.index import Index
from consilience_node.knowledge.prompt import grounded_prompt, grounded_sampling
from consilience_node.knowledge.retrieval import Retriever
from consilience_node.knowledge.sources import read_source
from consilience_node.knowledge.wording import echoes
from consilience_node.skills.plain import DEFAULT_SYSTEM_PROMPT

HERE = Path(__file__).parent
FOLDOC = HERE.parents[1] / "examples" / "knowledge" / "foldoc" / "foldoc.index"
CLOSED_BOOK_TOKENS = 96


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Is a question with what a right answer has, and what a right answer does not have.

    Attributes:
        id: Kind and number.
        part: Whether the rules were made with it at hand ("tuning") or not ("fresh").
        text: As it is asked.
        right: Pattern that a right answer has, in small letters; None where there is none in the source.
        wrong: Pattern that a right answer does not have.
    """

    id: str
    part: str
    text: str
    right: str | None
    wrong: str | None

    def is_answered_by(self, answer: str) -> bool:
        """Judges an answer."""
        text = answer.casefold()
        return bool(self.right and re.search(self.right, text) and not (self.wrong and re.search(self.wrong, text)))


def questions_of(path: Path) -> Iterator[Question]:
    """Reads a file of questions, one JSON object per line."""
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        yield Question(
            id=fields["id"],
            part=fields.get("part", ""),
            text=fields["question"],
            right=fields["right"],
            wrong=fields.get("wrong"),
        )


async def generated(prompt: Prompt, *, engine: Engine, sampling: Sampling) -> tuple[str, Completion]:
    """Generates to the end."""
    text = ""
    async with aclosing(engine.generate(prompt, sampling=sampling)) as items:
        async for item in items:
            match item:
                case Piece():
                    text += item.text
                case Completion():
                    return text.strip(), item
    raise RuntimeError("the engine ended without a completion")


async def grounded_rows(engine: Engine, *, part: str, show: bool) -> AsyncIterator[GroundedRow]:
    """Asks the questions of one part whose topic the dictionary has, and reports on the topic rule."""
    matched: dict[bool, list[bool]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        index = Index.open(Path(folder) / "index.sqlite", documents=read_source(str(FOLDOC)))
        retriever = Retriever(index)
        for question in questions_of(HERE / "grounded.jsonl"):
            if question.part != part:
                continue
            found = retriever.retrieve(question.text)
            matched[question.right is not None].append(found.topic.matched)
            if not found.topic.matched:
                continue
            passage = found.passages[0]
            prompt = grounded_prompt(question.text, passages=[passage])
            answer, completion = await generated(prompt, engine=engine, sampling=grounded_sampling())
            if not completion.logprobs:
                continue
            evidence = evidence_of(
                answer,
                question=question.text,
                passages=[passage],
                topic=found.topic.rule,
                logprobs=completion.logprobs,
                finished=completion.stop is not StopCause.LENGTH,
            )
            row = GroundedRow(
                id=question.id,
                topic=evidence.topic,
                mean_logprob=round(evidence.mean_logprob or 0.0, 4),
                support=round(evidence.support, 4),
                echo=evidence.echo,
                finished=evidence.finished,
                right=question.is_answered_by(answer),
            )
            if show:
                print(f"{row.model_dump_json()}\n    {question.text} => {answer}", file=sys.stderr)
            yield row
        index.close()
    for inside, verdicts in matched.items():
        print(f"topic matched for {sum(verdicts)} of {len(verdicts)} questions {'inside' if inside else 'outside'}")


async def closed_book_rows(engine: Engine, *, show: bool) -> AsyncIterator[ClosedBookRow]:
    """Asks every question of the closed-book file."""
    sampling = Sampling(max_output_tokens=CLOSED_BOOK_TOKENS)
    for question in questions_of(HERE / "closed_book.jsonl"):
        prompt = Prompt(
            messages=(
                Message(role=Role.SYSTEM, content=DEFAULT_SYSTEM_PROMPT),
                Message(role=Role.USER, content=question.text),
            )
        )
        answer, completion = await generated(prompt, engine=engine, sampling=sampling)
        if not completion.logprobs:
            continue
        row = ClosedBookRow(
            id=question.id,
            mean_logprob=round(sum(completion.logprobs) / len(completion.logprobs), 4),
            min_logprob=round(min(completion.logprobs), 4),
            token_count=len(completion.logprobs),
            echo=echoes(answer, question=question.text),
            right=question.is_answered_by(answer),
        )
        if show:
            print(f"{row.model_dump_json()}\n    {question.text} => {answer}", file=sys.stderr)
        yield row


async def measure(model: str, *, part: str, show: bool) -> bytes:
    """Measures a model and returns its calibration data, one row per line."""
    engine = LlamaCppEngine(LlamaCppOptions(model=model, generations=1, idle_tokens=0))
    await engine.start()
    try:
        grounded = [row.model_dump(mode="json") async for row in grounded_rows(engine, part=part, show=show)]
        closed_book = [row.model_dump(mode="json") async for row in closed_book_rows(engine, show=show)]
        info = engine.model
    finally:
        await engine.close()
    head = {
        "model": info.id,
        "weights_sha256": info.weights_sha256.hex(),
        "measured": f"{datetime.now(UTC):%Y-%m-%d}, benchmarks/knowledge, greedily, judged by patterns",
    }
    lines = [f" {json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    for key, rows in (("grounded", grounded), ("closed_book", closed_book)):
        lines.append(f" {json.dumps(key)}: [\n  " + ",\n  ".join(map(json.dumps, rows)) + "\n ]")
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def main() -> None:
    """Measures, writes, and says in a few lines what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name of a packaged model, or path of a GGUF file")
    parser.add_argument("--show", action="store_true", help="print every answer with its verdict")
    parser.add_argument("--part", default="fresh", help='"fresh" questions; "tuning" ones are too easy for the rules')
    packaged = Path(calibrations.__file__).parent / "calibrations" / f"{DEFAULT_MODEL}.json"
    parser.add_argument("--out", type=Path, default=packaged, help="where the calibration data goes")
    options = parser.parse_args()
    content = asyncio.run(measure(options.model, part=options.part, show=options.show))
    read_calibration(content, name=str(options.out))
    options.out.write_bytes(content)


if __name__ == "__main__":
    main()
