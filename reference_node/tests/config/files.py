"""Configuration files that a test writes, and what is said of those that are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilience_node.config import ConfigError, read_config


def written(folder: Path, text: str) -> Path:
    path = folder / "node.toml"
    path.write_text(text)
    return path


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_config(written(folder, text))
    return str(caught.value).replace(f"{folder}/", "")
