"""The conformance suite: byte vectors and descriptor images with which a node or an SDK in any language is judged.

The suite imports nothing of ours but the generated `consilience.v1`: a judge must not inherit the bugs of the accused.

Example:
    >>> from importlib.resources import files
    >>> image = files("consilience_conformance") / "descriptors" / "consilience_v1.binpb"
"""

__version__ = "0.1.0"
