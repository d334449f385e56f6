"""The client: ask nodes, read and resume answers, verify them (spec chapters 1 and 2).

>>> async with Client() as client:
...     result = await client.ask("What is a heisenbug?", node="cn1…@127.0.0.1:7341")
"""

from __future__ import annotations

from consilience.client.asks import AnswerStream
from consilience.client.checks import Check
from consilience.client.client import Client
from consilience.client.exchanges import Exchange, verify
from consilience.client.questions import AskOptions
from consilience.client.results import AskResult

__all__ = ["AnswerStream", "AskOptions", "AskResult", "Check", "Client", "Exchange", "verify"]
