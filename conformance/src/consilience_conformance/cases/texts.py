"""Checks of the text of answers (spec section 2.4): whole characters, the bound on its size, no cross-talk."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from consilience.v1 import conformance_pb2
from consilience_conformance.callers import TESTER_KEYS
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.rules.answers import answer_findings
from consilience_conformance.rules.endings import ended_as, snapshot_of, snapshot_tells, text_is
from consilience_conformance.rules.logs import MAX_MESSAGE_BYTES, complete, read_log
from consilience_conformance.stage import Stage, accepted, text_seen, token, wait
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

SPLIT_TEXT = "aé€😀ß中🏳️‍🌈z"
"""Characters of one to four bytes, and one that is several code points."""

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

ANSWERS_AT_ONCE = 50
MAX_TOKEN_BYTES = 65_536
SCRIPT_BYTES = 1024
"""What a script takes beyond its text, about."""


def _bytewise(text: str) -> list[conformance_pb2.ScriptStep]:
    return [token(bytes([byte])) for byte in text.encode()]


async def _broken_characters(stage: Stage) -> None:
    """Each byte is a token; a token ends within a character while the work waits; others end or hold no UTF-8."""
    await stage.send("bytewise", stage.ask(*_bytewise(SPLIT_TEXT)))
    gate = stage.gate()
    ask = stage.ask(token(b"30 \xc2"), wait(gate), token(b"\xb0C"))
    reader = stage.open_ask("held-back", ask)
    await reader.until(text_seen("30 "), budget=stage.budget)
    await stage.get("meanwhile", ask)
    await stage.open_gate("open", gate)
    await reader.until(budget=stage.budget)
    await stage.send("unfinished", stage.ask(token("ends "), token(b"\xf0\x9f\x98")))
    await stage.send("no-utf-8", stage.ask(token(b"a\xffb"), token(b"\xc0\x80c"), token(b"\xed\xa0\x80d")))


def _judge_characters(seen: Transcript) -> Iterator[Finding]:
    for name, text in (("bytewise", SPLIT_TEXT), ("held-back", "30 °C")):
        yield from complete(seen[name])
        yield from text_is(read_log(seen[name]), text, requirement="STRM-TXT-001", name=name)
    meanwhile = snapshot_of(seen["meanwhile"])
    if meanwhile is None or meanwhile.text != "30 ":
        yield Finding(
            requirement="STRM-TXT-001",
            message="the bytes of a character that is not whole were not held back",
            expected=repr("30 "),
            got=repr(meanwhile.text) if meanwhile else "no answer",
            exchange="meanwhile",
        )
    for name, whole in (("unfinished", "ends "), ("no-utf-8", "abcd")):
        yield from complete(seen[name])
        log = read_log(seen[name])
        yield from answer_findings(seen, log, asked=seen[name])
        if log.text.replace(REPLACEMENT, "") != whole or REPLACEMENT not in log.text:
            yield Finding(
                requirement="SEC-SCRIPT-004",
                message="bytes that are no UTF-8 did not become U+FFFD",
                expected=repr(whole) + " and U+FFFD",
                got=repr(log.text),
                exchange=name,
            )


async def _too_large(stage: Stage) -> None:
    room = min(stage.limit("max_input_bytes"), stage.limit("max_message_bytes")) // 2 - SCRIPT_BYTES
    size = min(MAX_TOKEN_BYTES, room)
    times = MAX_MESSAGE_BYTES // size + 1 if size > 0 else 0
    most = stage.limit("max_output_tokens")
    if not times or (most and times > most):
        raise NotApplicableError(f"within its limits the node writes no text of {MAX_MESSAGE_BYTES} bytes")
    data = b"e" + "é".encode() * ((size - 1) // 2)
    ask = stage.ask(token(data, times=times), token("THE END"))
    await stage.send("ask", ask)
    await stage.get("get", ask)


def _judge_too_large(seen: Transcript) -> Iterator[Finding]:
    yield from complete(seen["ask"])
    log = read_log(seen["ask"])
    yield from ended_as(log, "TRUNCATED OUTPUT_LIMIT", requirement="STRM-SIZE-001", name="ask")
    yield from answer_findings(seen, log, asked=seen["ask"])
    size = sum(len(response.data) for response in seen["get"].responses)
    if size > MAX_MESSAGE_BYTES:
        yield Finding(
            requirement="STRM-SIZE-001",
            message="a response is too large",
            expected=f"at most {MAX_MESSAGE_BYTES} bytes",
            got=f"{size} bytes",
            exchange="get",
        )
    yield from snapshot_tells(seen["get"], log, requirement="STRM-SIZE-001")


async def _many(stage: Stage) -> None:
    """Opens as many answers at once as the limits allow, which go on together when one gate is opened."""
    each = stage.limit("max_running_asks_per_caller")
    count = min(ANSWERS_AT_ONCE, stage.limit("max_running_asks") - 1, (each - 1) * len(stage.callers))
    if count <= 1:
        raise NotApplicableError("the node works on one ask at a time")
    gate = stage.gate()
    readers = []
    for index in range(count):
        caller = stage.callers[index % len(stage.callers)]
        steps = [token(f"{index}: "), wait(gate), *[token(f"{index}.{word} ") for word in range(8)]]
        reader = stage.open_ask(f"ask-{index}", stage.ask(*steps, caller=caller), caller=caller)
        readers.append(reader)
        stage.note("count", len(readers))
        if not await reader.until(accepted, budget=stage.budget):
            return
    await stage.open_gate("open", gate)
    await asyncio.gather(*(reader.until(budget=stage.budget) for reader in readers))


def _judge_many(seen: Transcript) -> Iterator[Finding]:
    for index in range(int(str(seen.notes["count"]))):
        name = f"ask-{index}"
        log = read_log(seen[name])
        text = f"{index}: " + "".join(f"{index}.{word} " for word in range(8))
        yield from text_is(log, text, requirement="STRM-CUR-001", name=name)
        yield from complete(seen[name])
        yield from answer_findings(seen, log, asked=seen[name])


CHECKS = (
    Check(
        name="deltas-hold-whole-characters",
        title="Text goes out in whole characters, however a model's tokens break them.",
        requirements=("STRM-TXT-001", "STRM-TXT-002", "SEC-SCRIPT-004"),
        drive=_broken_characters,
        judge=_judge_characters,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="a-text-too-large-is-truncated",
        title="A text that fits into no response is TRUNCATED, and what is left can be read in one piece.",
        requirements=("STRM-SIZE-001",),
        drive=_too_large,
        judge=_judge_too_large,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="answers-at-one-time-do-not-mix",
        title="Fifty answers that are written at one time, or as many as the limits allow, do not mix.",
        requirements=("STRM-CUR-001", "STRM-TXT-002", "ASK-ANS-002"),
        drive=_many,
        judge=_judge_many,
        needs=Needs.SCRIPT,
        alone=True,
        callers=TESTER_KEYS,
    ),
)
