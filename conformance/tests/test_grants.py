"""A grant is checked before a run relies on it, and what is wrong with it is said with what to do."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from conformance.tests.judged_nodes import write_grant
from consilience.identity import KeyPair
from consilience.v1.envelope_pb2 import SignedEnvelope
from consilience_conformance import callers
from consilience_conformance.grants import CLOCK_SKEW, GrantError, read_grant

KEY = KeyPair.generate()


def _read(
    key_file: Path, file: Path, *, node_id: bytes = bytes(KEY.public_key), later: timedelta = timedelta(0)
) -> None:
    now = datetime.now(UTC) + later
    read_grant(file, node_id=node_id, testers=callers.Tester.at(key_file).callers, now=now)


def test_a_grant_for_this_node_these_testers_and_this_time_holds(tmp_path: Path) -> None:
    key_file, file = write_grant(tmp_path, key=KEY)
    _read(key_file, file)
    _read(key_file, file, later=timedelta(minutes=9))
    _read(key_file, file, later=timedelta(seconds=5) - CLOCK_SKEW)


@pytest.mark.parametrize(
    ("later", "fault"),
    [(timedelta(minutes=11), "has expired"), (-CLOCK_SKEW - timedelta(minutes=1), "set this clock")],
)
def test_a_grant_for_another_time_does_not(*, later: timedelta, fault: str, tmp_path: Path) -> None:
    key_file, file = write_grant(tmp_path, key=KEY)
    with pytest.raises(GrantError, match=fault):
        _read(key_file, file, later=later)


def test_a_grant_of_another_node_does_not_and_names_it(tmp_path: Path) -> None:
    key_file, file = write_grant(tmp_path, key=KEY)
    with pytest.raises(GrantError, match="another node, cn1") as raised:
        _read(key_file, file, node_id=bytes(32))
    assert "consilience-node grant" in str(raised.value)


def test_a_grant_that_leaves_a_key_of_the_tester_out_does_not(tmp_path: Path) -> None:
    keys = [caller.key for caller in callers.Tester.at(tmp_path / "tester.key").callers]
    key_file, file = write_grant(tmp_path, key=KEY, testers=keys[1:])
    with pytest.raises(GrantError, match="leaves out 1 of this tester's 8 keys"):
        _read(key_file, file)


def test_a_grant_for_another_tester_does_not(tmp_path: Path) -> None:
    key_file, file = write_grant(tmp_path, key=KEY, testers=[secrets.token_bytes(32)])
    with pytest.raises(GrantError, match="leaves out 8"):
        _read(key_file, file)


def test_a_grant_that_was_changed_does_not(tmp_path: Path) -> None:
    key_file, file = write_grant(tmp_path, key=KEY)
    envelope = SignedEnvelope.FromString(file.read_bytes())
    envelope.signature = bytes(64)
    file.write_bytes(envelope.SerializeToString())
    with pytest.raises(GrantError, match="does not verify"):
        _read(key_file, file)


def test_a_file_that_holds_no_grant_is_said_to_hold_none(tmp_path: Path) -> None:
    key_file, file = write_grant(tmp_path, key=KEY)
    file.write_bytes(b"\xff\xff")
    with pytest.raises(GrantError, match="holds no grant"):
        _read(key_file, file)
    with pytest.raises(GrantError, match="cannot be read"):
        _read(key_file, tmp_path / "none")
