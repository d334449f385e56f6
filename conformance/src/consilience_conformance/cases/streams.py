"""Checks of logs and the streams over them (spec section 2.4), live and with scripts."""

from __future__ import annotations

from collections.abc import Iterator

from consilience.v1 import ask_pb2
from consilience_conformance.checks import Check
from consilience_conformance.needs import Needs, NotApplicableError
from consilience_conformance.rules.answers import answer_findings
from consilience_conformance.rules.endings import snapshot_tells, tail_is, text_is
from consilience_conformance.rules.logs import Log, complete, first_sequence, read_log, same_log
from consilience_conformance.rules.refusals import refused, was_accepted
from consilience_conformance.stage import Stage, accepted, text_seen, token, wait
from consilience_conformance.steps import cites, reports
from consilience_conformance.transcripts import Transcript
from consilience_conformance.verdicts import Finding

MAX_TAILS = 16
"""Places of a log from which it is read again; of a longer one, its ends and places chosen by chance."""

FAR = 2**40

SLOW_TOKENS = 200
"""Of 4 KiB each: more than waits on its way to a reader."""


async def _read_again(stage: Stage, ask: ask_pb2.Ask, *, last: int) -> None:
    """Reads the log of a finished answer from its places, as exchanges `tail-N`."""
    places = list(range(last + 1))
    if len(places) > MAX_TAILS:
        places = sorted({0, 1, last - 1, last, *stage.random.sample(places, MAX_TAILS - 4)})
    for after in places:
        await stage.resume(f"tail-{after}", ask, after=after)


async def _live_readers(stage: Stage) -> None:
    ask = stage.ask()
    envelope = stage.seal(ask)
    first = await stage.send("first", envelope)
    await stage.send("copy", envelope)
    await stage.get("get", ask)
    await _read_again(stage, ask, last=read_log(first).last)


def _judge_readers(seen: Transcript) -> Iterator[Finding]:
    log = read_log(seen["first"])
    yield from complete(seen["first"])
    yield from complete(seen["copy"])
    yield from same_log((name, read_log(seen[name])) for name in ("first", "copy"))
    yield from snapshot_tells(seen["get"], log)
    for tail in seen.named("tail-"):
        yield from tail_is(tail, log, after=int(tail.name.removeprefix("tail-")))


def _need_two_readers(stage: Stage) -> None:
    if stage.limit("max_readers_per_answer") == 1:
        raise NotApplicableError("an answer has one reader at a time")


WORDS = ("One. ", "Two. ", "Three. ", "Four.")


async def _paced_readers(stage: Stage) -> None:
    """One reader sees each text as it is made, one reads only at the end, others come later."""
    _need_two_readers(stage)
    gates = [stage.gate() for _ in WORDS]
    steps = [step for text, gate in zip(WORDS, gates, strict=True) for step in (token(text), token(text), wait(gate))]
    ask = stage.ask(*steps[:-1], cites("one"), reports("half"), token("Five. "), token("Six."), steps[-1])
    envelope = stage.seal(ask)
    first = stage.open_ask("first", envelope)
    await first.until(accepted, budget=stage.budget)
    slow = stage.open_ask("copy", envelope)
    text = ""
    for word, gate in zip(WORDS, gates, strict=True):
        text += 2 * word
        await first.until(text_seen(text), budget=stage.budget)
        await stage.open_gate(f"gate-{len(text)}", gate)
    for reader in (first, slow):
        await reader.until(budget=stage.budget)
    await stage.get("get", ask)
    await _read_again(stage, ask, last=read_log(stage.transcript["first"]).last)


def _judge_paced(seen: Transcript) -> Iterator[Finding]:
    yield from _judge_readers(seen)
    log = read_log(seen["first"])
    yield from text_is(
        log, "".join(2 * word for word in WORDS) + "Five. Six.", requirement="SEC-SCRIPT-001", name="first"
    )
    for reader in (seen["copy"], *seen.named("tail-")):
        yield from _merged_whole(read_log(reader, after=_after(reader.name)), log, name=reader.name)


def _after(name: str) -> int:
    return int(name.removeprefix("tail-")) if name.startswith("tail-") else 0


def _merged_whole(log: Log, fine: Log, *, name: str) -> Iterator[Finding]:
    """Yields the merged deltas of a log whose text is not that of their neighbours, as a quicker reader had them."""
    for event in log.events:
        if event.WhichOneof("event") != "text_delta":
            continue
        first = first_sequence(event)
        parts = [part for part in fine.events if first <= first_sequence(part) and part.sequence <= event.sequence]
        if not parts or (first_sequence(parts[0]), parts[-1].sequence) != (first, event.sequence):
            continue
        text = "".join(part.text_delta.text for part in parts)
        others = any(part.WhichOneof("event") != "text_delta" for part in parts)
        if others or text != event.text_delta.text:
            yield Finding(
                requirement="STRM-CUR-002",
                message="a merged delta is not made of whole neighbours",
                expected=repr(text) if not others else "nothing but deltas side by side",
                got=repr(event.text_delta.text),
                exchange=name,
            )


async def _beyond(stage: Stage) -> None:
    ask = stage.ask()
    last = read_log(await stage.send("ask", ask)).last
    await stage.resume("before", ask, after=last)
    await stage.resume("one-too-far", ask, after=last + 1)
    await stage.resume("far", ask, after=FAR)
    await stage.resume("after", ask, after=last)


def _judge_beyond(seen: Transcript) -> Iterator[Finding]:
    yield from was_accepted(seen["before"], requirement="STRM-CUR-003")
    for name in ("one-too-far", "far"):
        yield from refused(seen[name], "SEQUENCE_UNKNOWN", requirement="STRM-CUR-003")
    yield from was_accepted(seen["after"], requirement="STRM-CUR-003")


