"""The knowledge of a node: its sources read and indexed when it starts, and open while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import structlog

from consilience_node.config import SkillTable
from consilience_node.knowledge.index import Index
from consilience_node.knowledge.retrieval import Retriever
from consilience_node.knowledge.sources import DICTIONARY_FOLDERS, read_source
from consilience_node.state import StateFolder, StateFolderError

_LOG = structlog.get_logger("consilience_node.library")
_SHIPPED = Path(__file__).parents[3] / "examples" / "knowledge"
"""Knowledge that comes with a checkout of this repository; elsewhere there is no such folder."""


@asynccontextmanager
async def open_library(skills: Iterable[SkillTable], *, state: StateFolder) -> AsyncIterator[Mapping[str, Retriever]]:
    """Opens the knowledge of these skills while the block runs; an index is built where its sources have changed.

    Yields:
        What finds passages for each skill that has knowledge, by the skill's id.

    Raises:
        KnowledgeError: A source cannot be read.
        StateFolderError: The state folder cannot be written.
    """
    with ExitStack() as stack:
        retrievers = {}
        for skill in skills:
            if skill.knowledge is not None:
                index = stack.enter_context(
                    await asyncio.to_thread(_open, skill, skill.knowledge, state.index(skill.id))
                )
                _LOG.info("knowledge", skill=skill.id, source=skill.knowledge, passages=index.chunk_count)
                retrievers[skill.id] = Retriever(index)
        yield retrievers


def _open(skill: SkillTable, source: str, path: Path) -> Index:
    folders = (*DICTIONARY_FOLDERS, _SHIPPED / source)
    documents = read_source(_dictionary_within(source), base_uri=skill.knowledge_uri, dictionary_folders=folders)
    try:
        return Index.open(path, documents=documents)
    except OSError as error:
        raise StateFolderError(f"cannot write the index {path}: {error.strerror}") from error


def _dictionary_within(source: str) -> str:
    """Returns the dictionary where a folder holds one: its other files are about the dictionary, not knowledge."""
    indexes = sorted(Path(source).glob("*.index")) if Path(source).is_dir() else []
    return str(indexes[0]) if len(indexes) == 1 else source
