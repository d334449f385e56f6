"""The configuration of a node that nobody wrote a file for: one model, and a skill for each thing it knows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from consilience_node.config.reading import ConfigError, contradictions
from consilience_node.config.settings import DEFAULT_MODEL_ID, DEFAULT_SKILL_ID, Config

_DOMAINS = {"foldoc": ["computing"]}
_NO_SLUG = re.compile(r"[^a-z0-9]+")


def default_config(*, name: str = "", model: str | None = None, knowledge: Sequence[str] = ()) -> Config:
    """Returns the configuration that a few words on the command line stand for.

    The skills with knowledge come first, because an asker who names no skill is given the first.

    Args:
        name: What the node is called.
        model: Name of a packaged model or path of a GGUF file; the packaged SmolLM2 when absent.
        knowledge: Folders, dictionaries, or names of installed dictionaries.

    Raises:
        ConfigError: Two of them would lead to one skill id, or a word is none that can be set.
    """
    model_id = DEFAULT_MODEL_ID if model is None else Path(model).stem
    tables = {
        "node": {"name": name},
        "models": [{"engine": "llama_cpp", "id": model_id, "weights": model or DEFAULT_MODEL_ID}],
        "skills": [
            *(_knowledge_skill(source, model=model_id) for source in knowledge),
            {"id": DEFAULT_SKILL_ID, "model": model_id, "description": "Answers from the memory of its model."},
        ],
    }
    try:
        config = Config.model_validate(tables)
    except ValidationError as error:
        raise ConfigError("\n".join(f"{details['msg']}: {details['input']!r}" for details in error.errors())) from error
    if problems := list(contradictions(config)):
        raise ConfigError("\n".join(f"{problem.key}: {problem.what}" for problem in problems))
    return config


def _knowledge_skill(source: str, *, model: str) -> dict[str, object]:
    slug = _NO_SLUG.sub("-", Path(source).absolute().stem.lower()).strip("-")[:40] or "folder"
    return {
        "id": f"knowledge.{slug}",
        "model": model,
        "knowledge": source,
        "description": f"Answers from {slug}, and cites the passage.",
        "domains": _DOMAINS.get(slug, [slug]),
    }
