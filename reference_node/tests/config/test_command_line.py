from __future__ import annotations

from pathlib import Path

import pytest

from consilience_node.config import Config, ConfigError, LlamaCppModel, default_config, overridden


def test_without_a_word_the_packaged_model_answers_from_memory() -> None:
    config = default_config()
    assert [skill.id for skill in config.skills] == ["chat.general"]
    assert [model.id for model in config.models] == ["smollm2-135m-instruct"]


def test_skills_with_knowledge_come_before_the_general_one(tmp_path: Path) -> None:
    folder = tmp_path / "Our Handbook"
    folder.mkdir()
    config = default_config(knowledge=[str(folder), "foldoc"])
    assert [skill.id for skill in config.skills] == ["knowledge.our-handbook", "knowledge.foldoc", "chat.general"]
    assert config.skills[0].knowledge == str(folder)
    assert config.skills[1].domains == ("computing",)


def test_a_model_by_path_is_known_by_the_name_of_its_file(tmp_path: Path) -> None:
    weights = tmp_path / "My-Model.Q8_0.gguf"
    weights.touch()
    (model,) = default_config(model=str(weights)).models
    assert isinstance(model, LlamaCppModel)
    assert (model.id, model.weights) == ("My-Model.Q8_0", str(weights))


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    for parent in ("a", "b"):
        (tmp_path / parent / "docs").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r'"knowledge\.docs" is used twice'):
        default_config(knowledge=[str(tmp_path / "a" / "docs"), str(tmp_path / "b" / "docs")])


def test_a_name_that_no_card_can_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most 128 characters"):
        default_config(name="x" * 129)


def test_a_packaged_model_is_known_by_its_name_dots_and_all() -> None:
    (model,) = default_config(model="qwen2.5-0.5b").models
    assert model.id == "qwen2.5-0.5b"


def test_the_command_line_overrules_the_file() -> None:
    config = overridden(Config(), address="127.0.0.1:0", store="memory", metrics_address="127.0.0.1:9464")
    assert (config.node.address, config.node.store, config.metrics.address) == (
        "127.0.0.1:0",
        "memory",
        "127.0.0.1:9464",
    )
    assert config.skills == Config().skills


def test_the_registries_of_the_command_line_take_the_place_of_those_of_the_file() -> None:
    by_the_file = Config.model_validate({"node": {"registries": ("127.0.0.1:7341",)}})
    assert overridden(by_the_file, registries=["127.0.0.1:7342"]).node.registries == ("127.0.0.1:7342",)
    assert overridden(by_the_file).node.registries == ("127.0.0.1:7341",)


@pytest.mark.parametrize(
    ("registries", "said"),
    [
        (["nowhere"], r"'nowhere' does not end in host:port, with a port from 1 to 65535"),
        (["127.0.0.1:7341"] * 2, r"must name each once, not .+"),
    ],
)
def test_a_registry_that_is_none_is_refused_by_the_name_of_its_key(registries: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=f"^registries: {said}$"):
        overridden(Config(), registries=registries)


def test_testers_are_let_in_by_a_word_and_kept_out_by_none() -> None:
    assert overridden(Config(), conformance=True).conformance.enabled
    assert not overridden(Config()).conformance.enabled
    by_the_file = Config.model_validate({"conformance": {"enabled": True}})
    assert overridden(by_the_file, conformance=None).conformance.enabled


def test_what_the_command_line_does_not_say_stays_as_it_is() -> None:
    assert overridden(Config()) == Config()


@pytest.mark.parametrize("address", ["here", "127.0.0.1", "127.0.0.1:http", ":7341"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match='address: must be "host:port"'):
        overridden(Config(), address=address)
