"""An adapter that does not keep the protocol between it and the suite: `--odd NAME`. The SDK behind it is sound."""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from examples.clients.python import client_under_test
from examples.clients.python.client_under_test import ClientUnderTest, main

Reply = Mapping[str, Any]
_right = client_under_test.reply_to


def _dies(told: Mapping[str, Any], reply: Reply) -> Reply:
    if told.get("dataClass") == "INTERNAL":
        os._exit(3)
    return reply


def _supports_nothing(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {**reply, "supports": []} if "protocol" in told else reply


def _knows_no_registry(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {**reply, "supports": ["data-class", "trusted-nodes"]} if "protocol" in told else reply


def _finds_by_halves(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {"found": [{"card": row["card"]} for row in reply["found"]]} if told.get("do") == "find" else reply


def _knows_no_withdrawals(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {"unsupported": True} if told.get("do") == "withdraw" else reply


def _tells_no_standing(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {"withdrawn": "PERHAPS"} if told.get("do") == "withdraw" else reply


def _tells_half_of_an_account(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {"account": {"spent": 5}} if told.get("do") == "account" else reply


def _speaks_an_older_protocol(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {**reply, "protocol": "consilience-client/0"} if "protocol" in told else reply


def _says_two_things(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {**reply, "rejected": "or not"} if told.get("do") == "ask" else reply


def _breaks_a_character(told: Mapping[str, Any], reply: Reply) -> Reply:
    return {"answered": {"text": "\udc00", "outcome": "ANSWERED"}} if told.get("do") == "ask" else reply


def _says_more(told: Mapping[str, Any], reply: Reply) -> Reply:
    if told.get("dataClass") == "RESTRICTED":
        sys.stdout.write(json.dumps({"id": told["id"], **reply}) + "\n")
    return reply


ODD: dict[str, Callable[[Mapping[str, Any], Reply], Reply]] = {
    "dies": _dies,
    "supports-nothing": _supports_nothing,
    "knows-no-registry": _knows_no_registry,
    "finds-by-halves": _finds_by_halves,
    "knows-no-withdrawals": _knows_no_withdrawals,
    "tells-no-standing": _tells_no_standing,
    "tells-half-of-an-account": _tells_half_of_an_account,
    "speaks-an-older-protocol": _speaks_an_older_protocol,
    "says-two-things": _says_two_things,
    "breaks-a-character": _breaks_a_character,
    "says-more": _says_more,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--odd", required=True, choices=ODD)
    change = ODD[parser.parse_args().odd]

    async def reply_to(told: Mapping[str, Any], client: ClientUnderTest) -> Reply:
        return change(told, await _right(told, client))

    client_under_test.reply_to = reply_to
    asyncio.run(main())
