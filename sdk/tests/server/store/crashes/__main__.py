"""Crash runs: kills a process that works on a ledger, again and again, and looks at what is in the file each time.

    python -m sdk.tests.server.store.crashes --runs 1000

Each file lives through several lives: the next one goes on from what the last one left. Half of the runs are kills: all
that was acknowledged must be there. The other half are power cuts: the file is put back to what was synced last, by
which vouchers and raised reservations may be lost, and nothing else.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from pathlib import Path

from sdk.tests.server.store.crashes import victim
from sdk.tests.server.store.crashes.evidence import (
    Findings,
    ViolationError,
    check_against_journal,
    check_in_itself,
    findings,
)

LIVES = 5
"""Of each file."""

MOST_COUNTS = dict.fromkeys(victim.PLACES, 90) | {
    "between two statements": 900,
    "after a reply": 120,
    "at any time": 250,
}
"""How often a process about comes to each place before it has had enough; "at any time": its milliseconds."""

MOST_SECONDS = 60
"""That a process may take, before it is taken to hang."""


def main() -> None:
    """Runs as many crashes as the command line says; exits with 1 at the first file that does not fit."""
    parser = argparse.ArgumentParser(prog="python -m sdk.tests.server.store.crashes")
    parser.add_argument("--runs", type=int, default=1000, help="how many processes to kill")
    parser.add_argument("--seed", default=os.urandom(4).hex(), help="what their steps and ends are drawn from")
    asked = parser.parse_args()
    deaths: Counter[str] = Counter()
    for number in range(0, asked.runs, LIVES):
        folder = Path(tempfile.mkdtemp(prefix="consilience-crashes-"))
        found = Findings()
        for run in range(number, min(number + LIVES, asked.runs)):
            seed = f"{asked.seed}/{run}"
            place, power_cut = victim.PLACES[run % len(victim.PLACES)], (run // len(victim.PLACES)) % 2 == 1
            try:
                found, killed = crash(folder, before=found, seed=seed, place=place, power_cut=power_cut)
            except ViolationError as error:
                kind = "power cut" if power_cut else "kill"
                sys.exit(f"run {seed}, {kind} {place}: {error}\nfile and journal are in {folder}")
            deaths[place] += killed
        shutil.rmtree(folder)
    for place in victim.PLACES:
        print(f"{deaths[place]:5} died {place}")  # noqa: T201 - the report of a program
    print(f"{asked.runs} runs with seed {asked.seed}: nothing lost, nothing doubled")  # noqa: T201


def crash(folder: Path, *, before: Findings, seed: str, place: str, power_cut: bool) -> tuple[Findings, bool]:
    """Has one process live and die on the file of a folder, and returns what is in it then, and whether it died.

    Raises:
        ViolationError: What is in the file does not fit what was in it before and what the process was told.
    """
    path, journal, disk = folder / "answers.db", folder / "journal", folder / "disk"
    journal.unlink(missing_ok=True)
    if power_cut:
        victim.copy_file(folder, disk)
    count = random.Random(seed).randint(1, MOST_COUNTS[place])  # noqa: S311 - a spread of moments, not a secret
    sentence = victim.Sentence(place=place, count=count, disk=disk if power_cut else None)
    killed = _live(path, before=before, sentence=sentence, journal=journal, seed=seed)
    if killed and power_cut:
        _lose_what_is_not_synced(folder, disk)
    lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
    heard = [json.loads(line) for line in lines if line.endswith(b"\n")]
    after = findings(path)
    check_in_itself(after)
    check_against_journal(before, heard, after, power_cut=killed and power_cut)
    return after, killed


def _live(path: Path, *, before: Findings, sentence: victim.Sentence, journal: Path, seed: str) -> bool:
    """Forks a victim and waits for its end; tells whether it killed itself."""
    child = os.fork()
    if child == 0:
        signal.alarm(MOST_SECONDS)
        try:
            victim.live(path, before=before, sentence=sentence, journal=journal, seed=seed)
            os._exit(0)
        except BaseException:  # noqa: BLE001 - whatever it is, it is the end of this process
            traceback.print_exc()
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code not in (0, -signal.SIGKILL):
        raise ViolationError(f"the process ended with {code}")
    return code != 0


def _lose_what_is_not_synced(folder: Path, disk: Path) -> None:
    for file in folder.glob("answers.db*"):
        file.unlink()
    kept = disk if disk.exists() else disk.with_name("new")  # killed between two renames
    for file in kept.iterdir():
        shutil.copyfile(file, folder / file.name)


if __name__ == "__main__":
    main()
