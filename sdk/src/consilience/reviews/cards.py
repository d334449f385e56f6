"""Cards in a registry: the rules of their fields, which are declared in node.proto and tariff.proto (section 4.4).

A client takes what it can read of a card that it fetched itself. A registry serves cards to everyone and searches in
them, so it keeps none that breaks a rule. An enum value of a later version breaks none here: it is kept as unknown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from itertools import chain
from typing import TypeVar

from consilience.errors import FieldViolation
from consilience.nodes import (
    MAX_MESSAGE_BYTES,
    Endpoint,
    Limits,
    MeasuredQuality,
    Model,
    NodeCard,
    Profile,
    Skill,
    TlsMode,
)
from consilience.tariffs import Rail, is_asset, is_id, tariff_violations
from consilience.units import NamedNumber

_URI = re.compile(r"https?://[^/?#@ ]+:[0-9]{1,5}")
_LANGUAGE = re.compile(r"[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*")
_COUNTRY = re.compile(r"[A-Z]{2}")
_MAX_URI_CHARACTERS = 512
_DIGEST = (0, 32)
_KEY = (32,)

T = TypeVar("T")
Found = Iterator[FieldViolation]


def card_violations(card: NodeCard) -> Found:
    """Tells what breaks the declared rules of a card's fields, by their paths."""
    yield from _sizes(card, "", node_id=_KEY, next_root_digest=_DIGEST)
    yield from _texts(card, "", name=128, description=2048)
    if card.sequence <= 0:
        yield FieldViolation(field="sequence", description="must be above zero")
    yield from _counts(
        card, "", signing_keys=(1, 16), endpoints=(1, 16), models=(0, 64), tariffs=(0, 64), rails=(0, 16)
    )
    yield from _specified(card.profiles, "profiles")
    if not _unique(profile for profile in card.profiles if profile > 0):
        yield FieldViolation(field="profiles", description="must be unique")
    yield from _counts(card, "", profiles=(1, 64), extensions=(0, 64), registries=(0, 16))
    yield from _counts(card, "", skills=(0 if Profile.REGISTRY in card.profiles else 1, 256))
    for index, key in enumerate(card.signing_keys):
        yield from _sizes(key, f"signing_keys[{index}].", public_key=_KEY)
    for index, uri in enumerate(card.registries):
        yield from _within(len(uri), f"registries[{index}]", 1, 512, "characters")
    yield from _each(card.endpoints, "endpoints", _endpoint)
    yield from _each(card.skills, "skills", _skill)
    yield from _each(card.models, "models", _model)
    yield from _each(card.rails, "rails", _rail)
    for index, tariff in enumerate(card.tariffs):
        for field, description in tariff_violations(tariff, path=f"tariffs[{index}]", units=_is_specified):
            yield FieldViolation(field=field, description=description)
    yield from _limits(card.limits, "limits.")
    yield from _specified((card.data_policy.max_data_class,), "data_policy.max_data_class")
    yield from _matching(card.data_policy.jurisdictions, "data_policy.jurisdictions", _COUNTRY, most=64)
    yield from _between_fields(card)


def _between_fields(card: NodeCard) -> Found:
    named = {tariff.id for tariff in card.tariffs}
    paid = Profile.PAY in card.profiles
    for kept, rule in (
        (_unique(skill.id for skill in card.skills), "skill ids must be unique"),
        (_unique(model.id for model in card.models), "model ids must be unique"),
        (_unique(tariff.id for tariff in card.tariffs), "tariff ids must be unique"),
        (_unique(rail.id for rail in card.rails), "rail ids must be unique"),
        (named >= set(chain.from_iterable(skill.tariff_ids for skill in card.skills)), "skills must name its tariffs"),
        (paid == bool(card.rails) and (paid or not card.tariffs), "rails and tariffs must go with PROFILE_PAY"),
    ):
        if not kept:
            yield FieldViolation(field="node_card", description=rule)


def _endpoint(endpoint: Endpoint, path: str) -> Found:
    if not _URI.fullmatch(endpoint.uri) or len(endpoint.uri) > _MAX_URI_CHARACTERS:
        yield FieldViolation(field=f"{path}uri", description="must be https://host:port, or http on loopback")
    yield from _sizes(endpoint, path, spki_sha256=_DIGEST, next_spki_sha256=_DIGEST)
    yield from _specified((endpoint.tls_mode,), f"{path}tls_mode")
    if endpoint.tls_mode <= TlsMode.UNSPECIFIED:
        return
    if (endpoint.tls_mode is TlsMode.PINNED) != bool(endpoint.spki_sha256):
        yield FieldViolation(field=path.rstrip("."), description="must have a pin where it is pinned, and only there")
    if (endpoint.tls_mode is TlsMode.LOOPBACK_PLAIN) != endpoint.uri.startswith("http:"):
        yield FieldViolation(field=path.rstrip("."), description="must be http where it is plain, and only there")


