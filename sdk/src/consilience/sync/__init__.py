"""The client without `async`: the same client, run on one event loop in the background.

It works in scripts, in threads and in notebooks, where a loop is running already. It has no logic of its own: every
method hands its arguments to `consilience.client` and waits.

>>> with Client() as client:
...     print(client.ask("What is a heisenbug?", node="cn1…@127.0.0.1:7341").text)
"""

from __future__ import annotations

from consilience.sync.asks import AnswerStream
from consilience.sync.client import Client

__all__ = ["AnswerStream", "Client"]
