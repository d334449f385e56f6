"""A source is a folder, a dictionary's index, or an installed dictionary by its name."""

import shutil
from pathlib import Path

import pytest

from consilience_node.knowledge.errors import SourceKindError, SourceMissingError
from consilience_node.knowledge.sources import read_source

KNOWLEDGE = Path(__file__).parents[3] / "examples" / "knowledge"


def test_a_folder_is_read_as_documents() -> None:
    documents = read_source(str(KNOWLEDGE / "handbook"), base_uri="https://example.org")
    assert "https://example.org/node-card.md" in [document.uri for document in documents]


def test_an_index_file_is_read_as_a_dictionary() -> None:
    (document,) = read_source(str(KNOWLEDGE / "foldoc" / "foldoc.index"))
    assert document.uri == "foldoc.dict"


def test_a_name_is_looked_up_among_the_installed_dictionaries(tmp_path: Path) -> None:
    installed = tmp_path / "dictd"
    shutil.copytree(KNOWLEDGE / "foldoc", installed)
    (document,) = read_source("foldoc", base_uri="https://foldoc.org", dictionary_folders=[tmp_path, installed])
    assert document.uri == "https://foldoc.org/foldoc.dict"


@pytest.mark.parametrize("source", ["nothing-of-this-name", "./nowhere", "missing.index"])
def test_a_source_that_is_not_there_is_refused_with_what_it_could_be(source: str) -> None:
    with pytest.raises(SourceMissingError, match="is not there"):
        read_source(source, dictionary_folders=[])


def test_a_single_file_is_refused_with_what_to_name_instead(tmp_path: Path) -> None:
    file = tmp_path / "v.md"
    file.write_text("# Heisenbug")
    with pytest.raises(SourceKindError, match="is a single file; name the folder"):
        read_source(str(file), dictionary_folders=[])
