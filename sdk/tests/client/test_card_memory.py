import sqlite3
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import seal
from consilience.client import card_memory
from consilience.client.card_memory import CardMemory, default_card_file
from consilience.envelopes import Signed
from consilience.errors import ProtocolError
from consilience.identity import KeyPair
from consilience.nodes import NodeCard
from consilience.units import card_sequence
from sdk.tests.client.scripted_nodes import ScriptedNode

NODE = ScriptedNode(port=1)
ROOT = NODE.root


def card(number: int, *, name: str = "", commits_to: bytes = b"") -> Signed[NodeCard]:
    """Returns the card with a number; a higher one is newer."""
    sequence = card_sequence(NODE.issue_time + timedelta(seconds=number))
    value = replace(NODE.card_value(), sequence=sequence, name=name, next_root_digest=commits_to)
    return seal(value, signer=ROOT)


def test_a_node_that_was_never_seen_has_no_card(card_file: Path) -> None:
    assert CardMemory(card_file).newest(ROOT.public_key) is None


def test_the_newest_card_is_remembered_across_runs(card_file: Path) -> None:
    first = CardMemory(card_file)
    first.keep(card(1))
    first.keep(card(2))
    newest = CardMemory(card_file).newest(ROOT.public_key)
    assert newest == card(2)


def test_an_older_card_does_not_replace_a_newer_one(card_file: Path) -> None:
    CardMemory(card_file).keep(card(2))
    again = CardMemory(card_file)
    assert again.keep(card(1)).digest == card(2).digest
    assert again.newest(ROOT.public_key) == card(2)


@pytest.mark.parametrize("changed", [b"t" * 32, b""])
def test_a_commitment_that_was_seen_stays(card_file: Path, changed: bytes) -> None:
    memory = CardMemory(card_file)
    memory.keep(card(1))
    committed = card(2, commits_to=b"n" * 32)
    memory.keep(committed)
    later = card(3, commits_to=changed)
    for one in (memory, CardMemory(card_file)):
        with pytest.raises(ProtocolError) as caught:
            one.keep(later)
        assert caught.value.requirement == "NODE-KEY-005"
        assert one.glimpse([later]) == (committed,)
        assert one.newest(ROOT.public_key) == committed
    renewed = card(4, commits_to=b"n" * 32)
    assert memory.keep(renewed).digest == renewed.digest


def test_a_commitment_that_was_glimpsed_stays() -> None:
    memory = CardMemory(None)
    memory.glimpse([card(1, commits_to=b"n" * 32)])
    with pytest.raises(ProtocolError, match="two hands"):
        memory.keep(card(2, commits_to=b"t" * 32))


def test_of_two_cards_with_one_sequence_the_smaller_digest_is_kept(card_file: Path) -> None:
    low, high = sorted((card(1, name="a"), card(1, name="b")), key=lambda each: each.digest)
    for order in ((low, high), (high, low)):
        memory = CardMemory(card_file.with_name(order[0].digest.hex()))
        for each in order:
            memory.keep(each)
        assert memory.newest(ROOT.public_key) == low


def test_processes_that_write_at_once_end_with_the_newest(card_file: Path) -> None:
    cards = [card(number) for number in range(20)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: CardMemory(card_file).keep(each), cards))
    assert CardMemory(card_file).newest(ROOT.public_key) == cards[-1]


def test_the_file_is_the_users_own(card_file: Path) -> None:
    nested = card_file.parent / "deep" / "cards.sqlite"
    CardMemory(nested).keep(card(1))
    assert [path.stat().st_mode & 0o077 for path in (nested.parent, nested)] == [0, 0]


@pytest.mark.parametrize("content", [b"not a database at all" * 100, b""], ids=["garbage", "empty"])
def test_a_damaged_file_does_not_stop_anybody_from_asking(
    card_file: Path, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    card_file.write_bytes(content)
    memory = CardMemory(card_file)
    assert memory.keep(card(2)).digest == card(2).digest
    assert memory.keep(card(1)).digest == card(2).digest
    assert bool(caplog.records) == bool(content)


def test_a_forged_card_in_the_file_is_not_believed(card_file: Path) -> None:
    CardMemory(card_file).keep(card(1))
    forged = seal(replace(card(9).value), signer=KeyPair.generate())
    with sqlite3.connect(card_file) as database:
        database.execute("UPDATE cards SET sequence = 9, envelope = ?", (forged.envelope.payload,))
    database.close()
    assert CardMemory(card_file).newest(ROOT.public_key) is None


def test_a_folder_that_cannot_be_made_leaves_a_memory_for_this_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    memory = CardMemory(tmp_path / "file" / "cards.sqlite")
    memory.keep(card(2))
    assert memory.keep(card(1)).digest == card(2).digest


def test_without_a_file_the_memory_is_of_this_process() -> None:
    memory = CardMemory(None)
    assert memory.keep(card(2)).digest == card(2).digest
    assert memory.newest(ROOT.public_key) == card(2)


def test_the_file_stands_in_the_state_folder_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert default_card_file() == tmp_path / "consilience" / "cards.sqlite"
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_card_file() == tmp_path / ".local" / "state" / "consilience" / "cards.sqlite"


def test_of_cards_had_elsewhere_those_come_back_that_lose_to_none(card_file: Path) -> None:
    memory = CardMemory(card_file)
    assert memory.glimpse([card(1), card(2)]) == (card(2),)
    assert memory.glimpse([card(1)]) == ()
    assert memory.glimpse([card(3)]) == (card(3),)


def test_what_was_glimpsed_wins_against_what_is_kept_and_stays_out_of_the_file(card_file: Path) -> None:
    memory = CardMemory(card_file)
    memory.glimpse([card(2)])
    assert memory.keep(card(1)).digest == card(2).digest
    assert memory.newest(ROOT.public_key) is None
    assert CardMemory(card_file).keep(card(1)).digest == card(1).digest


def test_in_the_place_of_a_card_that_loses_comes_the_one_that_was_kept(card_file: Path) -> None:
    CardMemory(card_file).keep(card(2))
    assert CardMemory(card_file).glimpse([card(1)]) == (card(2),)


def test_no_more_nodes_are_glimpsed_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card_memory, "MAX_GLIMPSES", 1)
    other = ScriptedNode(port=2)
    memory = CardMemory(None)
    memory.glimpse([card(2)])
    memory.glimpse([seal(other.card_value(), signer=other.root)])
    assert memory.glimpse([card(1)]) == (card(1),)
