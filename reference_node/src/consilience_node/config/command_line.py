"""The configuration that the words of a command line stand for: instead of a file, or on top of one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from consilience.server.registry import without_password
from consilience_node.config.contradictions import contradictions
from consilience_node.config.reading import ConfigError
from consilience_node.config.registries import RegistryTable
from consilience_node.config.settings import DEFAULT_MODEL_ID, DEFAULT_SKILL_ID, Config, NodeTable

DEFAULT_REGISTRY_NAME = "registry"

TableT = TypeVar("TableT", bound=BaseModel)

_DOMAINS = {"foldoc": ["computing"]}
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_SLUG_CHARACTERS = 40
_SMALL_MODEL_TOKENS = 256
"""What the packaged model says beyond this only repeats what it said before."""


def default_config(*, name: str = "", model: str | None = None, knowledge: Sequence[str] = ()) -> Config:
    """Returns the configuration of a node that nobody wrote a file for: one model, a skill for each thing it knows.

    The skills with knowledge come first, because an asker who names no skill is given the first.

    Args:
        name: What the node is called.
        model: Name of a packaged model or path of a GGUF file; the packaged SmolLM2 when absent.
        knowledge: Folders, dictionaries, or names of installed dictionaries.

    Raises:
        ConfigError: Two of them would lead to one skill id, or a word is none that can be set.
    """
    model_id = DEFAULT_MODEL_ID if model is None else _model_id(model)
    general: dict[str, object] = {
        "id": DEFAULT_SKILL_ID,
        "model": model_id,
        "description": "Answers from the memory of its model.",
    }
    if model is None:
        general["limits"] = {"max_output_tokens": _SMALL_MODEL_TOKENS}
    tables = {
        "node": {"name": name},
        "models": [{"engine": "llama_cpp", "id": model_id, "weights": model or DEFAULT_MODEL_ID}],
        "skills": [*(_knowledge_skill(source, model=model_id) for source in knowledge), general],
    }
    return _consistent(_validated(Config, tables))


def registry_config(
    *, name: str | None = None, advertise: Sequence[str] = (), store: str | None = None, follow: Sequence[str] = ()
) -> Config:
    """Returns the configuration of a registry alone: no model, no skill, and nothing to remember of answers.

    Args:
        name: What the node is called.
        advertise: `host:port` under which others reach it.
        store: A URL; None: a database in the state folder.
        follow: Addresses of other registries.

    Raises:
        ConfigError: A word is none that can be set.
    """
    words = {"name": name or DEFAULT_REGISTRY_NAME, "advertise": tuple(advertise), "store": "memory"}
    registry = _validated(RegistryTable, {"store": store, "follow": tuple(follow)})
    # Whether it can be reached is looked at once its address is known, by `overridden`.
    return Config(node=_validated(NodeTable, words), models=(), skills=(), registry=registry)


def overridden(
    config: Config,
    *,
    address: str | None = None,
    registries: Sequence[str] | None = None,
    state_folder: Path | None = None,
    store: str | None = None,
    metrics_address: str | None = None,
    log_format: str | None = None,
    conformance: bool | None = None,
) -> Config:
    """Returns a configuration with what the command line says otherwise; None leaves a value as it is.

    Raises:
        ConfigError: A word is none that can be set.
    """
    words = {"address": address, "registries": registries, "state_folder": state_folder, "store": store}
    node = _changed(config.node, words)
    metrics = _changed(config.metrics, {"address": metrics_address})
    logs = _changed(config.logs, {"format": log_format})
    tested = _changed(config.conformance, {"enabled": conformance})
    changes = {"node": node, "metrics": metrics, "logs": logs, "conformance": tested}
    return _consistent(config.model_copy(update=changes))


def _knowledge_skill(source: str, *, model: str) -> dict[str, object]:
    slug = _NO_SLUG.sub("-", Path(source).absolute().stem.lower()).strip("-")[:_SLUG_CHARACTERS] or "folder"
    return {
        "id": f"knowledge.{slug}",
        "model": model,
        "knowledge": source,
        "description": f"Answers from {slug}, and cites the passage.",
        "domains": _DOMAINS.get(slug, [slug]),
    }


def _model_id(model: str) -> str:
    path = Path(model)
    return path.stem if path.suffix == ".gguf" else path.name


def _changed(table: TableT, words: Mapping[str, object]) -> TableT:
    said = {key: word for key, word in words.items() if word is not None}
    return _validated(type(table), table.model_dump() | said) if said else table


def _validated(table: type[TableT], values: Mapping[str, object]) -> TableT:
    try:
        return table.model_validate(values)
    except ValidationError as error:
        complaints = (
            f"{_key(details['loc'])}: {_what(details['msg'].removeprefix('Value error, '), said=details['input'])}"
            for details in error.errors()
        )
        raise ConfigError("\n".join(complaints)) from error


def _key(place: tuple[int | str, ...]) -> str:
    """Returns the key of the value at a place; of one in a list, that of the list."""
    return [part for part in place if isinstance(part, str)][-1]


def _what(complaint: str, *, said: object) -> str:
    """Returns a complaint with what was said, unless it has that already."""
    shown = without_password(repr(said))
    return complaint if shown in complaint else f"{complaint}, not {shown}"


def _consistent(config: Config) -> Config:
    if problems := list(contradictions(config)):
        raise ConfigError("\n".join(f"{problem.key}: {problem.what}" for problem in problems))
    return config
