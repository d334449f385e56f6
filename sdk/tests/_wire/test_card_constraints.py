"""What a registry refuses of a card are the constraints that the protos declare, one by one.

Where a proto wants an enum value of this version, a registry takes a later one all the same, as every reader of cards.
"""

import re
from collections.abc import Callable
from typing import Any

import pytest

from consilience import nodes
from consilience._wire import convert
from consilience.errors import FieldInvalidError
from consilience.reviews.cards import card_violations
from sdk.tests._wire.chains import Chain
from sdk.tests._wire.declarations import broken_rules, constrained_fields

Break = Callable[[Any], object]


def _setting(field: str, value: object) -> Break:
    """Sets a field by its path; a list on the way stands for its first element."""
    *way, last = field.split(".")

    def change(card: Any) -> None:
        message = card
        for name in way:
            message = getattr(message, name)
            message = message[0] if hasattr(message, "add") else message
        setattr(message, last, value)

    return change


def _filling(field: str, *values: object) -> Break:
    """Adds to a list of scalars by its path."""
    *way, last = field.split(".")

    def change(card: Any) -> None:
        message = card
        for name in way:
            message = getattr(message, name)
            message = message[0] if hasattr(message, "add") else message
        getattr(message, last).extend(values)

    return change


def _repeating(field: str, times: int) -> Break:
    def change(card: Any) -> None:
        *way, last = field.split(".")
        message = card
        for name in way:
            message = getattr(message, name)[0]
        first = getattr(message, last)[0]
        getattr(message, last).extend([first] * times)

    return change


def _clearing(field: str) -> Break:
    return lambda card: card.ClearField(field)


BROKEN: dict[str, Break] = {
    "node_id": _setting("node_id", b"x"),
    "sequence": _setting("sequence", 0),
    "name": _setting("name", "n" * 129),
    "description": _setting("description", "d" * 2049),
    "next_root_digest": _setting("next_root_digest", b"x"),
    "expire_time": _clearing("expire_time"),
    "signing_keys": _clearing("signing_keys"),
    "signing_keys many": _repeating("signing_keys", 16),
    "signing_keys.public_key": _setting("signing_keys.public_key", b"x"),
    "signing_keys.expire_time": lambda card: card.signing_keys[0].ClearField("expire_time"),
    "endpoints": _clearing("endpoints"),
    "endpoints many": _repeating("endpoints", 16),
    "endpoints.tls_mode": _setting("endpoints.tls_mode", 0),
    "endpoints.uri": _setting("endpoints.uri", "https://host"),
    "endpoints.uri long": _setting("endpoints.uri", f"https://{'h' * 510}:1"),
    "endpoints.spki_sha256": _setting("endpoints.spki_sha256", b"x"),
    "endpoints.next_spki_sha256": _setting("endpoints.next_spki_sha256", b"x"),
    "endpoints pin": _setting("endpoints.spki_sha256", b""),
    "endpoints scheme": _setting("endpoints.uri", "http://host:1"),
    "skills": _clearing("skills"),
    "skills many": lambda card: [card.skills.add(id=f"s{index}") for index in range(256)],
    "skills.id": _setting("skills.id", "Define"),
    "skills.description": _setting("skills.description", "d" * 1025),
    "skills.domains": _filling("skills.domains", "Law"),
    "skills.domains many": _filling("skills.domains", *["law"] * 32),
    "skills.languages": _filling("skills.languages", "en_GB"),
    "skills.languages many": _filling("skills.languages", *["en"] * 64),
    "skills.input_media_types": _filling("skills.input_media_types", *["a/b"] * 32),
    "skills.output_media_type": _setting("skills.output_media_type", "m" * 129),
    "skills.input_schema": _setting("skills.input_schema", "s" * 16385),
    "skills.output_schema": _setting("skills.output_schema", "s" * 16385),
    "skills.model_ids": _filling("skills.model_ids", *["smollm2"] * 64),
    "skills.tariff_ids": _filling("skills.tariff_ids", "standard"),
    "skills.tariff_ids many": _filling("skills.tariff_ids", *map(str, range(16))),
    "skills.limits.max_turns": _setting("skills.limits.max_turns", -1),
    "skills.measured_quality many": _repeating("skills.measured_quality", 16),
    "skills.measured_quality.dataset_name": _setting("skills.measured_quality.dataset_name", ""),
    "skills.measured_quality.dataset_name long": _setting("skills.measured_quality.dataset_name", "n" * 129),
    "skills.measured_quality.dataset_digest": _setting("skills.measured_quality.dataset_digest", b"x"),
    "skills.measured_quality.sample_count": _setting("skills.measured_quality.sample_count", 0),
    "skills.measured_quality.score_milli": _setting("skills.measured_quality.score_milli", 1001),
    "skills.measured_quality.score_milli low": _setting("skills.measured_quality.score_milli", -1),
    "skills.measured_quality.calibration_digest": _setting("skills.measured_quality.calibration_digest", b"x"),
    "models": lambda card: [card.models.add(id=f"m{index}") for index in range(64)],
    "models.id": _setting("models.id", ""),
    "models.id long": _setting("models.id", "m" * 129),
    "models.family": _setting("models.family", "f" * 129),
    "models.parameter_count": _setting("models.parameter_count", -1),
    "models.quantization": _setting("models.quantization", "q" * 65),
    "models.weights_digest": _setting("models.weights_digest", b"x"),
    "models.context_length_tokens": _setting("models.context_length_tokens", -1),
    "models.adapters": _filling("models.adapters", *["a"] * 16),
    "models.engine": _setting("models.engine", "e" * 129),
    "tariffs": lambda card: [card.tariffs.add(id=f"t{index}") for index in range(64)],
    "tariffs.asset": _setting("tariffs.asset", "TEST"),
    "rails": _repeating("rails", 16),
    "rails.id": _setting("rails.id", "Hold"),
    "rails.network": _setting("rails.network", ""),
    "rails.network long": _setting("rails.network", "n" * 65),
    "rails.assets": _filling("rails.assets", "TEST"),
    "rails.assets none": lambda card: card.rails[0].ClearField("assets"),
    "rails.assets many": _filling("rails.assets", *["TEST/0"] * 16),
    "rails.backings": lambda card: card.rails[0].ClearField("backings"),
    "rails.backings unspecified": _filling("rails.backings", 0),
    "rails.backings twice": _filling("rails.backings", 1),
    "rails.issuers": _filling("rails.issuers", b"x"),
    "rails.issuers many": _filling("rails.issuers", *[b"i" * 32] * 64),
    "rails.max_credit": _setting("rails.max_credit", -1),
    "rails.min_deposit": _setting("rails.min_deposit", -1),
    "rails.max_deposit": _setting("rails.max_deposit", -1),
    "limits": _clearing("limits"),
    "limits.max_message_bytes": _setting("limits.max_message_bytes", 4194305),
    "data_policy": _clearing("data_policy"),
    "data_policy.max_data_class": _setting("data_policy.max_data_class", 0),
    "data_policy.jurisdictions": _filling("data_policy.jurisdictions", "de"),
    "data_policy.jurisdictions many": _filling("data_policy.jurisdictions", *["DE"] * 64),
    "profiles": _clearing("profiles"),
    "profiles unspecified": _filling("profiles", 0),
    "profiles twice": lambda card: card.profiles.append(1),
    "extensions": lambda card: [card.extensions[str(index)] for index in range(64)],
    "registries": _filling("registries", ""),
    "registries long": _filling("registries", "r" * 513),
    "registries many": _filling("registries", *["r"] * 16),
    "node_card skill ids": _repeating("skills", 1),
    "node_card model ids": _repeating("models", 1),
    "node_card tariff ids": _repeating("tariffs", 1),
    "node_card tariff names": _filling("skills.tariff_ids", "other"),
    "node_card rails": _repeating("rails", 1),
    "node_card unpaid": _clearing("rails"),
}
LIMITS = (
    *("max_message_bytes", "max_turns", "max_input_bytes", "max_input_tokens", "max_output_tokens"),
    *("max_running_asks", "max_running_asks_per_caller", "max_readers_per_answer", "max_quotes_per_minute"),
)
BROKEN |= {f"limits.{name} low": _setting(f"limits.{name}", -1) for name in LIMITS}
BROKEN |= {f"limits.{name}": _setting(f"limits.{name}.seconds", -1) for name in ("max_run_time", "answer_retention")}
ELSEWHERE = {"max_data_class"}
"""A skill need not name one."""


