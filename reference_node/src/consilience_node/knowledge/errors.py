"""Says what is wrong with the sources of a knowledge skill.

All of them are the operator's to repair, and each message names the file and the way out::

    KnowledgeError
     ├─ SourceMissingError        the folder or file is not there
     ├─ SourceKindError           a single file, which is no dictionary
     ├─ SourceEmptyError          nothing in it that could be quoted
     ├─ SourceEncodingError       a file is not UTF-8
     ├─ DictionaryFormatError     an index line, or the dictionary, is malformed
     └─ CalibrationFormatError    a calibration file is malformed
"""

from pathlib import Path


class KnowledgeError(Exception):
    """Is the root of everything this package raises on purpose."""


class SourceMissingError(KnowledgeError):
    """Says that a source named in the configuration does not exist."""

    def __init__(self, path: Path) -> None:
        """Keeps the path that was looked for."""
        super().__init__(
            f"knowledge source {path} is not there; it must be a folder of Markdown and text files, the .index file of"
            " a dictionary, or the name of an installed dictionary"
        )
        self.path = path


class SourceKindError(KnowledgeError):
    """Says that a source is a single file, and none that is an index of a dictionary."""

    def __init__(self, path: Path) -> None:
        """Keeps the path of the file."""
        super().__init__(
            f"knowledge source {path} is a single file; name the folder that it lies in, of which every .md and .txt"
            " file is read, or the .index file of a dictionary"
        )
        self.path = path


class SourceEmptyError(KnowledgeError):
    """Says that a source holds no text that could be quoted."""

    def __init__(self, path: Path, *, wanted: str) -> None:
        """Keeps the path; `wanted` says what would have been read from it."""
        super().__init__(f"knowledge source {path} has nothing to quote; it needs {wanted}")
        self.path = path


class SourceEncodingError(KnowledgeError):
    """Says that a file is not UTF-8, and where it stops being so."""

    def __init__(self, path: Path, *, offset: int) -> None:
        """Keeps the path and the byte offset of the first invalid byte."""
        super().__init__(f"{path} is not UTF-8 (invalid byte at offset {offset}); convert it, for example with iconv")
        self.path = path
        self.offset = offset


class DictionaryFormatError(KnowledgeError):
    """Says that a dictionary does not have the dictd format."""

    def __init__(self, path: Path, *, reason: str) -> None:
        """Keeps the path and the reason, which names the line where there is one."""
        super().__init__(f"{path} is not a dictd dictionary: {reason}")
        self.path = path
        self.reason = reason


class CalibrationFormatError(KnowledgeError):
    """Says that a calibration file cannot be used."""

    def __init__(self, source: str, *, reason: str) -> None:
        """Keeps the name of the file and the reason."""
        super().__init__(f"calibration {source} cannot be used: {reason}")
        self.source = source
        self.reason = reason
