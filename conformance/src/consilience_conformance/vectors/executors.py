"""Runs an executor, a program in any language, over the vectors (docs/guides/run-the-vectors.md).

Example:
    report = await run_executor("./my-executor", types=["NodeIdText"])
    print(report.counts, report.exit_code)
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Sequence

from consilience_conformance import vectors
from consilience_conformance.line_protocol.handshakes import Handshake, parse_handshake
from consilience_conformance.line_protocol.lines import CommandBreach
from consilience_conformance.line_protocol.processes import Budget, CommandProcess, started
from consilience_conformance.vectors.judging import Outcome, VectorResult, judge
from consilience_conformance.vectors.questions import Question, questions
from consilience_conformance.vectors.replies import PROTOCOL, parse_reply
from consilience_conformance.vectors.report import Breach, VectorsReport

_USUAL_BUDGET = Budget()


async def run_executor(
    command: str | Sequence[str],
    *,
    files: Sequence[str] = vectors.NAMES,
    types: Collection[str] = (),
    budget: Budget = _USUAL_BUDGET,
) -> VectorsReport:
    """Asks an executor every question of some files, and judges what it answers.

    The command runs without a shell, and is killed with its process group when it breaks the protocol, when time runs
    out and when this task is cancelled.

    Args:
        command: A command line, split as a shell does, or its words.
        files: Names of files of vectors, without suffix.
        types: The types wanted, or none for all.
        budget: How long the command may take.

    Returns:
        A verdict for each test wanted. What an executor does wrong is told there and never raised.

    Raises:
        FileNotFoundError: There is no file of that name.
        VectorFileError: A file of vectors is damaged.
    """
    run = _Run(questions(files, types=types))
    begin = time.monotonic()
    try:
        async with started(command, budget=budget) as process:
            try:
                await run.drive(process, budget=budget)
            finally:
                run.process = process
    except CommandBreach as error:
        run.breach = Breach(kind=error.kind, line=error.line, message=str(error))
    return VectorsReport(
        results=run.results(),
        executor=run.executor,
        breach=run.breach,
        stderr=run.process.stderr if run.process else "",
        seconds=time.monotonic() - begin,
    )


class _Run:
    """What is known of a run while it goes on."""

    def __init__(self, wanted: Sequence[Question]) -> None:
        self._wanted = wanted
        self._judged: list[VectorResult] = []
        self.executor: Handshake | None = None
        self.breach: Breach | None = None
        self.process: CommandProcess | None = None

    async def drive(self, process: CommandProcess, *, budget: Budget) -> None:
        """Asks everything that the executor supports.

        Raises:
            CommandBreach: The executor broke the protocol.
        """
        hello = await process.exchange(_line(id=0, protocol=PROTOCOL), seconds=budget.start)
        self.executor = parse_handshake(hello, protocol=PROTOCOL, speaker="executor", offers="types")
        asked = 0
        for question in self._wanted:
            if question.type not in self.executor.offers:
                self._judged.append(VectorResult(question=question, outcome=Outcome.UNSUPPORTED))
                continue
            asked += 1
            line = _line(id=asked, type=question.type, input=dict(question.input))
            text = await process.exchange(line, seconds=budget.reply)
            reply = parse_reply(text, question_id=asked, line=process.lines)
            self._judged.append(judge(question, reply))
        await process.finish()

    def results(self) -> list[VectorResult]:
        """Returns a verdict for each question, those that were never answered included."""
        missing = self._wanted[len(self._judged) :]
        return self._judged + [VectorResult(question=left, outcome=Outcome.UNANSWERED) for left in missing]


def _line(**content: object) -> bytes:
    return json.dumps(content).encode()
