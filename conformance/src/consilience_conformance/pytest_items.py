"""The tests that the pytest plugin adds: one for each check, all of one run."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from consilience_conformance.cases import all_checks
from consilience_conformance.checks import Check
from consilience_conformance.cli.commands import NOT_JUDGED
from consilience_conformance.cli.run import again
from consilience_conformance.cli.terminal import result_lines
from consilience_conformance.cli.tester import DEFAULT_KEY_FILE
from consilience_conformance.planning import Order, prepare
from consilience_conformance.report.summary import Report
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.trial import Trial
from consilience_conformance.verdicts import RunResult, Verdict


def check_items(session: pytest.Session) -> Iterable[pytest.Item]:
    """Returns the tests of the node that the options name.

    Raises:
        pytest.UsageError: The node is not reached, or not prepared.
    """
    option = session.config.getoption
    order = Order(
        address=option("--consilience-node"),
        tester_key=option("--consilience-tester-key") or DEFAULT_KEY_FILE,
        skill=option("--consilience-skill"),
        grant=option("--consilience-grant"),
        surroundings=Surroundings(
            restart_command=option("--consilience-restart"),
            replica=option("--consilience-replica"),
            feed=option("--consilience-feed"),
            bank=option("--consilience-bank"),
        ),
        seed=option("--consilience-seed"),
    )
    return SharedRun.from_parent(session, name="consilience", nodeid="consilience", order=order).collect()


def nothing_was_judged(items: Iterable[pytest.Item]) -> bool:
    """Tells whether checks were run, and all of them skipped."""
    ran = [item.judged for item in items if isinstance(item, CheckItem) and item.judged is not None]
    return bool(ran) and not any(ran)


class BreachError(Exception):
    """A check that did not pass; its text is what the terminal would show."""


class SharedRun(pytest.Collector):
    """The one run in which all tests share: the first of them begins it, and it judges only what was selected."""

    def __init__(self, *, order: Order, **others: Any) -> None:  # noqa: ANN401 - pytest's own
        super().__init__(**others)
        self._order = order
        self._report: Report | None = None

    def collect(self) -> Iterable[CheckItem]:
        """Returns a test for each check, if there is a node to be judged."""
        try:
            asyncio.run(prepare(self._order))
        except NOT_JUDGED as error:
            raise pytest.UsageError(f"the node cannot be judged: {error}") from error
        return [CheckItem.from_parent(self, name=check.name, check=check) for check in all_checks()]

    def report(self) -> Report:
        """Returns what the run found."""
        if self._report is None:
            names = tuple(item.name for item in self.session.items if item.parent is self)
            order = replace(self._order, only=names)
            self._report = Report(run=asyncio.run(_run(order)), command=again(order), only=names)
        return self._report


class CheckItem(pytest.Item):
    """One check.

    Attributes:
        judged: Whether the node was judged by it; None before it ran.
    """

    def __init__(self, *, check: Check, **others: Any) -> None:  # noqa: ANN401 - pytest's own
        super().__init__(**others)
        self.judged: bool | None = None
        self._check = check

    def runtest(self) -> None:
        """Fails as the check failed, and is skipped where it was not judged."""
        shared = self.parent
        if not isinstance(shared, SharedRun):
            raise TypeError("a check is collected by a run")
        report = shared.report()
        result = next(one for one in report.run.results if one.check == self.name)
        self.judged = result.verdict not in {Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE}
        if not self.judged:
            pytest.skip(f"{result.verdict}: {result.because}")
        text = "\n".join(click.unstyle(line) for line in result_lines(result, report=report))
        if result.verdict is Verdict.WARN:
            self.add_report_section("call", "conformance", text)
        elif result.verdict is not Verdict.PASS:
            raise BreachError(text)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401 - pytest's own
        """Returns what the check found, without a stack trace, which would show the suite and not the node."""
        return str(excinfo.value) if isinstance(excinfo.value, BreachError) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Returns what stands over a failure: the title of the check."""
        return self.path, None, f"{self.name}: {self._check.title}"


async def _run(order: Order) -> RunResult:
    return await Trial(await prepare(order)).run()
