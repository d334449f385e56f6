"""The trials of the self-test: every node, healthy, with a fault or degenerate, is judged, as many at once as told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from consilience_conformance.callers import Tester
from consilience_conformance.cases import near
from consilience_conformance.peers.degenerate import Degenerate
from consilience_conformance.selftest.comparison import (
    Judged,
    degenerate_complaints,
    healthy_complaints,
    mutant_complaints,
)
from consilience_conformance.selftest.declarations import Declaration, Variant
from consilience_conformance.selftest.judging import Judge
from consilience_conformance.selftest.specimens import NodeCommand, NodeCommandError, Specimen, specimen
from consilience_conformance.verdicts import Verdict

HEALTHY = "healthy"
"""With the variant after it, the name of the trial of a node without a fault: `healthy-plain`."""

_SILENT = (None, Verdict.NOT_APPLICABLE, Verdict.NOT_TESTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How the judge did with one node.

    Attributes:
        name: Of the mutant, or of the degenerate node, or `healthy-plain` and the like.
        killed_by: The check that it is to die by; empty where there is none.
        complaints: What was not as declared, at the last try.
        wavered: What was not as declared at a try before, and was at the next: how it went was a matter of time.
        seconds: How long it took.
    """

    name: str
    killed_by: str
    complaints: tuple[str, ...]
    seconds: float
    wavered: tuple[str, ...] = ()


class Bench:
    """Where nodes are put before the judge."""

    def __init__(
        self,
        command: NodeCommand,
        *,
        folder: Path,
        jobs: int,
        seed: int = 0,
        near: bool = False,
        tries: int = 1,
        on_trial: Callable[[Trial], None],
    ) -> None:
        """Prepares the bench.

        Args:
            command: Of the reference node.
            folder: Exists, and gets a folder for each trial.
            jobs: How many trials are made at one time.
            seed: Of all chance.
            near: Whether a mutant meets the checks of its subject alone, and those that are declared to fail with it.
            tries: How often a mutant is tried at the most, until it is as declared.
            on_trial: Is told of each trial as it ends.
        """
        self.healthy: dict[Variant, Judged] = {}
        self._command = command
        self._folder = folder
        self._places = asyncio.Semaphore(jobs)
        self._near = near
        self._tries = tries
        self._on_trial = on_trial
        self._testers = Tester.at(folder / "tester.key").names
        self._issuer = self._testers[-1]
        self._bare_judge = Judge(tester_key=folder / "tester.key", seed=seed)
        self._judge = Judge(tester_key=folder / "tester.key", seed=seed, grant=folder / "grant")

    async def judge_healthy(self, variants: Iterable[Variant]) -> list[Trial]:
        """Judges nodes without a fault, the first of which gets the grant for all nodes.

        Raises:
            NodeCommandError: A healthy node does not serve: there is nothing to compare with.
        """
        first, *others = variants
        trials = [await self._judge_healthy(first, grants=True)]
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._judge_healthy(one)) for one in others]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [*trials, *(task.result() for task in running)]

    async def judge_faulty(self, declared: Iterable[Declaration], degenerate: Iterable[Degenerate]) -> list[Trial]:
        """Judges mutants and degenerate nodes, after the healthy ones."""
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(self._judge_degenerate(one)) for one in degenerate]
            running += [tasks.create_task(self._judge_mutant(one)) for one in declared]
        return [task.result() for task in running]

    async def _judge_healthy(self, variant: Variant, *, grants: bool = False) -> Trial:
        name = f"{HEALTHY}-{variant}"
        async with self._places:
            began = monotonic()
            folder = self._folder / name
            async with specimen(self._command, folder=folder, variant=variant, issuer=self._issuer) as node:
                if grants:
                    await self._let_in(node)
                judged = await self._judged(node, name=name)
            self.healthy[variant] = judged
            return self._ended(name, complaints=healthy_complaints(judged), began=began)

    async def _let_in(self, node: Specimen) -> None:
        await self._command.grant(config=node.config, testers=self._testers, file=self._folder / "grant")

    async def _judge_mutant(self, declared: Declaration) -> Trial:
        async with self._places:
            began = monotonic()
            complaints: list[str] = []
            wavered: list[str] = []
            for number in range(1, self._tries + 1):
                name = declared.name if number == 1 else f"{declared.name}-{number}"
                complaints = await self._try_mutant(declared, name=name)
                if not complaints:
                    break
                wavered += complaints
            return self._ended(
                declared.name,
                complaints=complaints,
                wavered=() if complaints else wavered,
                began=began,
                killed_by=declared.check,
            )

    async def _try_mutant(self, declared: Declaration, *, name: str) -> list[str]:
        folder = self._folder / name
        try:
            async with specimen(
                self._command, folder=folder, variant=declared.node, issuer=self._issuer, mutant=declared.name
            ) as node:
                judged = await self._judged(node, name=name, only=self._met_by(declared))
            return [*mutant_complaints(declared, judged=judged, healthy=self.healthy[declared.node])]
        except NodeCommandError as error:
            return [str(error)]

    def _met_by(self, declared: Declaration) -> tuple[str, ...]:
        """Returns the checks that a mutant meets, of those that judge the healthy node; none: all of them."""
        if not self._near:
            return ()
        said = self.healthy[declared.node].verdicts
        return tuple(name for name in (*near(declared.check), *declared.also) if said.get(name) not in _SILENT)

    async def _judge_degenerate(self, one: Degenerate) -> Trial:
        async with self._places:
            began = monotonic()
            async with one.serving() as address:
                judged = await self._bare_judge.judged(address, folder=self._folder / one.name)
            complaints = degenerate_complaints(one, judged=judged)
            return self._ended(one.name, complaints=complaints, began=began, killed_by=one.check)

    async def _judged(self, node: Specimen, *, name: str, only: Iterable[str] = ()) -> Judged:
        judge = self._judge if node.variant.has_skills else self._bare_judge
        return await judge.judged(
            node.address,
            folder=self._folder / name / "report",
            only=only,
            restart_command=node.restart_command,
            replica=node.replica,
            feed=node.feed,
            bank=node.bank,
            again=True,
        )

    def _ended(
        self,
        name: str,
        *,
        complaints: Iterable[str],
        began: float,
        wavered: Iterable[str] = (),
        killed_by: str = "",
    ) -> Trial:
        trial = Trial(
            name=name,
            killed_by=killed_by,
            complaints=tuple(complaints),
            wavered=tuple(wavered),
            seconds=monotonic() - began,
        )
        self._on_trial(trial)
        return trial
