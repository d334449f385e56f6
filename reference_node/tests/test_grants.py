"""A tester is let into a node: with the commands of its operator, from process to process."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from consilience._wire.envelopes import from_bytes, open_envelope
from consilience._wire.scripts import encode_script
from consilience.asks import Blob, Outcome, Role, Turn
from consilience.client import Client
from consilience.conformance import (
    SCRIPT_MEDIA_TYPE,
    SCRIPT_MODEL_ID,
    SCRIPT_SKILL_ID,
    ConformanceGrant,
    ConformanceScript,
    ScriptedToken,
)
from consilience.envelopes import Envelope
from consilience.errors import GrantInvalidError
from consilience.identity import KeyPair, format_node_id
from consilience.nodes import Profile
from consilience_node.exits import Exit
from reference_node.tests.processes import run, serving

CONFIG = """
[node]
state_folder = "state"

[[models]]
id = "script"
engine = "scripted"
script = "script.toml"

[[skills]]
id = "chat"
model = "script"
"""
TESTER = KeyPair(b"t" * 32)
KEY = format_node_id(TESTER.public_key)
WARNING = "testers with a grant write what this node answers"


def configured(folder: Path, more: str = "") -> Path:
    """Writes down a node that needs no model."""
    (folder / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    (folder / "node.toml").write_text(CONFIG + more)
    return folder / "node.toml"


def question(grant: Envelope, text: bytes) -> list[Turn]:
    script = ConformanceScript(grant=grant, steps=(ScriptedToken(data=text),))
    return [Turn(role=Role.ASKER, parts=(Blob(media_type=SCRIPT_MEDIA_TYPE, data=encode_script(script)),))]


def granted(folder: Path, *words: str | Path) -> Envelope:
    ended = run("grant", *words, "--output", folder / "grant")
    assert ended.returncode == 0, ended.stderr
    return from_bytes((folder / "grant").read_bytes())


async def test_a_tester_with_a_grant_writes_the_answer_and_nobody_else(tmp_path: Path, client: Client) -> None:
    config = configured(tmp_path)
    with serving("--config", config, "--conformance", folder=tmp_path) as node:
        other = format_node_id(KeyPair(b"o" * 32).public_key)
        grant = granted(tmp_path, "--config", config, "--tester", other, "--tester", KEY, "--minutes", "5")
        async with Client(TESTER, card_file=tmp_path / "tester") as tester:
            card = (await tester.card(node.address)).value
            result = await tester.ask(question(grant, b"30 \xc2\xb0C"), node=node.address, skill=SCRIPT_SKILL_ID)
            usual = await tester.ask("?", node=node.address)
        with pytest.raises(GrantInvalidError):
            await client.ask(question(grant, b"mine"), node=node.address, skill=SCRIPT_SKILL_ID)
        log, output = node.log, node.output
    assert [skill.id for skill in card.skills] == ["chat", SCRIPT_SKILL_ID]
    assert card.profiles == (Profile.CORE, Profile.DURABLE, Profile.CONFORMANCE)
    assert (result.text, result.outcome) == ("30 °C", Outcome.ANSWERED)
    assert result.model is not None
    assert result.model.id == SCRIPT_MODEL_ID
    assert usual.text == "Done."
    assert WARNING in log
    assert SCRIPT_SKILL_ID in output


def test_the_grant_is_what_the_words_say(tmp_path: Path) -> None:
    config = configured(tmp_path)
    with serving("--config", config, folder=tmp_path):
        root = KeyPair.load(tmp_path / "state" / "root.key")
    grant = open_envelope(
        granted(tmp_path, "--state-folder", tmp_path / "state", "--tester", KEY), ConformanceGrant
    ).value
    assert (grant.node_id, grant.testers) == (root.public_key, (TESTER.public_key,))
    assert grant.expire_time - grant.issue_time == timedelta(hours=1)


@pytest.mark.parametrize(("table", "serves"), [("[conformance]\nenabled = true\n", True), ("", False)])
async def test_the_file_says_whether_testers_are_let_in(
    tmp_path: Path, client: Client, *, table: str, serves: bool
) -> None:
    with serving("--config", configured(tmp_path, table), folder=tmp_path) as node:
        card = (await client.card(node.address)).value
        log = node.log
    assert (card.skill(SCRIPT_SKILL_ID) is not None) is serves
    assert (Profile.CONFORMANCE in card.profiles) is serves
    assert (WARNING in log) is serves


def _of_no_node(folder: Path) -> list[str | Path]:
    return ["--state-folder", folder / "none", "--tester", KEY]


def _of_no_key(folder: Path) -> list[str | Path]:
    return ["--state-folder", folder, "--tester", "cn1abc"]


def _for_too_long(folder: Path) -> list[str | Path]:
    return ["--state-folder", folder, "--tester", KEY, "--minutes", "61"]


def _for_nobody(folder: Path) -> list[str | Path]:
    return ["--state-folder", folder]


def _for_too_many(folder: Path) -> list[str | Path]:
    keys = [format_node_id(KeyPair(bytes([number]) * 32).public_key) for number in range(65)]
    return ["--state-folder", folder, *(word for key in keys for word in ("--tester", key))]


def _into_no_folder(folder: Path) -> list[str | Path]:
    return ["--state-folder", folder, "--tester", KEY, "--output", folder / "no" / "grant"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (_of_no_node, Exit.STATE, "Start the node once"),
        (_of_no_key, Exit.USAGE, "'cn1abc' is not a node id"),
        (_for_too_long, Exit.USAGE, "1<=x<=60"),
        (_for_nobody, Exit.USAGE, "Missing option '--tester'"),
        (_for_too_many, Exit.USAGE, "65 keys are too many, 64 at most"),
        (_into_no_folder, Exit.ADDRESS, "cannot write the grant"),
    ],
)
def test_a_grant_that_cannot_be_made_is_told_in_words(
    tmp_path: Path, words: Callable[[Path], list[str | Path]], code: Exit, said: str
) -> None:
    KeyPair.generate().save(tmp_path / "root.key")
    ended = run("grant", "--output", tmp_path / "grant", *words(tmp_path))
    assert ended.returncode == code
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "grant").exists()


def test_a_key_file_of_its_own_is_found(tmp_path: Path) -> None:
    key = KeyPair.generate()
    key.save(tmp_path / "elsewhere.key")
    config = configured(tmp_path)
    config.write_text(config.read_text().replace("[node]", '[node]\nkey_file = "elsewhere.key"'))
    grant = open_envelope(granted(tmp_path, "--config", config, "--tester", KEY), ConformanceGrant)
    assert grant.value.node_id == key.public_key
