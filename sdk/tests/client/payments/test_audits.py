"""The receipts of a wallet are verified offline; what was changed in the file is found."""

import sqlite3
from pathlib import Path

import pytest

from consilience.client.payments import Wallet
from consilience.client.payments.audits import audit
from sdk.tests.client.payments.wallet_specimens import Specimens, request_id

USED = 10
"""The answer of the specimen has ten bytes, at one unit each."""


def paid(file: Path, *charges: int) -> tuple[Wallet, Specimens]:
    wallet, specimens = Wallet.at(file), Specimens()
    specimens.open(wallet)
    for number, charge in enumerate(charges):
        wallet.begin(specimens.intent(request_id(number)), per_day=10**6, least=1)
        ask = specimens.ask(request_id(number))
        wallet.bind(ask)
        wallet.receipts.keep(specimens.receipt(ask, charge=charge))
    return wallet, specimens


def failed(wallet: Wallet) -> list[str]:
    (session,) = wallet.sessions()
    return [check.requirement for check in audit(wallet, session) if not check.passed]


def test_receipts_that_hold_pass(tmp_path: Path) -> None:
    wallet, _ = paid(tmp_path / "wallet.sqlite", USED, 0, USED - 1)
    (session,) = wallet.sessions()
    checks = audit(wallet, session)
    assert len(checks) == 4
    assert all(check.passed for check in checks)


def test_a_charge_above_what_was_quoted_is_found(tmp_path: Path) -> None:
    wallet, _ = paid(tmp_path / "wallet.sqlite", USED + 1)
    assert failed(wallet) == ["PAY-RCP-005"]


@pytest.mark.parametrize(
    ("statement", "requirements"),
    [
        ("DELETE FROM receipts WHERE number = 1", ["PAY-RCP-002"]),
        ("UPDATE sessions SET spent = spent + 1", ["PAY-RCP-003"]),
        ("UPDATE asks SET ask_digest = zeroblob(32)", ["PAY-RCP-005"] * 2),
        ("UPDATE asks SET ceiling = 1, exposed = 1", ["PAY-RCP-005"] * 2),
        ("UPDATE receipts SET receipt = zeroblob(200) WHERE number = 2", ["PAY-RCP-005"]),
    ],
)
def test_what_was_changed_in_the_file_is_found(tmp_path: Path, statement: str, requirements: list[str]) -> None:
    file = tmp_path / "wallet.sqlite"
    wallet, _ = paid(file, USED, USED)
    database = sqlite3.connect(file)
    with database:
        database.execute(statement)
    database.close()
    assert failed(wallet) == requirements
