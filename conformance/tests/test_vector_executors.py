"""The judge of executors is itself judged: one that is right passes, and each broken one is caught for its fault."""

import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from conformance.tests.broken_executor import FAULTY_LINE
from consilience_conformance.line_protocol.lines import BreachKind
from consilience_conformance.line_protocol.processes import MAX_STDERR_BYTES, Budget
from consilience_conformance.vectors.executors import run_executor
from consilience_conformance.vectors.judging import Outcome
from consilience_conformance.vectors.questions import Question, questions
from consilience_conformance.vectors.report import VectorsReport
from consilience_conformance.verdicts import Exit
from scripts.machine_cache import ROOT

_RIGHT = [sys.executable, "examples/executors/python/executor.py"]
_SMALL = ["CardSelection", "EnvelopeSign"]
"""Types of few tests, for an executor that goes wrong whatever it is asked."""


@pytest.fixture(autouse=True)
def _at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def _broken(name: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "conformance.tests.broken_executor", "--broken", name, *more]


def _failed(report: VectorsReport) -> list[Question]:
    return [result.question for result in report.results if result.outcome is Outcome.FAIL]


async def test_the_python_executor_passes_every_vector() -> None:
    report = await run_executor(_RIGHT)
    assert report.exit_code is Exit.PASS
    assert report.counts[Outcome.PASS] == len(report.results) == len(questions())
    assert report.executor is not None
    assert report.executor.language == "Python"
    assert report.stderr == ""


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("accepts-everything", lambda test: not test.valid),
        ("refuses-everything", lambda test: test.valid),
        ("refuses-for-one-reason", lambda test: test.reason not in {"", "ENVELOPE_MALFORMED"}),
        ("echoes", lambda test: not test.valid or bool(test.values)),
        ("leaves-values-out", lambda test: bool(test.values)),
        ("swaps-the-digest", lambda test: "digest" in test.values),
        ("counts-in-booleans", lambda test: "winner" in test.values),
        ("malleable", lambda test: "MalleableS" in test.notes),
        ("cofactored", lambda test: "CofactoredOnly" in test.notes),
    ],
)
async def test_a_careless_executor_fails_the_vectors_of_its_fault_and_no_others(
    name: str, fails: Callable[[Question], bool]
) -> None:
    report = await run_executor(_broken(name))
    expected = [question for question in questions() if fails(question)]
    assert expected
    assert _failed(report) == expected
    assert report.breach is None
    assert report.exit_code is Exit.FAILED


@pytest.mark.parametrize(
    ("name", "kind", "line"),
    [
        ("dies", BreachKind.ENDED_EARLY, FAULTY_LINE),
        ("is-killed", BreachKind.ENDED_EARLY, FAULTY_LINE),
        ("dies-within-a-line", BreachKind.ENDED_EARLY, FAULTY_LINE),
        ("garbage", BreachKind.MALFORMED, FAULTY_LINE),
        ("no-object", BreachKind.MALFORMED, FAULTY_LINE),
        ("no-utf-8", BreachKind.MALFORMED, FAULTY_LINE),
        ("endless-number", BreachKind.MALFORMED, FAULTY_LINE),
        ("deep", BreachKind.MALFORMED, FAULTY_LINE),
        ("abyss", BreachKind.MALFORMED, FAULTY_LINE),
        ("two-verdicts", BreachKind.MALFORMED, FAULTY_LINE),
        ("no-verdict", BreachKind.MALFORMED, FAULTY_LINE),
        ("unknown-field", BreachKind.MALFORMED, FAULTY_LINE),
        ("verdict-of-another-form", BreachKind.MALFORMED, FAULTY_LINE),
        ("ten-megabytes", BreachKind.LINE_TOO_LONG, FAULTY_LINE),
        ("two-lines", BreachKind.UNASKED, FAULTY_LINE + 1),
        ("wrong-id", BreachKind.ID_WRONG, FAULTY_LINE),
        ("text-id", BreachKind.ID_WRONG, FAULTY_LINE),
        ("no-id", BreachKind.ID_WRONG, FAULTY_LINE),
        ("old", BreachKind.PROTOCOL_UNKNOWN, 1),
        ("nameless", BreachKind.MALFORMED, 1),
        ("colourful", BreachKind.MALFORMED, 1),
    ],
)
async def test_an_executor_that_breaks_the_protocol_is_told_the_line(name: str, kind: BreachKind, line: int) -> None:
    report = await run_executor(_broken(name), types=_SMALL)
    assert report.breach is not None
    assert (report.breach.kind, report.breach.line) == (kind, line), report.breach
    assert f"line {line}" in report.breach.message
    assert len(report.breach.message) < 1000
    assert report.stderr == f"broken on purpose: {name}\n"
    assert report.exit_code is Exit.UNREACHABLE
    assert report.counts[Outcome.PASS] == max(line - 2, 0)
    assert report.counts[Outcome.UNANSWERED] == len(report.results) - report.counts[Outcome.PASS]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ends-badly", BreachKind.ENDED_BADLY),
        ("says-more", BreachKind.UNASKED),
        ("goes-on", BreachKind.NOT_ENDED),
    ],
)
async def test_an_executor_that_does_not_end_well_is_no_success(name: str, kind: BreachKind) -> None:
    report = await run_executor(_broken(name), types=_SMALL, budget=Budget(end=3.0))
    assert report.counts[Outcome.PASS] == len(report.results)
    assert report.breach is not None
    assert report.breach.kind is kind
    assert report.exit_code is Exit.UNREACHABLE