async def _beyond_what_runs(stage: Stage) -> None:
    _need_two_readers(stage)
    gate = stage.gate()
    ask = stage.ask(token("so far"), wait(gate), token(" and on"))
    reader = stage.open_ask("ask", ask)
    await reader.until(text_seen("so far"), budget=stage.budget)
    last = reader.events[-1].sequence if reader.events else 0
    await stage.resume("beyond", ask, after=last + 1, until=accepted)
    await stage.open_gate("open", gate)
    await reader.until(budget=stage.budget)
    await stage.resume("then", ask, after=last + 1)


def _judge_beyond_what_runs(seen: Transcript) -> Iterator[Finding]:
    yield from refused(seen["beyond"], "SEQUENCE_UNKNOWN", requirement="STRM-CUR-003")
    yield from complete(seen["ask"])
    yield from was_accepted(seen["then"], requirement="STRM-CUR-003")


async def _live_stream(stage: Stage) -> None:
    """Looks at the stream while the work stands at its first step, and in its middle."""
    first, second = stage.gate(), stage.gate()
    ask = stage.ask(wait(first), token("in the middle"), wait(second), token(", at the end"))
    reader = stage.open_ask("ask", ask)
    stage.note("accepted", await reader.until(accepted, budget=stage.budget))
    stage.note("first", [event.WhichOneof("event") for event in reader.events])
    await stage.open_gate("open-first", first)
    stage.note("middle", await reader.until(text_seen("in the middle"), budget=stage.budget))
    await stage.get("get", ask)
    stage.note("read", len(reader.events))
    await stage.open_gate("open-second", second)
    await reader.until(budget=stage.budget)


def _judge_live_stream(seen: Transcript) -> Iterator[Finding]:
    if not seen.notes["accepted"] or seen.notes["first"] != ["accepted"]:
        yield Finding(
            requirement="STRM-LOG-002",
            message="Accepted did not come before the work began",
            expected="accepted",
            got=str(seen.notes["first"]),
            exchange="ask",
        )
        return
    if not seen.notes["middle"]:
        message = "the stream did not bring what stood in the log while the work went on"
        yield Finding(requirement="STRM-CUR-001", message=message, exchange="ask")
        return
    log = read_log(seen["ask"])
    yield from snapshot_tells(seen["get"], _beginning(log, int(str(seen.notes["read"]))))
    yield from complete(seen["ask"])
    yield from text_is(log, "in the middle, at the end", requirement="SEC-SCRIPT-001", name="ask")
    yield from answer_findings(seen, log, asked=seen["ask"])


def _beginning(log: Log, count: int) -> Log:
    """Returns the log as it stood when this many events had been read, none of them the last."""
    events = log.events[:count]
    return Log(
        events=events,
        text="".join(event.text_delta.text for event in events),
        last=events[-1].sequence if events else 0,
    )


async def _slow_reader(stage: Stage) -> None:
    """One reader takes the beginning and then nothing, while another reads to the end."""
    _need_two_readers(stage)
    gate = stage.gate()
    times = min(SLOW_TOKENS, stage.limit("max_output_tokens") or SLOW_TOKENS)
    ask = stage.ask(wait(gate), token("x" * 4096, times=times))
    envelope = stage.seal(ask)
    slow = stage.open_ask("slow", envelope)
    await slow.until(accepted, budget=stage.budget)
    quick = stage.open_ask("quick", envelope)
    await quick.until(accepted, budget=stage.budget)
    await stage.open_gate("open", gate)
    await quick.until(budget=stage.budget)
    await slow.until(budget=stage.budget)


def _judge_slow_reader(seen: Transcript) -> Iterator[Finding]:
    yield from complete(seen["quick"], requirement="STRM-CUR-004")
    yield from complete(seen["slow"], requirement="STRM-CUR-004")
    yield from same_log((name, read_log(seen[name])) for name in ("quick", "slow"))


CHECKS = (
    Check(
        name="every-reader-reads-one-log",
        title="A copy, GetAnswer and a reader from any place get what the first reader got.",
        requirements=("STRM-CUR-001", "STRM-LOG-001", "STRM-LOG-003"),
        drive=_live_readers,
        judge=_judge_readers,
    ),
    Check(
        name="readers-at-different-speeds-read-one-log",
        title="Whoever reads at once, late or from the middle gets the same events, deltas merged as whole neighbours.",
        requirements=("STRM-CUR-001", "STRM-CUR-002", "STRM-LOG-001", "STRM-LOG-003"),
        drive=_paced_readers,
        judge=_judge_paced,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="resume-from-behind-the-log-is-refused",
        title="Nobody resumes from a sequence that a finished log does not have; its last one gives an empty stream.",
        requirements=("STRM-CUR-003",),
        drive=_beyond,
        judge=_judge_beyond,
    ),
    Check(
        name="resume-from-what-is-yet-to-come-is-refused",
        title="Nobody resumes from a sequence that a running log has not reached yet.",
        requirements=("STRM-CUR-003",),
        drive=_beyond_what_runs,
        judge=_judge_beyond_what_runs,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="a-stream-brings-what-there-is-at-once",
        title="Accepted comes before the work begins, and text while it goes on.",
        requirements=("STRM-LOG-002", "STRM-CUR-001"),
        drive=_live_stream,
        judge=_judge_live_stream,
        needs=Needs.SCRIPT,
    ),
    Check(
        name="a-slow-reader-holds-nobody-up",
        title="A reader that takes nothing for a while holds up neither the work nor another reader.",
        requirements=("STRM-CUR-004",),
        drive=_slow_reader,
        judge=_judge_slow_reader,
        needs=Needs.SCRIPT,
    ),
)
