import stat
from datetime import timedelta
from pathlib import Path

import pytest

from consilience.errors import KeyFileError
from consilience.identity import KeyPair
from consilience.nodes import MAX_SIGNING_KEY_LIFETIME
from consilience.server import Node, RotatingKeys
from consilience.server.keys import FixedKey, state_folder
from consilience.units import PublicKey, utc_now
from sdk.tests.server.callers import calling
from sdk.tests.server.clocks import ManualClock
from sdk.tests.server.specimens import echo

ANYWHERE = "127.0.0.1:0"
NOTICE = timedelta(hours=25)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "signing"


async def test_a_node_signs_answers_with_a_key_that_is_not_its_root(key: KeyPair, folder: Path) -> None:
    node = Node("test", key=key, signing_key=folder)
    node.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running, calling(running) as caller:
        _, reading = await caller.ask()
        card = await caller.card()
    answer = reading.final.answer
    assert answer.envelope.public_key == answer.value.signing_key != key.public_key
    assert card.envelope.public_key == key.public_key
    assert card.value.may_sign(answer.value.signing_key, at=answer.value.finish_time)


def test_over_a_year_every_answer_is_signed_by_a_key_that_its_card_lists(folder: Path, clock: ManualClock) -> None:
    """Cards live 24 hours and answers run 1 hour; both are made all the time, and the node restarts every week."""
    card_lifetime, run_time = timedelta(hours=24), timedelta(hours=1)
    keys = RotatingKeys(folder, notice=card_lifetime + run_time)
    cards: list[tuple[object, dict[PublicKey, object]]] = []
    used = set()
    for hour in range(365 * 24):
        if hour % (7 * 24) == 0:
            keys = RotatingKeys(folder, notice=card_lifetime + run_time)
        now = clock()
        listed = keys.listed(now=now)
        for signing in listed:
            assert now < signing.expire_time <= now + MAX_SIGNING_KEY_LIFETIME
        cards.append((now + card_lifetime, {signing.public_key: signing.expire_time for signing in listed}))
        # Answers to asks that named any of these cards, accepted while it was honoured, finish now.
        cards = [card for card in cards if card[0] + run_time > now]  # type: ignore[operator]
        signer = keys.signer(now=now).public_key
        used.add(signer)
        for _, known in cards:
            assert signer in known
            assert now <= known[signer]  # type: ignore[operator]
        clock.advance(timedelta(hours=1))
    assert len(used) > 10
    assert len(list(folder.glob("*.key"))) <= 2


def test_a_restart_keeps_the_key(folder: Path) -> None:
    now = utc_now()
    before = RotatingKeys(folder, notice=NOTICE).signer(now=now)
    after = RotatingKeys(folder, notice=NOTICE).signer(now=now + timedelta(days=3))
    assert before.public_key == after.public_key


def test_the_key_files_are_their_owners_alone(folder: Path) -> None:
    RotatingKeys(folder, notice=NOTICE).signer(now=utc_now())
    (file,) = folder.glob("*.key")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_file_that_does_not_tell_its_age_is_refused(folder: Path) -> None:
    KeyPair.generate().save(folder / "mine.key")
    with pytest.raises(KeyFileError, match="mine"):
        RotatingKeys(folder, notice=NOTICE)


def test_a_fixed_key_is_listed_for_as_long_as_a_card_may_say(key: KeyPair) -> None:
    now = utc_now()
    (listed,) = FixedKey(key).listed(now=now)
    assert (listed.public_key, listed.expire_time) == (key.public_key, now + MAX_SIGNING_KEY_LIFETIME)


def test_the_root_key_is_kept_under_the_name_of_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSILIENCE_STATE_FOLDER", str(tmp_path))
    assert state_folder("units") == tmp_path / "nodes" / "units"
    assert state_folder("../../etc/passwd").parent == tmp_path / "nodes"
    assert state_folder("..").parent == tmp_path / "nodes"


def test_without_a_folder_named_keys_lie_where_the_desktop_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CONSILIENCE_STATE_FOLDER", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder("units") == tmp_path / "consilience" / "nodes" / "units"


async def test_a_node_without_a_key_makes_one_and_is_the_same_node_after_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIENCE_STATE_FOLDER", str(tmp_path))
    ids = []
    for _ in range(2):
        node = Node("units")
        node.skill("echo")(echo)
        async with node.serving(ANYWHERE) as running:
            ids.append(running.node_id)
    assert ids[0] == ids[1]


async def test_a_node_reads_its_key_from_a_file(tmp_path: Path, key: KeyPair) -> None:
    key.save(tmp_path / "root.key")
    node = Node("units", key=tmp_path / "root.key")
    node.skill("echo")(echo)
    async with node.serving(ANYWHERE) as running:
        assert running.node_id == key.public_key
        assert running.address.startswith("cn1")


def test_siblings_that_share_a_folder_sign_by_keys_that_the_card_of_either_lists(
    folder: Path, clock: ManualClock
) -> None:
    siblings = [RotatingKeys(folder, notice=NOTICE)]
    siblings[0].listed(now=clock())
    siblings.append(RotatingKeys(folder, notice=NOTICE))
    cards: list[tuple[object, set[PublicKey]]] = []
    for hour in range(90 * 24):
        now = clock()
        listed = {signing.public_key for signing in siblings[hour % 2].listed(now=now)}
        cards = [card for card in (*cards, (now + NOTICE, listed)) if card[0] > now]  # type: ignore[operator]
        for keys in siblings:
            assert all(keys.signer(now=now).public_key in known for _, known in cards)
        clock.advance(timedelta(hours=1))
    assert len(list(folder.glob("*.key"))) <= 2
