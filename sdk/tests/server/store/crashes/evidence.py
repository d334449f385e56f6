"""Evidence: what is in the file after a crash, and whether it fits what was in it before and what was promised since.

The file is read without the store, as a stranger to its code would.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from consilience.payments import SessionStatus, TransferStatus

NOT_ON_DISK = ("authorize", "extend")
"""The steps that a power cut may take, as long as nothing behind them was said to be on the disk."""

Row = dict[str, Any]


class ViolationError(Exception):
    """The file does not say what it must."""


@dataclass(slots=True, kw_only=True)
class Findings:
    """All that a file says of a ledger, by the ids that were given: hexadecimal, as in the journal."""

    sessions: dict[str, Row] = field(default_factory=dict)
    deposits: dict[str, Row] = field(default_factory=dict)
    payouts: dict[str, Row] = field(default_factory=dict)
    receipts: dict[str, Row] = field(default_factory=dict)
    reservations: dict[str, Row] = field(default_factory=dict)
    asks: dict[str, Row] = field(default_factory=dict)
    quotes: dict[str, Row] = field(default_factory=dict)


_QUERIES = {
    "sessions": "SELECT session_id AS it, * FROM sessions",
    "deposits": "SELECT deposit_id AS it, s.session_id AS of, d.* FROM deposits d JOIN sessions s ON s.id = session",
    "payouts": "SELECT withdrawal_id AS it, session_id AS of, w.* FROM withdrawals w JOIN sessions s ON s.id = session",
    "receipts": "SELECT digest AS it, s.session_id AS of, r.* FROM receipts r JOIN sessions s ON s.id = session",
    "reservations": (
        "SELECT a.request_id AS it, s.session_id AS of, r.* FROM reservations r "
        "JOIN sessions s ON s.id = session JOIN asks a ON a.id = ask_id"
    ),
    "asks": "SELECT request_id AS it, * FROM asks",
    "quotes": "SELECT quote_digest AS it, * FROM quote_uses",
}


def findings(path: Path) -> Findings:
    """Returns what the file says; nothing, where the crash came before its tables."""
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        if connection.execute("PRAGMA integrity_check").fetchone()[0] != "ok":
            raise ViolationError("the file is damaged")
        if connection.execute("PRAGMA foreign_key_check").fetchall():
            raise ViolationError("a row of the file names another that is not there")
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchall():
            return Findings()
        return Findings(**{name: _rows(connection, query) for name, query in _QUERIES.items()})


def _rows(connection: sqlite3.Connection, query: str) -> dict[str, Row]:
    rows: dict[str, Row] = {}
    for row in connection.execute(query):
        values = {name: value.hex() if isinstance(value, bytes) else value for name, value in dict(row).items()}
        if values["it"] in rows:
            raise ViolationError(f"there are two of {values['it']}")
        rows[values["it"]] = values
    return rows


def receipt_of(request_id: str) -> str:
    """Returns the digest of the receipt for an ask: there can be one."""
    return hashlib.sha256(b"receipt" + bytes.fromhex(request_id)).hexdigest()


def check_in_itself(found: Findings) -> None:
    """Checks that the counters of every session are what its deposits, receipts, payouts and asks come to.

    Raises:
        ViolationError: They are not.
    """
    for it, session in found.sessions.items():
        receipts = sorted(_of(found.receipts, it), key=lambda row: int(row["number"]))
        counted = {
            "deposited": sum(row["credited"] for row in _of(found.deposits, it)),
            "spent": sum(row["charge"] for row in receipts if row["refund_of"] is None),
            "refunded": sum(row["charge"] for row in receipts if row["refund_of"] is not None),
            "reserved": sum(row["reserved"] for row in _of(found.reservations, it)),
            "withdrawn": sum(row["amount"] for row in _of(found.payouts, it) if row["status"] != TransferStatus.FAILED),
            "receipt_count": len(receipts),
            "last_receipt_digest": receipts[-1]["digest"] if receipts else "",
        }
        _same("a session", counted, {name: session[name] for name in counted})
        _same("the numbers of receipts", [row["number"] for row in receipts], list(range(1, len(receipts) + 1)))
        available = session["deposited"] + session["refunded"] - session["withdrawn"] + session["credit_limit"]
        _holds(session["spent"] + session["reserved"] <= session["authorized"] <= available, "PAY-SES-001", session)
        closed = session["status"] == SessionStatus.CLOSED
        _holds(not closed or session["authorized"] == session["spent"], "a closed session authorizes", session)
        _holds(session["status"] != SessionStatus.CLOSING or session["reserved"], "a closing session is idle", session)
    given_back = Counter[str]()
    for row in found.receipts.values():
        if row["refund_of"] is not None:
            given_back[row["refund_of"]] += row["charge"]
    for of, amount in given_back.items():
        _holds(amount <= found.receipts[of]["charge"], "more is given back than was charged", found.receipts[of])
    for it, ask in found.asks.items():
        ended = ask["finish_time"] is not None
        _holds(ended == (it not in found.reservations), "an ask has ended with its reservation, or runs without", ask)
        _holds(ended == (receipt_of(it) in found.receipts), "an ask has ended without receipt, or runs with one", ask)
    proofs = [row["reference"] for row in found.deposits.values() if row["reference"] is not None]
    _same("proofs", len(proofs), len(set(proofs)))
    for it, quote in found.quotes.items():
        running = [row for row in found.reservations.values() if row["quote_digest"] == it]
        _holds(len(running) <= quote["ask_count"], "more asks run under a quote than were counted", quote)
        _holds(sum(row["ceiling"] for row in running) <= quote["most_charge"], "ceilings are not counted", quote)


def check_against_journal(before: Findings, journal: list[Row], after: Findings, *, power_cut: bool) -> None:
    """Checks that all that was promised is there, and nothing that was not begun, or was refused.

    Args:
        before: What the file said when the process began.
        journal: Of the process, to its end: a line when it begins a step, and one when it hears how it went.
        after: What the file says now.
        power_cut: Whether the steps of `NOT_ON_DISK` behind the last step that is on the disk may be lost.

    Raises:
        ViolationError: Something is lost, doubled, or from nowhere.
    """
    begun = {line["begin"]: line for line in journal if "begin" in line}
    refused = {line["refused"] for line in journal if "refused" in line}
    for line in _promised(journal, begun, power_cut=power_cut):
        _check_kept(line, after)
    possible = [line for number, line in begun.items() if number not in refused]
    for table, kind in (("sessions", "open"), ("deposits", "deposit"), ("payouts", "withdraw"), ("asks", "bind")):
        known, now = getattr(before, table), getattr(after, table)
        _holds(known.keys() <= now.keys(), f"some {table} are gone", sorted(known.keys() - now.keys()))
        new = now.keys() - known.keys()
        _holds(new <= {line["id"] for line in possible if line["kind"] == kind}, f"{table} from nowhere", sorted(new))
    _check_nothing_falls(before, after)
    ends = {line["receipt"]: line for line in possible if line["kind"] in ("finish", "refund")}
    for it, row in after.receipts.items():
        if it in before.receipts:
            _same("a receipt", row, before.receipts[it])
        else:
            _holds(it in ends and ends[it]["amount"] == row["charge"], "a receipt is from nowhere", row)
    credited = {line["id"]: line["amount"] for line in possible if line["kind"] == "credit"}
    for it, row in after.deposits.items():
        earlier = before.deposits.get(it, {"credited": 0})["credited"]
        _holds(row["credited"] in (earlier, credited.get(it)), "a deposit is credited as nobody said", row)


def _promised(journal: list[Row], begun: dict[int, Row], *, power_cut: bool) -> Iterator[Row]:
    """Returns the steps that must be in the file, as they were begun."""
    done = [(place, begun[line["done"]]) for place, line in enumerate(journal) if "done" in line]
    if not power_cut:
        yield from (line for _, line in done)
        return
    starts = {line["begin"]: place for place, line in enumerate(journal) if "begin" in line}
    on_disk = [line for _, line in done if line["kind"] not in NOT_ON_DISK]
    # What was done before such a step began lies before it in the file, and so is on the disk with it.
    last = max((starts[line["begin"]] for line in on_disk), default=-1)
    yield from on_disk
    yield from (line for place, line in done if line["kind"] in NOT_ON_DISK and place < last)


def _check_kept(line: Row, after: Findings) -> None:
    of, kind = line["id"], line["kind"]
    if kind in ("open", "authorize", "close", "acknowledge"):
        kept = of in after.sessions and _kept_of_session(line, after.sessions[of])
    elif kind in ("bind", "extend", "finish"):
        kept = of in after.asks and _kept_of_ask(line, after)
    elif kind == "refund":
        kept = line["receipt"] in after.receipts
    elif kind in ("deposit", "credit", "fail"):
        kept = of in after.deposits and _kept_of_deposit(line, after.deposits[of])
    else:
        statuses = {"paid": TransferStatus.SUCCEEDED, "unpaid": TransferStatus.FAILED}
        payout = after.payouts.get(of)
        kept = payout is not None and payout["status"] == statuses.get(kind, payout["status"])
    _holds(kept, "an acknowledged step is not in the file", line)


def _kept_of_session(line: Row, session: Row) -> bool:
    open_still = session["status"] == SessionStatus.OPEN
    match line["kind"]:
        case "authorize":
            return not open_still or bool(session["authorized"] >= line["amount"])
        case "close":
            return not open_still
        case "acknowledge":
            return bool(session["acknowledged_number"] >= line["number"])
    return True


def _kept_of_ask(line: Row, after: Findings) -> bool:
    of = line["id"]
    ended = after.asks[of]["finish_time"] is not None
    match line["kind"]:
        case "extend":
            return ended or bool(after.reservations[of]["reserved"] >= line["amount"])
        case "finish":
            return ended and bool(after.receipts[line["receipt"]]["number"] == line["number"])
    return True


def _kept_of_deposit(line: Row, deposit: Row) -> bool:
    match line["kind"]:
        case "credit":
            return bool(deposit["credited"] == line["amount"])
        case "fail":
            return bool(deposit["status"] == TransferStatus.FAILED)
    return True


def _check_nothing_falls(before: Findings, after: Findings) -> None:
    for it, session in before.sessions.items():
        now = after.sessions[it]
        for name in ("deposited", "spent", "refunded", "receipt_count", "acknowledged_number", "status"):
            _holds(now[name] >= session[name], f"{name} has fallen", (session, now))
        if now["status"] == SessionStatus.OPEN:
            _holds(now["authorized"] >= session["authorized"], "authorized has fallen", (session, now))
    for it, ask in before.asks.items():
        _holds(ask["finish_time"] is None or after.asks[it]["finish_time"] is not None, "an end is undone", ask)
    for table in ("deposits", "payouts"):
        for it, row in getattr(before, table).items():
            now = getattr(after, table)[it]["status"]
            _holds(row["status"] in (TransferStatus.PENDING, now), "the end of a transfer has changed", row)
    _holds(before.receipts.keys() <= after.receipts.keys(), "receipts are gone", "")


def _of(rows: dict[str, Row], session: str) -> Iterable[Row]:
    return [row for row in rows.values() if row["of"] == session]


def _same(what: str, one: object, other: object) -> None:
    if one != other:
        raise ViolationError(f"{what}: {one} is not {other}")


def _holds(condition: object, broken: str, about: object) -> None:
    if not condition:
        raise ViolationError(f"{broken}: {about}")
