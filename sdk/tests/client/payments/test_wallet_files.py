import sqlite3
import stat
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from consilience.client.payments import Wallet
from consilience.client.payments.wallet_file import VERSION
from consilience.client.payments.wallet_rows import Demand
from consilience.errors import WalletFileError
from sdk.tests.client.payments.wallet_specimens import WINDOW, Specimens, request_id


def test_the_file_is_its_owners_alone(wallet: Wallet) -> None:
    assert wallet.path is not None
    assert stat.S_IMODE(wallet.path.stat().st_mode) == 0o600


def test_a_file_of_a_newer_version_is_not_touched(wallet: Wallet) -> None:
    assert wallet.path is not None
    wallet.close()
    with sqlite3.connect(wallet.path) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(WalletFileError, match="newer version of this library"):
        Wallet.at(wallet.path)


def test_a_file_of_the_version_before_goes_on(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    assert wallet.path is not None
    wallet.close()
    with closing(sqlite3.connect(wallet.path, isolation_level=None)) as database:
        database.execute("ALTER TABLE asks DROP COLUMN shared")
        database.execute("ALTER TABLE sessions DROP COLUMN close_asked")
        database.execute("PRAGMA user_version = 1")
    opened = [Wallet.at(wallet.path) for _ in range(2)]
    later = Specimens().open(opened[0])
    assert {session.session_id for session in opened[1].sessions()} == {session_id, later}
    assert opened[1].closings.was_asked(session_id), "nobody knows any more who had it closed"
    assert not opened[1].closings.was_asked(later)
    for each in opened:
        each.close()


def test_a_file_that_is_no_wallet_is_told(tmp_path: Path) -> None:
    file = tmp_path / "wallet.sqlite"
    file.write_text("my precious notes, which are no database at all\n" * 20)
    with pytest.raises(WalletFileError, match=r"wallet\.sqlite"):
        Wallet.at(file)
    assert file.read_text().startswith("my precious notes")


def test_a_wallet_of_the_first_version_goes_on(wallet: Wallet, specimens: Specimens) -> None:
    session_id = specimens.open(wallet)
    wallet.begin(specimens.intent(request_id(1)), per_day=10_000, least=1)
    assert wallet.path is not None
    wallet.close()
    with closing(sqlite3.connect(wallet.path, isolation_level=None)) as database:
        database.execute("ALTER TABLE asks DROP COLUMN shared")
        database.execute("ALTER TABLE sessions DROP COLUMN close_asked")
        database.execute("PRAGMA user_version = 1")
    with closing(Wallet.at(wallet.path)) as renewed:
        exposure = specimens.intent(request_id(1)).exposure
        demand = Demand(request_id=request_id(1), upto=WINDOW + exposure.amount, exposure=exposure)
        assert not renewed.authorize(session_id, demand).excessive, "another may have run since it began"
        renewed.begin(specimens.intent(request_id(2)), per_day=10_000, least=1)
        assert [session.running for session in renewed.sessions()] == [2]


@pytest.mark.parametrize("version", range(VERSION + 1))
def test_the_database_of_something_else_is_not_written_into(tmp_path: Path, version: int) -> None:
    file = tmp_path / "records.sqlite"
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("CREATE TABLE sessions (id INTEGER)")
        database.execute(f"PRAGMA user_version = {version}")
    before = file.read_bytes()
    with pytest.raises(WalletFileError, match="is no wallet, but a database of something else"):
        Wallet.at(file)
    assert file.read_bytes() == before


OPENER = """
import sys
from pathlib import Path
from consilience.client.payments import Wallet
for number in range(200):
    sys.stdin.readline()
    Wallet.at(Path(sys.argv[1]) / f"{number}.sqlite").close()
    print(number, flush=True)
"""


def test_a_wallet_that_several_processes_make_at_one_time_is_one_wallet(tmp_path: Path) -> None:
    words = [sys.executable, "-c", OPENER, str(tmp_path)]
    with ExitStack() as stack:
        openers = [
            stack.enter_context(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        for number in range(200):
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write("\n")
                opener.stdin.flush()
            for opener in openers:
                assert opener.stdout is not None
                assert opener.stdout.readline() == f"{number}\n"


FULL_DISK = """
import resource, signal, sys
from consilience.client.payments import Wallet
from consilience.errors import WalletFileError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    Wallet.at(sys.argv[1])
except WalletFileError as error:
    print(error)
"""


def test_a_wallet_on_a_full_disk_is_not_called_something_else(tmp_path: Path) -> None:
    file = tmp_path / "wallet.sqlite"
    Wallet.at(file).close()
    opened = subprocess.run([sys.executable, "-c", FULL_DISK, file], capture_output=True, text=True, check=True)
    assert opened.stdout.startswith(f"{file} cannot be read or written: ")
    assert "disk" in opened.stdout
    Wallet.at(file).close()


def test_a_file_that_is_no_database_is_no_wallet(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Sir or Madam, " * 100)
    with pytest.raises(WalletFileError, match="is no wallet: file is not a database"):
        Wallet.at(file)
    assert file.read_text().startswith("Dear")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(WalletFileError, match="cannot be opened"):
        Wallet.at(tmp_path / "taken" / "wallet.sqlite")


def test_a_wallet_in_memory_has_no_file() -> None:
    wallet = Wallet.in_memory()
    assert wallet.path is None
    assert wallet.sessions() == ()
    wallet.close()
