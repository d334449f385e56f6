"""Descriptions: what the cards of a node say that does not change while it runs, held to the rules of node.proto.

The rules are checked when a node is written down, so that its developer reads them and not its first asker.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sized
from dataclasses import dataclass, field

from consilience.errors import UsageError
from consilience.nodes import MAX_MESSAGE_BYTES as MAX_LIMIT_BYTES
from consilience.nodes import DataClass, DataPolicy, Limits, MeasuredQuality, Model, NodeAddress, Profile, Skill
from consilience.tariffs import Rail, Tariff
from consilience.units import PublicKey

IDENTIFIER = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
JURISDICTION = re.compile(r"[A-Z]{2}")
ALL_MILLI = 1000
MAX_RAILS = 16
MAX_REGISTRIES = 16

_DIGEST = (0, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the cards of a node say that does not change while it runs.

    Attributes:
        name: For people.
        description: For people.
        skills: At least one, unless it is a registry.
        models: Those that skills name.
        limits: Each set, but those on tokens where none are counted.
        data_policy: What becomes of asks.
        next_root: The root key that may succeed this one, or None.
        extensions: Encoded `google.protobuf.Any` by URI.
        profiles: Those beside core and durable.
        tariffs: What skills cost.
        rails: On which the node is paid; with some, it is of the profile pay.
        registries: Where records about the node are found.

    Raises:
        UsageError: A card that said so would break a rule of node.proto.
    """

    name: str
    skills: tuple[Skill, ...]
    limits: Limits
    data_policy: DataPolicy
    description: str = ""
    models: tuple[Model, ...] = ()
    next_root: PublicKey | None = None
    extensions: Mapping[str, bytes] = field(default_factory=dict)
    profiles: tuple[Profile, ...] = ()
    tariffs: tuple[Tariff, ...] = ()
    rails: tuple[Rail, ...] = ()
    registries: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        at_most("name", self.name, 128)
        at_most("description", self.description, 2048)
        at_most("models", self.models, 64)
        at_most("extensions", self.extensions, 64)
        at_most("rails", self.rails, MAX_RAILS)
        _unique("rail ids", (rail.id for rail in self.rails))
        _unique("model ids", (model.id for model in self.models))
        for model in self.models:
            check_model(model)
        at_most("registries", self.registries, MAX_REGISTRIES)
        _unique("registries", self.registries)
        for address in self.registries:
            at_most("the address of a registry", address, 512)
            NodeAddress.parse(address)
        least = 0 if Profile.REGISTRY in self.profiles else 1
        if not least <= len(self.skills) <= 256:  # noqa: PLR2004 - the rule of the field
            raise UsageError("a node serves 1 to 256 skills: put @node.skill(…) over an async generator function")
        if self.limits.max_message_bytes > MAX_LIMIT_BYTES:
            raise UsageError(f"max_message_bytes is at most {MAX_LIMIT_BYTES}")
        if self.data_policy.max_data_class <= DataClass.UNSPECIFIED:
            raise UsageError("a data policy names the highest data class that the node reads")
        _match("jurisdictions", self.data_policy.jurisdictions, JURISDICTION, limit=64)


def check_skill(skill: Skill) -> None:
    """Checks a skill against the rules of node.proto.

    Raises:
        UsageError: A card with it would break one.
    """
    if not IDENTIFIER.fullmatch(skill.id):
        raise UsageError(f"{skill.id!r} is no skill id: write lower-case letters, digits, dots and dashes, at most 64")
    where = f"of the skill {skill.id!r}"
    at_most(f"the description {where}", skill.description, 1024)
    _match(f"the domains {where}", skill.domains, IDENTIFIER, limit=32)
    _match(f"the languages {where}", skill.languages, LANGUAGE, limit=64)
    at_most(f"the input_media_types {where}", skill.input_media_types, 32)
    at_most(f"the output_media_type {where}", skill.output_media_type, 128)
    at_most(f"the input_schema {where}", skill.input_schema, 16_384)
    at_most(f"the output_schema {where}", skill.output_schema, 16_384)
    at_most(f"the model_ids {where}", skill.model_ids, 64)
    at_most(f"the measured_quality {where}", skill.measured_quality, 16)
    for quality in skill.measured_quality:
        _check_quality(quality)


def check_model(model: Model) -> None:
    """Checks a model against the rules of node.proto.

    Raises:
        UsageError: It breaks one.
    """
    if not 1 <= len(model.id) <= 128:  # noqa: PLR2004 - the rule of the field
        raise UsageError("a model has an id of 1 to 128 characters")
    if model.parameter_count < 0 or model.context_length_tokens < 0:
        raise UsageError(f"the counts of the model {model.id!r} are not negative")
    at_most(f"the family of the model {model.id!r}", model.family, 128)
    at_most(f"the quantization of the model {model.id!r}", model.quantization, 64)
    at_most(f"the engine of the model {model.id!r}", model.engine, 128)
    at_most(f"the adapters of the model {model.id!r}", model.adapters, 16)
    if len(model.weights_digest) not in _DIGEST:
        raise UsageError(f"the weights_digest of the model {model.id!r} has 32 bytes, or none")


def _check_quality(quality: MeasuredQuality) -> None:
    sound = quality.sample_count > 0 and 0 <= quality.score_milli <= ALL_MILLI and quality.dataset_name
    if not sound or not quality.dataset_digest or len(quality.dataset_digest) not in _DIGEST:
        raise UsageError("a measured quality names its data set, its digest, its samples and a score of 0 to 1000")
    at_most("the dataset_name of a measured quality", quality.dataset_name, 128)


def at_most(what: str, value: Sized, limit: int) -> None:
    """Refuses what is longer than a rule allows."""
    if len(value) > limit:
        raise UsageError(f"{what}: {len(value)} are too many, {limit} at most")


def _match(what: str, values: tuple[str, ...], pattern: re.Pattern[str], *, limit: int) -> None:
    at_most(what, values, limit)
    for value in values:
        if not pattern.fullmatch(value):
            raise UsageError(f"{what}: {value!r} does not match {pattern.pattern}")


def _unique(what: str, values: Iterable[str]) -> None:
    listed = list(values)
    if len(set(listed)) < len(listed):
        raise UsageError(f"{what} are unique")
