"""The judge as a process: the command that a vendor runs, and what its report says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from consilience_conformance.cases import all_checks
from consilience_conformance.report.as_json import report_from_json
from consilience_conformance.report.rejudging import disagreements
from consilience_conformance.selftest.comparison import Judged
from consilience_conformance.selftest.forks import forked
from consilience_conformance.selftest.specimens import end

JUDGE_SECONDS = 300.0
"""How long a run may take before it counts as one that hangs."""

_LAST_WORDS = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """How runs are made.

    Attributes:
        tester_key: The file of the tester's key.
        grant: The file of the grant, or None: live mode alone.
        seed: Of all chance.
        seconds: How long a run may take.
    """

    tester_key: Path
    grant: Path | None = None
    seed: int = 0
    seconds: float = JUDGE_SECONDS

    async def judged(
        self,
        address: str,
        *,
        folder: Path,
        only: Iterable[str] = (),
        restart_command: str = "",
        replica: str = "",
        feed: str = "",
        bank: str = "",
        again: bool = False,
    ) -> Judged:
        """Judges a node.

        Args:
            address: Of the node.
            folder: Gets the report.
            only: The names of checks; none: all of them.
            restart_command: Restarts the node; empty: there is none.
            replica: The address of a second replica; empty: there is none.
            feed: Where the node follows the judge; empty: nowhere.
            bank: Where the node has its bank, for the judge to play it; empty: it has none.
            again: Whether the judges of all checks are asked once more, by the report alone.
        """
        words = ["run", address, "--seed", str(self.seed)]
        words += ["--tester-key", str(self.tester_key), "--out", str(folder), "--format", "json"]
        words += [word for name in only for word in ("--only", name)]
        words += ["--grant", str(self.grant)] if self.grant else []
        words += ["--restart", restart_command] if restart_command else []
        words += ["--replica", replica] if replica else []
        words += ["--feed", feed] if feed else []
        words += ["--bank", bank] if bank else []
        log = folder.with_name(f"{folder.name}.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        process = forked("consilience-conformance", words, log=log)
        try:
            async with asyncio.timeout(self.seconds):
                code = await process.wait()
        except TimeoutError:
            return Judged(exit=-1, said=f"the judge did not end within {self.seconds:g} s")
        finally:
            await end(process)
        last_words = log.read_text(encoding="utf-8", errors="replace").strip()[-_LAST_WORDS:]
        return _read(folder / "report.json", code=code, said=last_words, again=again)


def _read(report: Path, *, code: int, said: str, again: bool) -> Judged:
    if not report.exists():
        return Judged(exit=code, said=said)
    run = report_from_json(json.loads(report.read_text(encoding="utf-8"))).run
    impure = tuple(disagreements(run, checks=all_checks())) if again else ()
    # Transcripts of many megabytes are not kept: what was found is enough from here on.
    results = tuple(replace(result, transcript=None) for result in run.results)
    return Judged(exit=code, said=said, results=results, impure=impure)
