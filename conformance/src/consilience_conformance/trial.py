"""A trial: a plan is carried out, within a time, and what came of it is kept even where it was broken off."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import monotonic

from consilience_conformance import __version__, node_ids
from consilience_conformance.needs import Needs
from consilience_conformance.profiles import CORE
from consilience_conformance.purses import Purse
from consilience_conformance.requirements import set_digest
from consilience_conformance.runner import Plan, Runner
from consilience_conformance.verdicts import CheckResult, Demand, RunResult, Verdict

DEFAULT_TIME_LIMIT = 600.0


class Trial:
    """One run of a plan.

    Attributes:
        plan: What is judged.
    """

    def __init__(self, plan: Plan, *, on_result: Callable[[CheckResult], None] | None = None) -> None:
        """Prepares a run; `on_result` is told of each check as it ends."""
        self.plan = plan
        self._on_result = on_result or (lambda _: None)
        self._ended: dict[str, CheckResult] = {}
        self._began = datetime.now(UTC)
        self._origin = monotonic()

    async def run(self, *, time_limit: float = DEFAULT_TIME_LIMIT) -> RunResult:
        """Carries the plan out.

        Args:
            time_limit: Seconds for all of it; what has not ended by then is untestable, and the node's fault: each
                check bears silence for a few seconds only.
        """
        try:
            async with asyncio.timeout(time_limit):
                await Runner(self.plan, on_result=self._take).run()
        except TimeoutError:
            for check in self.plan.checks:
                if check.name not in self._ended:
                    because = f"the run had reached its time limit of {time_limit:g} s"
                    scripted = Needs.SCRIPT in check.needs or self.plan.all_scripted
                    self._take(
                        CheckResult(
                            check=check.name,
                            title=check.title,
                            requirements=check.requirements,
                            verdict=Verdict.UNTESTABLE,
                            because=because,
                            mode="scripted" if scripted else "live",
                        )
                    )
        return self.so_far()

    def so_far(self) -> RunResult:
        """Returns what was judged until now, in the order of the plan."""
        plan = self.plan
        return RunResult(
            address=plan.target.address,
            node_id=node_ids.text_of(plan.target.node_id),
            node_name=plan.target.card.name,
            skill=plan.live.skill.id if plan.live else "",
            profiles=tuple(sorted(plan.profiles, key=lambda name: (name != CORE, name))),
            mode=_mode(plan),
            seed=plan.seed,
            began=self._began,
            seconds=monotonic() - self._origin,
            suite_version=__version__,
            requirements_digest=set_digest(),
            results=tuple(self._ended[check.name] for check in plan.checks if check.name in self._ended),
            demands=(*plan.demands, *_paid_for(plan.surroundings.purse)),
            spending=plan.surroundings.purse.spending,
        )

    def _take(self, result: CheckResult) -> None:
        self._ended[result.check] = result
        self._on_result(result)


def _paid_for(purse: Purse) -> Iterator[Demand]:
    """Yields what an allowance was given for and does not reach."""
    if purse.wanting:
        yield Demand(name=f"what --max-spend '{purse}' is too little for", checks=tuple(purse.wanting))


def not_begun(address: str, *, seed: int) -> RunResult:
    """Returns the result of a run that found no node to judge."""
    return RunResult(
        address=address,
        node_id="",
        node_name="",
        skill="",
        profiles=(CORE,),
        mode="live",
        seed=seed,
        began=datetime.now(UTC),
        seconds=0.0,
        suite_version=__version__,
        requirements_digest=set_digest(),
    )


def _mode(plan: Plan) -> str:
    if plan.all_scripted:
        return "scripted"
    return "live" if plan.scripted is None else "both"
