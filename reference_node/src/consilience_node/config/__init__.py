"""The configuration of a node: `node.toml`, or the few words on a command line that stand for one.

Both ways lead to one value::

    config = read_config(Path("node.toml"))  # raises ConfigError: file, line, key, what is wrong
    config = default_config(knowledge=["handbook"])
"""

from __future__ import annotations

from consilience_node.config.command_line import default_config, overridden, registry_config
from consilience_node.config.prices import PriceTable
from consilience_node.config.reading import ConfigError, read_config
from consilience_node.config.settings import (
    Config,
    LlamaCppModel,
    ModelTable,
    OpenAIModel,
    ScriptedModel,
    SkillTable,
)

__all__ = [
    "Config",
    "ConfigError",
    "LlamaCppModel",
    "ModelTable",
    "OpenAIModel",
    "PriceTable",
    "ScriptedModel",
    "SkillTable",
    "default_config",
    "overridden",
    "read_config",
    "registry_config",
]