def _skill(skill: Skill, path: str) -> Found:
    yield from _ids(skill, path, "id")
    yield from _texts(skill, path, description=1024, output_media_type=128, input_schema=16384, output_schema=16384)
    yield from _matching_ids(skill.domains, f"{path}domains", most=32)
    yield from _matching(skill.languages, f"{path}languages", _LANGUAGE, most=64)
    yield from _counts(skill, path, input_media_types=(0, 32), model_ids=(0, 64), tariff_ids=(0, 16))
    yield from _counts(skill, path, measured_quality=(0, 16))
    if not _unique(skill.tariff_ids):
        yield FieldViolation(field=f"{path}tariff_ids", description="must be unique")
    if skill.limits is not None:
        yield from _limits(skill.limits, f"{path}limits.")
    yield from _each(skill.measured_quality, f"{path}measured_quality", _quality)


def _quality(quality: MeasuredQuality, path: str) -> Found:
    yield from _within(len(quality.dataset_name), f"{path}dataset_name", 1, 128, "characters")
    yield from _sizes(quality, path, dataset_digest=_KEY, calibration_digest=_DIGEST)
    yield from _within(quality.score_milli, f"{path}score_milli", 0, 1000)
    yield from _not_below(quality, path, 1, "sample_count")


def _model(model: Model, path: str) -> Found:
    yield from _within(len(model.id), f"{path}id", 1, 128, "characters")
    yield from _texts(model, path, family=128, quantization=64, engine=128)
    yield from _not_below(model, path, 0, "parameter_count", "context_length_tokens")
    yield from _sizes(model, path, weights_digest=_DIGEST)
    yield from _counts(model, path, adapters=(0, 16))


def _rail(rail: Rail, path: str) -> Found:
    yield from _ids(rail, path, "id")
    yield from _within(len(rail.network), f"{path}network", 1, 64, "characters")
    yield from _counts(rail, path, assets=(1, 16), backings=(1, 64), issuers=(0, 64))
    yield from _specified(rail.backings, f"{path}backings")
    if not _unique(backing for backing in rail.backings if backing > 0):
        yield FieldViolation(field=f"{path}backings", description="must be unique")
    for index, asset in enumerate(rail.assets):
        if not is_asset(asset):
            yield FieldViolation(field=f"{path}assets[{index}]", description="must be the id of an asset")
    for index, issuer in enumerate(rail.issuers):
        if len(issuer) not in _KEY:
            yield FieldViolation(field=f"{path}issuers[{index}]", description="must be 32 bytes")
    yield from _not_below(rail, path, 0, "max_credit", "min_deposit", "max_deposit")


def _limits(limits: Limits, path: str) -> Found:
    for name in Limits.__slots__:
        value = getattr(limits, name)
        if value < (timedelta(0) if isinstance(value, timedelta) else 0):
            yield FieldViolation(field=f"{path}{name}", description="must not be negative")
    if limits.max_message_bytes > MAX_MESSAGE_BYTES:
        yield FieldViolation(field=f"{path}max_message_bytes", description=f"must be at most {MAX_MESSAGE_BYTES}")


def _each(values: Iterable[T], path: str, check: Callable[[T, str], Found]) -> Found:
    for index, value in enumerate(values):
        yield from check(value, f"{path}[{index}].")


def _sizes(value: object, path: str, **sizes: tuple[int, ...]) -> Found:
    for name, allowed in sizes.items():
        if len(getattr(value, name)) not in allowed:
            yield FieldViolation(field=f"{path}{name}", description=f"must be {allowed[-1]} bytes")


def _texts(value: object, path: str, **most: int) -> Found:
    for name, characters in most.items():
        yield from _within(len(getattr(value, name)), f"{path}{name}", 0, characters, "characters")


def _counts(value: object, path: str, **bounds: tuple[int, int]) -> Found:
    for name, (least, most) in bounds.items():
        yield from _within(len(getattr(value, name)), f"{path}{name}", least, most)


def _within(number: int, field: str, least: int, most: int, what: str = "") -> Found:
    if not least <= number <= most:
        yield FieldViolation(field=field, description=f"must be {least} to {most} {what}".rstrip())


def _not_below(value: object, path: str, least: int, *names: str) -> Found:
    for name in names:
        if getattr(value, name) < least:
            yield FieldViolation(field=f"{path}{name}", description=f"must be {least} or more")


def _specified(values: Iterable[NamedNumber], field: str) -> Found:
    if not all(map(_is_specified, values)):
        yield FieldViolation(field=field, description="must not be unspecified")


def _is_specified(value: NamedNumber) -> bool:
    """Tells whether a value stands for something, be it of a later version."""
    return value != 0


def _ids(value: object, path: str, name: str) -> Found:
    if not is_id(getattr(value, name)):
        yield FieldViolation(field=f"{path}{name}", description="must be an id")


def _matching_ids(values: tuple[str, ...], field: str, *, most: int) -> Found:
    yield from _within(len(values), field, 0, most)
    for index, value in enumerate(values):
        if not is_id(value):
            yield FieldViolation(field=f"{field}[{index}]", description="must be an id")


def _matching(values: tuple[str, ...], field: str, pattern: re.Pattern[str], *, most: int) -> Found:
    yield from _within(len(values), field, 0, most)
    for index, value in enumerate(values):
        if not pattern.fullmatch(value):
            yield FieldViolation(field=f"{field}[{index}]", description=f"must match {pattern.pattern}")


def _unique(values: Iterable[object]) -> bool:
    listed = list(values)
    return len(set(listed)) == len(listed)
