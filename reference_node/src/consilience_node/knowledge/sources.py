"""Finds out what a knowledge source is, and reads it: a folder, a dictionary, or an installed dictionary by its name.

Example::

    documents = read_source("foldoc")                     # /usr/share/dictd/foldoc.index, from Debian's dict-foldoc
    documents = read_source("examples/knowledge/handbook")
"""

from collections.abc import Sequence
from pathlib import Path

from consilience_node.knowledge.dictionary import read_dictionary
from consilience_node.knowledge.documents import Document, read_folder
from consilience_node.knowledge.errors import SourceKindError, SourceMissingError

DICTIONARY_FOLDERS = (Path("/usr/share/dictd"), Path("/usr/local/share/dictd"))
"""Where dictionaries are installed, the first that has one counts."""


def read_source(
    source: str, *, base_uri: str | None = None, dictionary_folders: Sequence[Path] = DICTIONARY_FOLDERS
) -> tuple[Document, ...]:
    """Reads a knowledge source.

    Args:
        source: A folder; a dictionary's `.index` file; or the name of an installed dictionary.
        base_uri: What stands before the path, or the file name, of a document in its uri.
        dictionary_folders: Where a dictionary is looked for by its name.

    Returns:
        Its documents, at least one.

    Raises:
        SourceMissingError: There is no such folder, file or dictionary.
        SourceKindError: It is a single file that is no index of a dictionary.
        KnowledgeError: It cannot be read; the subclass says why.
    """
    path = Path(source)
    if path.is_dir():
        return read_folder(path, base_uri=base_uri)
    if path.suffix != ".index" and len(path.parts) == 1:
        installed = (folder / f"{source}.index" for folder in dictionary_folders)
        path = next((index for index in installed if index.is_file()), path)
    if path.suffix != ".index":
        raise SourceKindError(path) if path.exists() else SourceMissingError(path)
    name = f"{path.stem}.dict"
    uri = name if base_uri is None else f"{base_uri.rstrip('/')}/{name}"
    return (read_dictionary(path, uri=uri),)
