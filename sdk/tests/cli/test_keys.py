import json
import stat
from pathlib import Path

from sdk.tests.cli.conftest import Run


def test_a_new_key_is_readable_by_its_owner_alone(consilience: Run, tmp_path: Path) -> None:
    done = consilience("keys", "new", "--json")
    facts = json.loads(done.stdout)
    assert facts["public_key"].startswith("cn1")
    assert stat.S_IMODE(Path(facts["file"]).stat().st_mode) == 0o600
    assert Path(facts["file"]).is_relative_to(tmp_path)
    assert json.loads(consilience("keys", "show", "--json").stdout) == facts


def test_a_key_is_never_overwritten(consilience: Run) -> None:
    first = consilience("keys", "new").stdout
    again = consilience("keys", "new")
    assert again.returncode == 2
    assert "left as it is" in again.stderr
    assert "keys new" not in again.stderr, "which was just tried"
    assert consilience("keys", "show").stdout == first


def test_the_secret_is_never_shown(consilience: Run, tmp_path: Path) -> None:
    consilience("keys", "new", "--file", str(tmp_path / "key"))
    secret = (tmp_path / "key").read_text().split()[1]
    shown = consilience("keys", "show", "--file", str(tmp_path / "key"))
    assert secret not in shown.stdout + shown.stderr


def test_a_key_file_that_others_can_read_is_refused(consilience: Run, tmp_path: Path) -> None:
    consilience("keys", "new", "--file", str(tmp_path / "key"))
    (tmp_path / "key").chmod(0o644)
    done = consilience("keys", "show", "--file", str(tmp_path / "key"))
    assert done.returncode == 2
    assert "0600" in done.stderr


def test_a_missing_key_file_is_told_with_its_name(consilience: Run, tmp_path: Path) -> None:
    done = consilience("keys", "show", "--file", str(tmp_path / "none"))
    assert done.returncode == 2
    assert str(tmp_path / "none") in done.stderr
