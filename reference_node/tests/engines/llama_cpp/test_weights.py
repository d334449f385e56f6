from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from consilience_node.engines.llama_cpp.weights import weights_sha256


def test_digest_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"0123")
    assert weights_sha256(path, cache_directory=tmp_path) == hashlib.sha256(b"0123").digest()


def test_digest_is_computed_once_for_an_unchanged_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"0123")
    before = path.stat()
    digest = weights_sha256(path, cache_directory=tmp_path)
    path.write_bytes(b"4567")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert weights_sha256(path, cache_directory=tmp_path) == digest


def test_digest_follows_a_changed_file(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"0123")
    weights_sha256(path, cache_directory=tmp_path)
    path.write_bytes(b"01234")
    assert weights_sha256(path, cache_directory=tmp_path) == hashlib.sha256(b"01234").digest()


def test_broken_cache_entry_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"0123")
    digest = weights_sha256(path, cache_directory=tmp_path)
    (entry,) = (tmp_path / "weights-digests").iterdir()
    entry.write_bytes(b"short")
    assert weights_sha256(path, cache_directory=tmp_path) == digest


def test_digest_is_told_where_it_cannot_be_remembered_and_that_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"0123")
    unwritable = tmp_path / "cache"
    unwritable.write_text("a file, in which nobody makes a folder")
    for _ in range(2):
        assert weights_sha256(path, cache_directory=unwritable) == hashlib.sha256(b"0123").digest()
    (record,) = caplog.records
    assert f"cannot write the cache {unwritable} (" in record.message