def _found(message: Any) -> set[str]:
    """Returns the fields that break a rule, without their indices."""
    try:
        card = convert.parse(message.SerializeToString(), nodes.NodeCard)
    except FieldInvalidError as error:
        paths = [violation.field for violation in getattr(error.detail, "violations", ())]
    else:
        paths = [violation.field for violation in card_violations(card)]
    return {re.sub(r"\[\d+\]", "", path) for path in paths}


def test_the_example_keeps_every_constraint(chain: Chain) -> None:
    message = convert.to_message(chain.card.value)
    assert broken_rules(message) == []
    assert _found(message) == set()


@pytest.mark.parametrize("broken", BROKEN)
def test_what_a_constraint_refuses_a_registry_refuses(chain: Chain, broken: str) -> None:
    message = convert.to_message(chain.card.value)
    BROKEN[broken](message)
    assert broken_rules(message), "the declared constraints let it pass"
    blamed = broken.split(maxsplit=1)[0]
    assert any(path == blamed or path.startswith(f"{blamed}.") for path in _found(message))


def test_every_declared_constraint_of_a_card_is_broken_above() -> None:
    named = {name.split(maxsplit=1)[0].rpartition(".")[2] for name in BROKEN} | ELSEWHERE
    assert constrained_fields("NodeCard") - constrained_fields("Tariff") - named == set()


def test_values_of_a_later_version_are_taken(chain: Chain) -> None:
    message = convert.to_message(chain.card.value)
    message.profiles.append(99)
    message.endpoints[0].tls_mode = 99
    message.data_policy.max_data_class = 99
    message.rails[0].backings.append(99)
    for _ in range(2):
        message.tariffs[0].prices.add(unit=99, per=1)
    assert broken_rules(message)
    assert _found(message) == set()


def test_a_node_that_is_a_registry_may_have_no_skill(chain: Chain) -> None:
    message = convert.to_message(chain.card.value)
    message.ClearField("skills")
    message.profiles.append(4)
    assert broken_rules(message) == []
    assert _found(message) == set()
