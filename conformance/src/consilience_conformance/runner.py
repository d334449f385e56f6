"""The runner: drives checks at a node, as many at a time as it bears, and judges what came of them.

Checks form a tree: one whose prerequisite failed is not driven, and says by which it is blocked. Budgets are measured
on the node at hand, so that a slow machine is not taken for a silent one.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from random import Random
from time import monotonic
from typing import TYPE_CHECKING

from consilience.v1 import node_pb2
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance.callers import Caller
from consilience_conformance.checks import Check
from consilience_conformance.following.feeds import served_feed
from consilience_conformance.needs import Needs, NotAllowedError, NotApplicableError, NotLentError, UntestableError
from consilience_conformance.peers.bank_conducts import Honest
from consilience_conformance.peers.banks import Bank
from consilience_conformance.profiles import PROBES, declared_profiles
from consilience_conformance.purses import BANK_RAIL, bank_rail, escrow_issuers, offers, why_unpaid
from consilience_conformance.requirements import requirements
from consilience_conformance.silence import Silence
from consilience_conformance.stage import Stage
from consilience_conformance.subjects import SCRIPT_SKILL, Subject
from consilience_conformance.surroundings import Surroundings
from consilience_conformance.tabs import Tabs
from consilience_conformance.targets import Target
from consilience_conformance.transcripts import Ended, Transcript
from consilience_conformance.verdicts import CheckResult, Demand, Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MIN_BUDGET_SECONDS, MAX_BUDGET_SECONDS = 10.0, 20.0
BUDGET_ROUND_TRIPS = 500
"""A call is given up after as many round trips as this without a message, within these bounds."""
MOST_SILENCE_SECONDS = 60.0
"""A node that has been silent for so long in all is judged no further: it hangs."""

MOST_RUN_BYTES = 512 * 1024 * 1024
"""A node that has sent so much in all is judged no further: a run keeps what it reads."""

MAX_AT_ONCE = 12

_PROCEED = frozenset({Verdict.PASS, Verdict.WARN})
_WITHOUT = {
    Needs.SCRIPT: "needs the skill conformance.script and a grant for it: --grant FILE",
    Needs.RESTART: "needs a command that restarts the node: --restart COMMAND",
    Needs.REPLICA: "needs the address of a second replica: --replica ADDRESS",
    Needs.FEED: "needs an address at which the node follows the judge as a registry: --feed HOST:PORT",
    Needs.BANK: "needs the address at which the judge plays the bank of the node: --bank HOST:PORT",
    Needs.ESCROW: "needs a key of the tester among the issuers of a rail: see `consilience-conformance tester`",
}

_NO_SUBJECT = Subject(skill=node_pb2.Skill(), question="")
"""What checks that ask nothing get where there is nothing to be asked."""
_NOTHING_TO_ASK = "no free skill of the node reads plain text: --skill NAME, or a script with --grant FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be judged, and with what.

    Attributes:
        target: The node.
        checks: In the order of the report; what each comes `after` is among them.
        profiles: Those that are judged.
        live: What is asked where it does not matter what is answered, or None: the script.
        priced: What is asked live where an answer has to cost something, or None: the script.
        scripted: The scripted skill, or None: it is out of scope.
        grant: Opens it.
        testers: The callers that the grant names.
        surroundings: Restarts, replicas, feeds, banks: what the operator lends.
        seed: Of all chance.
        demands: What was asked for by name.
        served: Profiles that the node serves, as a call told, though its card may not declare them.
    """

    target: Target
    checks: Sequence[Check]
    profiles: frozenset[str]
    live: Subject | None
    scripted: Subject | None
    priced: Subject | None = None
    grant: SignedEnvelope | None = None
    testers: Sequence[Caller] = ()
    surroundings: Surroundings = field(default_factory=Surroundings)
    seed: int = 0
    demands: tuple[Demand, ...] = ()
    served: frozenset[str] = frozenset()

    @property
    def all_scripted(self) -> bool:
        """Whether scripts are asked where it does not matter what is answered."""
        return self.live is None and self.scripted is not None


