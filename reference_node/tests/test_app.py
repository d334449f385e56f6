from __future__ import annotations

from pathlib import Path

import pytest

from consilience.client import Client
from consilience.nodes import DataClass, Limits, TlsMode
from consilience.server import Tls
from consilience_node.app import assembled, data_policy, tls_of
from consilience_node.config import Config, read_config
from consilience_node.metrics import NodeMetrics
from consilience_node.state import StateFolder

SCRIPTED = """
[[models]]
id = "script"
engine = "scripted"
script = "script.toml"

[[skills]]
id = "chat"
model = "script"
"""


def configured(folder: Path, more: str = "") -> Config:
    (folder / "script.toml").write_text('[[programs]]\nsteps = [{ emit = "Done." }]\n')
    (folder / "node.toml").write_text(f'{more}\n[node]\nstate_folder = "state"\nname = "desk"\n{SCRIPTED}')
    return read_config(folder / "node.toml")


async def test_the_card_says_what_the_configuration_says(tmp_path: Path, client: Client) -> None:
    more = """
    limits = { max_turns = 3, max_output_tokens = 100 }
    data_policy = { max_data_class = "internal", jurisdictions = ["CH"] }
    """
    async with (
        assembled(configured(tmp_path, more), metrics=NodeMetrics()) as node,
        node.serving("127.0.0.1:0") as running,
    ):
        card = (await client.card(running.address)).value
    assert card.name == "desk"
    assert card.limits.max_turns == 3
    assert card.limits.max_input_tokens == 4096 - 100
    assert card.data_policy.max_data_class is DataClass.INTERNAL
    assert card.data_policy.jurisdictions == ("CH",)
    assert not card.data_policy.forwards_asks
    assert card.skills[0].limits == Limits(max_output_tokens=100, max_input_tokens=4096 - 100)
    assert [model.id for model in card.models] == ["script"]


@pytest.mark.parametrize(
    ("base_url", "forwarded"),
    [("http://127.0.0.1:8080/v1", False), ("http://localhost:8080/v1", False), ("https://models.example.org/v1", True)],
)
def test_a_model_on_another_machine_makes_the_node_one_that_forwards(*, base_url: str, forwarded: bool) -> None:
    remote = {"id": "remote", "engine": "openai", "base_url": base_url}
    config = Config.model_validate({"models": [remote], "skills": [{"id": "chat", "model": "remote"}]})
    assert data_policy(config).forwards_asks is forwarded


async def test_a_node_with_tls_is_pinned_by_a_certificate_of_its_own(tmp_path: Path, client: Client) -> None:
    config = configured(tmp_path, "tls = {}")
    for _ in range(2):
        async with (
            assembled(config, metrics=NodeMetrics()) as node,
            node.serving("127.0.0.1:0") as running,
        ):
            result = await client.ask("?", node=running.address)
            (endpoint,) = result.node.value.endpoints
        assert (result.text, endpoint.tls_mode) == ("Done.", TlsMode.PINNED)
    assert (tmp_path / "state" / "certificate.pem").stat().st_mode & 0o077 == 0


def test_what_others_can_reach_has_tls_without_a_word(tmp_path: Path) -> None:
    node = {"address": "0.0.0.0:7341", "advertise": ["node.example.org:7341"]}
    state = StateFolder(tmp_path)
    assert tls_of(Config.model_validate({"node": node}), state=state) == Tls.pinned(state.certificate)
    assert tls_of(Config(), state=state) is None


def test_the_certificate_of_an_authority_is_taken_where_it_is_named(tmp_path: Path) -> None:
    files = {"certificate": tmp_path / "a.pem", "key": tmp_path / "a.key"}
    config = Config.model_validate({"tls": {"mode": "webpki", **files}})
    assert tls_of(config, state=StateFolder(tmp_path)) == Tls.webpki(**files)
