"""Crash runs, as many as a build has time for; `make crashes` is for the night. And that their evidence can fail."""

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from consilience.server.store.sqlite import SqliteStore
from consilience.units import Digest
from sdk.tests.server.store.crashes.evidence import (
    NOT_ON_DISK,
    Findings,
    Row,
    ViolationError,
    check_against_journal,
    check_in_itself,
    findings,
    receipt_of,
)
from sdk.tests.server.store.crashes.victim import PLACES
from sdk.tests.server.store.ledger_specimens import bind, finish, funded, new_reservation, new_withdrawal, receipt
from sdk.tests.server.store.processes import ROOT
from sdk.tests.server.store.specimens import LEASE_END

RUNS = 50


def test_no_crash_at_any_place_loses_or_doubles_what_was_acknowledged() -> None:
    command = [sys.executable, "-m", "sdk.tests.server.store.crashes", "--runs", str(RUNS), "--seed", "build"]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    deaths = {place: int(count) for count, place in re.findall(r"^ *(\d+) died (.*)$", done.stdout, re.MULTILINE)}
    assert set(deaths) == set(PLACES)
    assert min(deaths.values()) > 0  # each place was come to, so none is a name only


@pytest.fixture
async def file(path: Path) -> Path:
    """Is a file with two sessions, an ask of the first that has ended, one that runs, and a payout."""
    store = SqliteStore(path)
    await store.open(replica="victim", lease_until=LEASE_END)
    first, _ = [await funded(store.ledger, authorized=40) for _ in range(2)]
    ended = await bind(store, new_reservation(first, reserved=10))
    await bind(store, new_reservation(first, reserved=10))
    digest = bytes.fromhex(receipt_of(ended.ask.key.request_id.hex()))
    await finish(store, ended, replace(receipt(first.session_id, 1, charge=7), digest=Digest(digest)))
    await store.ledger.begin_withdrawal(new_withdrawal(first, amount=20))
    await store.close()
    return path


@pytest.mark.parametrize(
    "defect",
    [
        "UPDATE sessions SET spent = spent + 1",
        "UPDATE sessions SET spent = spent - 1 WHERE id = 1",
        "UPDATE sessions SET reserved = 9 WHERE id = 1",
        "UPDATE sessions SET deposited = deposited + 1",
        "UPDATE sessions SET withdrawn = 0 WHERE id = 1",
        "UPDATE sessions SET status = 2 WHERE id = 2",
        "UPDATE sessions SET status = 3 WHERE id = 2",
        "UPDATE sessions SET receipt_count = 0",
        "UPDATE deposits SET credited = credited + 1 WHERE id = 1",
        "UPDATE receipts SET number = 2",
        "UPDATE receipts SET digest = x'00'",
        "UPDATE asks SET finish_time = 1",
        "UPDATE asks SET finish_time = NULL",
        "DELETE FROM receipts",
        "DELETE FROM reservations",
        "DELETE FROM asks",
        "DELETE FROM withdrawals",
        "UPDATE quote_uses SET ask_count = 0",
        "UPDATE quote_uses SET most_charge = 0",
    ],
)
def test_a_file_that_does_not_add_up_is_found(file: Path, defect: str) -> None:
    check_in_itself(findings(file))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(defect)
    with pytest.raises(ViolationError):
        check_in_itself(findings(file))


def _acknowledged(found: Findings) -> list[Row]:
    """Returns steps that a process may have been told of, and that the file does not show."""
    session, deposit, payout = (next(iter(rows)) for rows in (found.sessions, found.deposits, found.payouts))
    running = next(iter(found.reservations))
    return [
        {"kind": "open", "id": "00"},
        {"kind": "authorize", "id": session, "amount": 41},
        {"kind": "close", "id": session},
        {"kind": "acknowledge", "id": session, "number": 1},
        {"kind": "deposit", "id": "00"},
        {"kind": "credit", "id": deposit, "amount": 101},
        {"kind": "fail", "id": deposit},
        {"kind": "withdraw", "id": "00", "amount": 1},
        {"kind": "paid", "id": payout},
        {"kind": "unpaid", "id": payout},
        {"kind": "bind", "id": "00"},
        {"kind": "extend", "id": running, "amount": 11},
        {"kind": "finish", "id": running, "receipt": receipt_of(running), "number": 2, "amount": 1},
        {"kind": "refund", "id": session, "receipt": "00", "amount": 1},
    ]


def test_each_acknowledged_step_that_is_not_in_the_file_is_found(file: Path) -> None:
    found = findings(file)
    check_against_journal(found, [], found, power_cut=False)
    for step in _acknowledged(found):
        journal: list[Row] = [{"begin": 0, **step}, {"done": 0}]
        for power_cut in (False, True):
            check_against_journal(found, journal[:1], found, power_cut=power_cut)
            if power_cut and step["kind"] in NOT_ON_DISK:
                check_against_journal(found, journal, found, power_cut=True)
                synced: list[Row] = [{"begin": 1, "kind": "bind", "id": next(iter(found.asks))}, {"done": 1}]
                journal += synced
            with pytest.raises(ViolationError, match="acknowledged"):
                check_against_journal(found, journal, found, power_cut=power_cut)


@pytest.mark.parametrize("table", ["sessions", "deposits", "payouts", "receipts", "asks"])
def test_what_comes_from_nowhere_or_goes_is_found(file: Path, table: str) -> None:
    found, less = findings(file), findings(file)
    getattr(less, table).popitem()
    for before, after in ((found, less), (less, found)):
        with pytest.raises(ViolationError):
            check_against_journal(before, [], after, power_cut=False)