class Runner:
    """One run."""

    def __init__(self, plan: Plan, *, on_result: Callable[[CheckResult], None] | None = None) -> None:
        """Prepares a run; `on_result` is told of each check as it ends."""
        self._plan = plan
        self._on_result = on_result or (lambda _: None)
        self._results: dict[str, asyncio.Future[CheckResult]] = {}
        self._places = asyncio.Semaphore(self.at_once)
        self._testers: asyncio.Queue[Caller] = asyncio.Queue()
        for tester in plan.testers:
            self._testers.put_nowait(tester)
        self._budget = MIN_BUDGET_SECONDS
        self._silence = Silence()
        self._first_silent = ""
        self._received_bytes = 0
        self._judges = ThreadPoolExecutor(max_workers=1, thread_name_prefix="judges")
        self._surroundings = plan.surroundings

    @property
    def at_once(self) -> int:
        """How many checks run at one time: half as many as the asks on which the card says that the node works."""
        limit = self._plan.target.card.limits.max_running_asks or 2 * MAX_AT_ONCE
        return max(1, min(MAX_AT_ONCE, limit // 2))

    async def run(self) -> tuple[CheckResult, ...]:
        """Runs all checks and returns their results, in the order of the plan; once.

        Raises:
            PlaceError: The registry that the node is to follow, or its bank, cannot be played.
        """
        try:
            async with AsyncExitStack() as lent:
                if address := self._plan.surroundings.feed:
                    feed = await lent.enter_async_context(served_feed(address))
                    self._surroundings = replace(self._surroundings, followed=feed)
                if address := self._plan.surroundings.bank:
                    bank = Bank(Honest())
                    await lent.enter_async_context(bank.serving(address))
                    self._surroundings = replace(self._surroundings, played=bank)
                return await self._run()
        finally:
            # A run that was broken off does not wait for a judge that still thinks.
            self._judges.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> tuple[CheckResult, ...]:
        loop = asyncio.get_running_loop()
        self._results = {check.name: loop.create_future() for check in self._plan.checks}
        self._budget = await self._measured_budget()
        together = [check for check in self._plan.checks if not check.alone]
        async with asyncio.TaskGroup() as tasks:
            for check in together:
                tasks.create_task(self._conclude(check))
        for check in self._plan.checks:
            if check.alone:
                await self._conclude(check)
        return tuple([await self._results[check.name] for check in self._plan.checks])

    async def _measured_budget(self) -> float:
        began = monotonic()
        async with self._plan.target.transport.channel() as channel:
            # One that cannot be connected to any more is told by the first check.
            with suppress(TimeoutError):
                async with asyncio.timeout(MAX_BUDGET_SECONDS):
                    await channel.channel_ready()
        measured = BUDGET_ROUND_TRIPS * (monotonic() - began)
        return min(max(MIN_BUDGET_SECONDS, measured), MAX_BUDGET_SECONDS)

    async def _conclude(self, check: Check) -> None:
        result = await self._result(check)
        self._results[check.name].set_result(result)
        self._on_result(result)

    async def _result(self, check: Check) -> CheckResult:
        if out_of_scope := self._out_of_scope(check):
            return out_of_scope
        for name in check.after:
            before = await self._results[name]
            if before.verdict in _PROCEED:
                continue
            if before.verdict in {Verdict.NOT_TESTED, Verdict.NOT_APPLICABLE}:
                self._leave_out(check, like=name)
                return _undriven(check, before.verdict, because=before.because)
            return _undriven(
                check, Verdict.UNTESTABLE, because=f"blocked by {name}", blocked_by=before.blocked_by or name
            )
        async with self._places:
            if self._silence.seconds > MOST_SILENCE_SECONDS:
                because = f"the node had been silent for more than {MOST_SILENCE_SECONDS:g} s in all"
                return _undriven(check, Verdict.UNTESTABLE, because=because, blocked_by=self._first_silent)
            if self._received_bytes > MOST_RUN_BYTES:
                because = f"the node had sent more than {MOST_RUN_BYTES // 1024**2} MiB in all"
                return _undriven(check, Verdict.UNTESTABLE, because=because)
            result = await self._driven(check)
            if result.transcript is not None:
                self._received_bytes += result.transcript.received_bytes
                if _met_silence(result.transcript):
                    self._first_silent = self._first_silent or check.name
            return result

    def _leave_out(self, check: Check, *, like: str) -> None:
        """Takes note of a check that rests on one for which too little money was left, and needs no less itself."""
        wanting = self._plan.surroundings.purse.wanting
        if like in wanting:
            wanting[check.name] = wanting[like] if check.asks else 0

    def _out_of_scope(self, check: Check) -> CheckResult | None:
        """Returns the result of a check that this run does not make, whatever the others say; None: it makes it."""
        if check.profile not in self._plan.profiles:
            if check.profile in {*declared_profiles(self._plan.target.card), *self._plan.served}:
                because = f"the run leaves the profile {check.profile} out: see --profile"
                return _undriven(check, Verdict.NOT_TESTED, because=because)
            because = f"the card does not declare {check.profile}"
            because += ", and the node does not serve it" if check.profile in PROBES else ""
            return _undriven(check, Verdict.NOT_APPLICABLE, because=because)
        if check.asks and self._plan.live is None and self._plan.scripted is None:
            if not self._plan.target.card.skills:
                return _undriven(check, Verdict.NOT_APPLICABLE, because="the card offers no skill")
            return _undriven(check, Verdict.NOT_TESTED, because=_NOTHING_TO_ASK)
        if Needs.ESCROW in check.needs and not escrow_issuers(self._plan.target.card):
            return _undriven(check, Verdict.NOT_APPLICABLE, because="no rail of the card takes holds in escrow")
        if Needs.BANK in check.needs and bank_rail(self._plan.target.card) is None:
            because = f"no rail of the card is {BANK_RAIL}"
            return _undriven(check, Verdict.NOT_APPLICABLE, because=because)
        if missing := self._missing(check):
            return _undriven(check, Verdict.NOT_TESTED, because=missing)
        if Needs.PRICE in check.needs and self._priced(check) is None:
            return self._unpaid(check)
        return None

    def _missing(self, check: Check) -> str:
        """Returns what the scope of the run lacks for a check, or nothing."""
        have = self._plan.surroundings.offered
        if self._plan.scripted is not None:
            have |= Needs.SCRIPT
        if self._issuer is not None:
            have |= Needs.ESCROW
        return "; ".join(words for need, words in _WITHOUT.items() if need in check.needs and need not in have)

    @property
    def _issuer(self) -> Caller | None:
        """The key of the tester whose holds the node takes in escrow, or None."""
        issuers = escrow_issuers(self._plan.target.card)
        return next((one for one in self._plan.testers if one.key in issuers), None)

    def _priced(self, check: Check) -> Subject | None:
        """Returns what a check pays for: the priced skill, or the script, where that is needed or all there is."""
        scripted, purse = self._plan.scripted, self._plan.surroundings.purse
        if scripted is not None and not offers(self._plan.target.card, scripted.skill, purse=purse):
            scripted = None
        return scripted if Needs.SCRIPT in check.needs else self._plan.priced or scripted

    def _unpaid(self, check: Check) -> CheckResult:
        """Returns the result of a check for which there is nothing that the run may pay for."""
        card = self._plan.target.card
        costly = [skill for skill in card.skills if skill.tariff_ids]
        if Needs.SCRIPT in check.needs:
            costly = [skill for skill in costly if skill.id == SCRIPT_SKILL]
        if not costly:
            because = f"no {'script' if Needs.SCRIPT in check.needs else 'skill'} of the card costs anything"
            return _undriven(check, Verdict.NOT_APPLICABLE, because=because)
        return _undriven(
            check, Verdict.NOT_TESTED, because=why_unpaid(card, costly[0], purse=self._plan.surroundings.purse)
        )

    async def _driven(self, check: Check) -> CheckResult:
        transcript = Transcript(check=check.name)
        began = monotonic()
        verdict, because = Verdict.PASS, ""
        findings: tuple[Finding, ...] = ()
        scripted = self._is_scripted(check)
        try:
            async with self._staged(check, transcript=transcript, scripted=scripted) as stage:
                await check.drive(stage)
            findings = await self._findings(check, transcript)
            if findings:
                verdict = _verdict_of(findings)
        except NotApplicableError as reason:
            verdict, because = Verdict.NOT_APPLICABLE, str(reason)
        except NotLentError as reason:
            verdict, because = Verdict.NOT_TESTED, str(reason)
            if isinstance(reason, NotAllowedError):
                self._plan.surroundings.purse.wanting[check.name] = reason.needed
        except UntestableError as reason:
            verdict, because = Verdict.UNTESTABLE, str(reason)
        except Exception:  # noqa: BLE001 - a fault of ours is a verdict of its own, never one about the node
            verdict, because = Verdict.SUITE_ERROR, traceback.format_exc(limit=-4)
        return CheckResult(
            check=check.name,
            title=check.title,
            requirements=check.requirements,
            verdict=verdict,
            findings=findings,
            because=because,
            mode="scripted" if scripted else "live",
            seconds=monotonic() - began,
            transcript=transcript,
        )

    async def _findings(self, check: Check, transcript: Transcript) -> tuple[Finding, ...]:
        """Lets a judge think in the thread of the judges: other checks wait for their node meanwhile, not for it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._judges, lambda: tuple(check.judge(transcript)))

    def _is_scripted(self, check: Check) -> bool:
        if Needs.PRICE in check.needs:
            return Needs.SCRIPT in check.needs or self._plan.priced is None
        return Needs.SCRIPT in check.needs or self._plan.all_scripted

    def _subject(self, check: Check, *, scripted: bool) -> Subject | None:
        if Needs.PRICE in check.needs:
            return self._priced(check)
        return self._plan.scripted if scripted else self._plan.live

    @asynccontextmanager
    async def _staged(self, check: Check, *, transcript: Transcript, scripted: bool) -> AsyncIterator[Stage]:
        subject = self._subject(check, scripted=scripted)
        if subject is None and check.asks:
            raise UntestableError("the node has no skill that can be asked")
        random = Random(f"{self._plan.seed} {check.name}")  # noqa: S311 - nothing is kept secret by it
        async with AsyncExitStack() as stack:
            if scripted:
                callers = [await self._testers.get() for _ in range(check.callers)]
                for caller in callers:
                    stack.callback(self._testers.put_nowait, caller)
            else:
                callers = [Caller.new() for _ in range(check.callers)]
            stage = Stage(
                target=self._plan.target,
                subject=subject or _NO_SUBJECT,
                callers=callers,
                grant=self._plan.grant,
                random=random,
                budget=self._budget,
                transcript=transcript,
                surroundings=self._surroundings,
                silence=self._silence,
                issuer=self._issuer,
            )
            stack.push_async_callback(stage.close)
            if check.asks and Needs.PRICE not in check.needs and stage.subject.costs:
                stage.tabs = await Tabs().opened_at(stage)
            yield stage


def _met_silence(transcript: Transcript) -> bool:
    return any(exchange.ended is Ended.SILENCE for exchange in transcript.exchanges)


def _verdict_of(findings: Sequence[Finding]) -> Verdict:
    broken = any(requirements()[finding.requirement].is_must for finding in findings)
    return Verdict.FAIL if broken else Verdict.WARN


def _undriven(check: Check, verdict: Verdict, *, because: str, blocked_by: str = "") -> CheckResult:
    return CheckResult(
        check=check.name,
        title=check.title,
        requirements=check.requirements,
        verdict=verdict,
        because=because,
        blocked_by=blocked_by,
        mode="scripted" if Needs.SCRIPT in check.needs else "live",
    )