@pytest.mark.parametrize(
    ("budget", "limit"), [(Budget(reply=3.0), "within 3 s"), (Budget(whole=3.0), "within the 3 s of the whole run")]
)
async def test_a_late_executor_is_killed_with_its_children(tmp_path: Path, budget: Budget, limit: str) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    command = _broken("is-late", "--alive", str(alive))
    # The FIFO comes to its end only when every process that holds it is gone.
    report, _ = await asyncio.gather(
        run_executor(command, types=_SMALL, budget=budget), asyncio.to_thread(alive.read_bytes)
    )
    assert report.breach is not None
    assert report.breach.kind is BreachKind.SILENT
    assert report.breach.message.endswith(limit)
    assert report.exit_code is Exit.UNREACHABLE


async def test_a_command_that_says_nothing_is_not_waited_for() -> None:
    report = await run_executor("sleep 60", budget=Budget(start=0.2))
    assert report.breach is not None
    assert (report.breach.kind, report.breach.line) == (BreachKind.SILENT, 1)
    assert report.executor is None


async def test_a_run_that_is_cancelled_ends_its_command(tmp_path: Path) -> None:
    alive = tmp_path / "alive"
    os.mkfifo(alive)
    run = asyncio.create_task(run_executor(_broken("is-late", "--alive", str(alive)), types=_SMALL))
    reader = await asyncio.to_thread(alive.open, "rb")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    with reader:
        assert await asyncio.to_thread(reader.read) == b""


@pytest.mark.parametrize(
    ("command", "why"),
    [
        ("", "it is empty"),
        ("'", "No closing quotation"),
        ("./no-such-executor", "No such file"),
        ("/", "Permission denied"),
        (["a\0b"], "null byte"),
    ],
)
async def test_a_command_that_cannot_be_started_is_told(command: str | list[str], why: str) -> None:
    report = await run_executor(command)
    assert report.breach is not None
    assert report.breach.kind is BreachKind.NOT_STARTED
    assert why in report.breach.message
    assert report.exit_code is Exit.UNREACHABLE


async def test_a_command_that_is_no_executor_is_told() -> None:
    report = await run_executor("true")
    assert report.breach is not None
    assert (report.breach.kind, report.breach.line) == (BreachKind.ENDED_EARLY, 1)


async def test_much_on_standard_error_neither_blocks_nor_is_kept() -> None:
    loud = f"import sys; sys.stderr.write('x' * {8 << 20}); sys.stderr.flush(); import runpy; runpy.run_path"
    report = await run_executor([sys.executable, "-c", f"{loud}({_RIGHT[1]!r}, run_name='__main__')"], types=_SMALL)
    assert report.exit_code is Exit.PASS
    assert len(report.stderr) == MAX_STDERR_BYTES


async def test_no_test_is_no_success() -> None:
    report = await run_executor(_RIGHT, types=["NoSuchType"])
    assert report.results == []
    assert report.exit_code is Exit.TOO_LITTLE


async def test_a_type_that_is_wanted_and_not_supported_is_no_success() -> None:
    report = await run_executor(_broken("knows-node-ids-only"), types=["NodeIdText", "CardCheck"])
    assert report.counts[Outcome.PASS] == 31
    assert report.counts[Outcome.UNSUPPORTED] == 20
    assert report.unsupported_types == ["CardCheck"]
    assert report.exit_code is Exit.TOO_LITTLE


async def test_a_type_that_is_not_wanted_need_not_be_supported() -> None:
    report = await run_executor(_broken("knows-node-ids-only"), types=["NodeIdText"])
    assert report.exit_code is Exit.PASS


async def test_an_executor_that_takes_back_what_it_supports_is_no_success() -> None:
    report = await run_executor(_broken("supports-nothing-after-all"), types=_SMALL)
    assert report.counts[Outcome.UNSUPPORTED] == len(report.results)
    assert report.exit_code is Exit.TOO_LITTLE
