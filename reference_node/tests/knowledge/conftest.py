"""The real dictionary and the real handbook, read and indexed once."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from consilience_node.knowledge.calibration import read_calibration
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.dictionary import read_dictionary
from consilience_node.knowledge.documents import Document, read_folder
from consilience_node.knowledge.index import Index

KNOWLEDGE = Path(__file__).parents[3] / "examples" / "knowledge"


@pytest.fixture(scope="session")
def foldoc() -> Document:
    return read_dictionary(KNOWLEDGE / "foldoc" / "foldoc.index")


@pytest.fixture(scope="session")
def handbook() -> tuple[Document, ...]:
    return read_folder(KNOWLEDGE / "handbook")


@pytest.fixture(scope="session")
def foldoc_index(foldoc: Document, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("index") / "foldoc.sqlite", documents=[foldoc]) as index:
        yield index


@pytest.fixture(scope="session")
def handbook_index(handbook: tuple[Document, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    with Index.open(tmp_path_factory.mktemp("index") / "handbook.sqlite", documents=handbook) as index:
        yield index


@pytest.fixture(scope="session")
def smollm2() -> Confidences:
    folder = resources.files("consilience_node.knowledge").joinpath("calibrations")
    file = folder.joinpath("smollm2-135m-instruct.json")
    return Confidences(read_calibration(file.read_bytes(), name=file.name))
