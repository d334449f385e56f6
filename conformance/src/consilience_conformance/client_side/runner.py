"""The runner of client checks: one after the other with one adapter, which is started again when it breaks off."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random
from time import monotonic

from consilience_conformance import __version__
from consilience_conformance.client_side.adapters import Adapter, running
from consilience_conformance.client_side.checks import PAY, REGISTRY, ClientCheck
from consilience_conformance.client_side.stage import ClientStage
from consilience_conformance.line_protocol.handshakes import Handshake
from consilience_conformance.line_protocol.lines import CommandBreach
from consilience_conformance.needs import NotApplicableError, UntestableError
from consilience_conformance.profiles import CORE
from consilience_conformance.requirements import requirements, set_digest
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import CheckResult, Demand, Finding, RunResult, Verdict

_PROFILES = (PAY, REGISTRY)
"""What a client may be besides: capabilities that are profiles of the specification."""
_PROCEED = frozenset({Verdict.PASS, Verdict.WARN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is asked for.

    Attributes:
        command: Starts the adapter; split as a shell does.
        checks: In the order of the report; what each comes `after` stands before it.
        seed: Of all chance.
        demands: What was asked for by name.
    """

    command: str
    checks: Sequence[ClientCheck]
    seed: int = 0
    demands: tuple[Demand, ...] = ()


async def judge_client(order: Order, *, on_result: Callable[[CheckResult], None] | None = None) -> RunResult:
    """Judges a client.

    Raises:
        CommandBreach: The adapter does not start, or does not shake hands.
    """
    async with AsyncExitStack() as stack:
        run = _Run(order, stack=stack)
        await run.start()
        for check in order.checks:
            result = await run.conclude(check)
            if on_result is not None:
                on_result(result)
        await run.finish()
    return run.result()


def not_begun(order: Order) -> RunResult:
    """Returns the result of a run whose adapter did not start."""
    return _Run(order, stack=AsyncExitStack()).result()


class _Run:
    """One run while it goes on."""

    def __init__(self, order: Order, *, stack: AsyncExitStack) -> None:
        self._order = order
        self._stack = stack
        self._adapter: Adapter | None = None
        self._client: Handshake | None = None
        self._results: dict[str, CheckResult] = {}
        self._began = datetime.now(UTC)
        self._origin = monotonic()

    async def start(self) -> None:
        """Starts the adapter."""
        await self._stack.aclose()
        self._adapter = await self._stack.enter_async_context(running(self._order.command))
        self._client = self._adapter.client

    async def finish(self) -> None:
        """Ends the adapter, which has to end by itself; one that does not has broken off the last check."""
        if self._adapter is None:
            return
        try:
            await self._adapter.finish()
        except CommandBreach as breach:
            name = next(reversed(self._results))
            check = next(check for check in self._order.checks if check.name == name)
            self._results[name] = _result(check, Verdict.UNTESTABLE, because=f"at the end of the run, {breach}")

    async def conclude(self, check: ClientCheck) -> CheckResult:
        """Runs one check, unless what it rests on is missing."""
        result = self._barred(check) or await self._driven(check)
        self._results[check.name] = result
        return result

    def result(self) -> RunResult:
        """Returns what the run found."""
        client = self._client
        return RunResult(
            address=self._order.command,
            node_id="",
            node_name=f"{client.name} ({client.language})" if client else "",
            skill="",
            profiles=self._profiles,
            mode="live",
            seed=self._order.seed,
            began=self._began,
            seconds=monotonic() - self._origin,
            suite_version=__version__,
            requirements_digest=set_digest(),
            results=tuple(self._results[check.name] for check in self._order.checks if check.name in self._results),
            demands=self._order.demands,
            role="client",
        )

    @property
    def _profiles(self) -> tuple[str, ...]:
        """The profiles that the client is of: what it is not made for is no fault of it."""
        offers = self._client.offers if self._client is not None else ()
        return (CORE, *(profile for profile in _PROFILES if profile in offers))

    def _barred(self, check: ClientCheck) -> CheckResult | None:
        for name in check.after:
            before = self._results[name]
            if before.verdict not in _PROCEED:
                return _result(
                    check, Verdict.UNTESTABLE, because=f"blocked by {name}", blocked_by=before.blocked_by or name
                )
        supports = self._client.offers if self._client else ()
        first = requirements()[check.requirements[0]]
        others = [name for name in (first.profile, *check.needs) if name in _PROFILES and name not in self._profiles]
        if others:
            because = f"the adapter does not support {others[0]}"
            return _result(check, Verdict.NOT_APPLICABLE, because=because)
        missing = [need for need in check.needs if need not in supports]
        if missing:
            # The first is what the check is about; of the others it says something along the way.
            verdict = Verdict.UNTESTABLE if first.is_must else Verdict.NOT_TESTED
            return _result(check, verdict, because=f"the adapter does not support {', '.join(missing)}")
        return None

    async def _driven(self, check: ClientCheck) -> CheckResult:
        transcript = Transcript(check=check.name)
        began = monotonic()
        verdict, because = Verdict.PASS, ""
        findings: tuple[Finding, ...] = ()
        try:
            await self._drive(check, transcript)
            findings = await self._findings(check, transcript)
            if findings:
                verdict = _verdict_of(findings)
        except NotApplicableError as reason:
            verdict, because = Verdict.NOT_APPLICABLE, str(reason)
        except UntestableError as reason:
            verdict, because = Verdict.UNTESTABLE, str(reason)
        except CommandBreach as breach:
            verdict, because = Verdict.UNTESTABLE, f"the adapter broke off ({breach.kind}): {breach}"
            self._adapter = None
        except Exception:  # noqa: BLE001 - a fault of ours is a verdict of its own, never one about the client
            verdict, because = Verdict.SUITE_ERROR, traceback.format_exc(limit=-4)
        return _result(
            check,
            verdict,
            because=because,
            findings=findings,
            seconds=monotonic() - began,
            transcript=transcript,
        )

    async def _findings(self, check: ClientCheck, transcript: Transcript) -> tuple[Finding, ...]:
        """Lets a judge think in a thread: the nodes of other runs answer meanwhile, and their clients do not wait."""
        return await asyncio.to_thread(lambda: tuple(check.judge(transcript)))

    async def _drive(self, check: ClientCheck, transcript: Transcript) -> None:
        if self._adapter is None:
            await self.start()
        assert self._adapter is not None  # noqa: S101 - it was just started
        random = Random(f"{self._order.seed} {check.name}")  # noqa: S311 - no secret rests on it
        stage = ClientStage(self._adapter, random=random, transcript=transcript)
        try:
            await stage.open()
            await check.drive(stage)
        finally:
            await stage.close()


def _verdict_of(findings: Sequence[Finding]) -> Verdict:
    broken = any(requirements()[finding.requirement].is_must for finding in findings)
    return Verdict.FAIL if broken else Verdict.WARN


def _result(
    check: ClientCheck,
    verdict: Verdict,
    *,
    because: str = "",
    blocked_by: str = "",
    findings: tuple[Finding, ...] = (),
    seconds: float = 0.0,
    transcript: Transcript | None = None,
) -> CheckResult:
    return CheckResult(
        check=check.name,
        title=check.title,
        requirements=check.requirements,
        verdict=verdict,
        findings=findings,
        because=because,
        blocked_by=blocked_by,
        mode="live",
        seconds=seconds,
        transcript=transcript,
    )
