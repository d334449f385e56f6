"""The digest that says which weights a node runs, computed once per file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from consilience_node.engines.llama_cpp.cache_warning import warn_unwritable


def weights_sha256(path: Path, *, cache_directory: Path) -> bytes:
    """Returns the SHA-256 of a model file.

    Hashing gigabytes takes a while, so the digest is remembered for as long as the path, the size
    and the time of modification stay as they are. Where it cannot be remembered, it is computed
    at every start.

    Args:
        path: the model file.
        cache_directory: where digests are remembered.
    """
    status = path.stat()
    name = f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}".encode()
    remembered = cache_directory / "weights-digests" / hashlib.sha256(name).hexdigest()
    with contextlib.suppress(OSError):
        if len(digest := remembered.read_bytes()) == hashlib.sha256().digest_size:
            return digest
    with path.open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").digest()
    try:
        _write_whole(remembered, digest)
    except OSError as error:
        warn_unwritable(cache_directory, reason=error.strerror or str(error))
    return digest


def _write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    Path(temporary).replace(path)
