"""The report of a run of an executor over the vectors: verdicts, what was not run, and the exit code."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from consilience_conformance.line_protocol.handshakes import Handshake
from consilience_conformance.line_protocol.lines import BreachKind
from consilience_conformance.vectors.judging import Outcome, VectorResult
from consilience_conformance.verdicts import Exit


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """How the executor broke the protocol between it and the suite.

    Attributes:
        kind: In what way.
        line: The line of its output, from 1; 0 where it wrote none.
        message: What happened, for people.
    """

    kind: BreachKind
    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorsReport:
    """What came of a run.

    Attributes:
        results: One for each test of the files and types wanted, in their order.
        executor: Who answered, or None where nobody did.
        breach: Why the run ended early, or None.
        stderr: The end of what the command wrote to standard error.
        seconds: How long it took.
    """

    results: Sequence[VectorResult]
    executor: Handshake | None
    breach: Breach | None
    stderr: str
    seconds: float

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many tests had each outcome."""
        found = Counter(result.outcome for result in self.results)
        return {outcome: found[outcome] for outcome in Outcome}

    @property
    def unsupported_types(self) -> list[str]:
        """The types that were wanted and that the executor does not say it supports."""
        supported = self.executor.offers if self.executor else ()
        wanted = dict.fromkeys(result.question.type for result in self.results)
        return [name for name in wanted if self.executor and name not in supported]

    @property
    def exit_code(self) -> Exit:
        """The exit code: 0 only where every test wanted was run and passed, and there was one."""
        counts = self.counts
        if self.breach:
            return Exit.UNREACHABLE
        if counts[Outcome.FAIL]:
            return Exit.FAILED
        return Exit.PASS if 0 < counts[Outcome.PASS] == len(self.results) else Exit.TOO_LITTLE

    def to_json(self) -> dict[str, Any]:
        """Returns the report as JSON."""
        return {
            "exitCode": int(self.exit_code),
            "executor": asdict(self.executor) if self.executor else None,
            "breach": asdict(self.breach) if self.breach else None,
            "seconds": round(self.seconds, 3),
            "counts": self.counts,
            "unsupportedTypes": self.unsupported_types,
            "stderr": self.stderr,
            "tests": [_result_json(result) for result in self.results],
        }


def _result_json(result: VectorResult) -> dict[str, Any]:
    question = result.question
    content = {
        "file": question.file,
        "tcId": question.number,
        "type": question.type,
        "comment": question.comment,
        "flags": list(question.notes),
        "outcome": result.outcome,
    }
    said = {"expected": result.expected, "got": result.got, "executorComment": result.comment}
    return content | {name: text for name, text in said.items() if text}
