"""`[registry]`, the registries of a card, and the words that stand for a registry alone."""

from pathlib import Path

import pytest

from consilience_node.config import Config, ConfigError, overridden, read_config, registry_config
from reference_node.tests.config.files import complaint, written

ALONE = "models = []\nskills = []\n"


def test_a_registry_needs_no_skill_and_keeps_its_records_beside_its_key(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, f"{ALONE}[registry]\n"))
    assert config.registry is not None
    made = config.registry.registry(default_file=tmp_path / "records of all.db")
    assert made.store == f"sqlite:///{tmp_path}/records%20of%20all.db"


def test_zero_lifts_the_bounds_of_an_address(tmp_path: Path) -> None:
    zero = "publishes_per_minute = 0\nreads_per_minute = 0\nopen_feeds = 0\n"
    config = read_config(written(tmp_path, f"{ALONE}[registry]\n{zero}"))
    assert config.registry is not None
    made = config.registry.registry(default_file=tmp_path / "records.db")
    assert (made.publishes_per_minute, made.reads_per_minute, made.open_feeds) == (0, 0, 0)


def test_a_node_is_no_registry_unless_it_says_so(tmp_path: Path) -> None:
    assert read_config(written(tmp_path, "")).registry is None
    assert "unless it is a [registry]" in complaint(tmp_path, ALONE)


def test_the_file_of_a_store_is_found_from_the_file_that_names_it(tmp_path: Path) -> None:
    config = read_config(written(tmp_path, '[registry]\nstore = "sqlite:///records.db"\n'))
    assert config.registry is not None
    assert config.registry.store == f"sqlite:///{tmp_path}/records.db"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('[registry]\nstore = "mysql://host/records"', "names no registry"),
        ('[registry]\nfollow = ["registry.example.org:7341"]', "put cn1…@ or https:// before it"),
        ('[registry]\nfollow = ["127.0.0.1:1", "127.0.0.1:1"]', "must name each once"),
        ("[registry]\nmax_records = 0", "greater than or equal to 1"),
        ('[node]\nregistries = ["nowhere"]', "host:port"),
        ("[limits]\nmax_message_bytes = 65536\n[registry]", "takes messages of 262144 bytes"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, text: str, what: str) -> None:
    assert what in complaint(tmp_path, text)


@pytest.mark.parametrize("rest", ["host", "host:port/records", "host:1/records#1"])
def test_a_password_in_the_address_of_a_store_is_not_repeated(tmp_path: Path, rest: str) -> None:
    url = f"postgresql://registry:hidden@{rest}"
    with pytest.raises(ConfigError, match=r"registry:\*\*\*@host") as caught:
        registry_config(store=url)
    for said in (str(caught.value), complaint(tmp_path, f'[registry]\nstore = "{url}"')):
        assert "names no registry" in said
        assert "hidden" not in said


def test_words_stand_for_a_registry_alone() -> None:
    config = overridden(
        registry_config(store="sqlite:////var/records.db", follow=["127.0.0.1:7342"]), address="127.0.0.1:0"
    )
    assert (config.models, config.skills) == ((), ())
    assert config.registry is not None
    assert config.registry.follow == ("127.0.0.1:7342",)
    assert isinstance(config, Config)


def test_a_registry_that_nobody_could_call_is_told() -> None:
    with pytest.raises(ConfigError, match="advertise"):
        overridden(registry_config(), address="0.0.0.0:7341")
    reached = registry_config(advertise=["registry.example.org:7341"])
    assert overridden(reached, address="0.0.0.0:7341").node.advertise == ("registry.example.org:7341",)
