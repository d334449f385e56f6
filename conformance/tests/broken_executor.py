"""An executor of the vectors with one fault, chosen by `--broken NAME`: what the suite has to catch.

    python -m conformance.tests.broken_executor --broken malleable

The faults of `CARELESS` are in what it makes of a question, those of `UNRULY` and `UNRULY_AT_THE_END` in how it speaks.
"""

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from consilience_conformance import edwards
from consilience_conformance.edwards import STRICT, Rule
from consilience_conformance.envelopes import pre_authentication_encoding
from consilience_conformance.vectors.questions import fields_by_type
from examples.executors.python.executor import answer

Json = dict[str, Any]
FAULTY_LINE = 6
"""The line of its output at which an unruly executor does what it should not; the handshake is line 1."""
_FOR_LONG = 600


def _accepts_everything(question: Json) -> Json:
    return {"id": question["id"], "accepted": answer(question).get("accepted", {})}


def _refuses_everything(question: Json) -> Json:
    return {"id": question["id"], "refused": answer(question).get("refused", "NODE_FAULT")}


def _refuses_for_one_reason(question: Json) -> Json:
    right = answer(question)
    return {**right, "refused": "ENVELOPE_MALFORMED"} if "refused" in right else right


def _echoes(question: Json) -> Json:
    made_up = dict.fromkeys(fields_by_type()[question["type"]].values, "")
    return {"id": question["id"], "accepted": {**made_up, **question["input"]}}


def _swaps_the_digest(question: Json) -> Json:
    right = answer(question)
    values = right.get("accepted", {})
    return {**right, "accepted": {**values, "digest": values["digest"][::-1]}} if "digest" in values else right


def _counts_in_booleans(question: Json) -> Json:
    right = answer(question)
    values = right.get("accepted", {})
    return {**right, "accepted": {**values, "winner": bool(values["winner"])}} if "winner" in values else right


def _leaves_values_out(question: Json) -> Json:
    right = answer(question)
    return {**right, "accepted": {}} if "accepted" in right else right


def _supports_nothing_after_all(question: Json) -> Json:
    return {"id": question["id"], "unsupported": True}


def _verifies_without(rule: Rule) -> Callable[[Json], Json]:
    def lax(question: Json) -> Json:
        right = answer(question)
        if right.get("refused") != "SIGNATURE_INVALID" or question["type"] != "EnvelopeVerify":
            return right
        test = question["input"]
        message = pre_authentication_encoding(test["payloadType"], bytes.fromhex(test["payload"]))
        key, signature = (bytes.fromhex(test[name]) for name in ("publicKey", "signature"))
        if not edwards.verify(signature, message=message, public_key=key, rules=STRICT & ~rule):
            return right
        return {"id": question["id"], "accepted": {"digest": hashlib.sha256(message).hexdigest()}}

    return lax


def _dies(_: Json) -> bytes:
    sys.exit(3)


def _is_killed(_: Json) -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def _dies_within_a_line(right: Json) -> bytes:
    sys.stdout.buffer.write(_line(right)[:9])
    sys.stdout.flush()
    sys.exit(3)


def _is_late(right: Json) -> bytes:
    time.sleep(_FOR_LONG)
    return _line(right)


def _line(reply: Json) -> bytes:
    return json.dumps(reply).encode() + b"\n"


CARELESS: dict[str, Callable[[Json], Json]] = {
    "accepts-everything": _accepts_everything,
    "refuses-everything": _refuses_everything,
    "refuses-for-one-reason": _refuses_for_one_reason,
    "echoes": _echoes,
    "swaps-the-digest": _swaps_the_digest,
    "counts-in-booleans": _counts_in_booleans,
    "leaves-values-out": _leaves_values_out,
    "supports-nothing-after-all": _supports_nothing_after_all,
    "malleable": _verifies_without(Rule.CANONICAL_S),
    "cofactored": _verifies_without(Rule.COFACTORLESS),
}
UNRULY: dict[str, Callable[[Json], bytes]] = {
    "dies": _dies,
    "is-killed": _is_killed,
    "dies-within-a-line": _dies_within_a_line,
    "is-late": _is_late,
    "garbage": lambda _: b"segmentation fault\n",
    "no-object": lambda _: b"[]\n",
    "no-utf-8": lambda right: b'{"id": %d, "refused": "\xff"}\n' % right["id"],
    "endless-number": lambda right: b'{"id": %d, "accepted": {"winner": %s}}\n' % (right["id"], b"9" * 5000),
    "deep": lambda right: b'{"id": %d, "accepted": {"x": %s}}\n' % (right["id"], b"[" * 50 + b"]" * 50),
    "abyss": lambda _: b"[" * 200_000 + b"\n",
    "ten-megabytes": lambda right: _line({**right, "comment": "x" * 10_000_000}),
    "two-lines": lambda right: _line(right) * 2,
    "wrong-id": lambda right: _line({**right, "id": right["id"] + 1}),
    "text-id": lambda right: _line({**right, "id": str(right["id"])}),
    "no-id": lambda right: _line({name: value for name, value in right.items() if name != "id"}),
    "two-verdicts": lambda right: _line({"id": right["id"], "accepted": {}, "refused": "STALE_CARD"}),
    "no-verdict": lambda right: _line({"id": right["id"]}),
    "unknown-field": lambda right: _line({**right, "confidence": 1}),
    "verdict-of-another-form": lambda right: _line({"id": right["id"], "accepted": True}),
}
UNRULY_AT_THE_END: dict[str, Callable[[], object]] = {
    "ends-badly": lambda: sys.exit(3),
    "says-more": lambda: sys.stdout.buffer.write(b"bye\n"),
    "goes-on": lambda: time.sleep(_FOR_LONG),
}
UNRULY_AT_THE_START: dict[str, Json] = {
    "old": {"protocol": "consilience-vectors/0"},
    "nameless": {"name": None},
    "colourful": {"name": "\x1b[31mred"},
    "knows-node-ids-only": {"types": ["NodeIdText"]},
}


def main() -> None:
    """Answers with one fault until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--broken", required=True)
    parser.add_argument("--alive", help="a FIFO that this process and a child of it hold open for as long as they live")
    arguments = parser.parse_args()
    name = arguments.broken
    if arguments.alive:
        held = os.open(arguments.alive, os.O_WRONLY)
        subprocess.Popen(["sleep", str(_FOR_LONG)], pass_fds=(held,), stdin=subprocess.DEVNULL)
    sys.stderr.write(f"broken on purpose: {name}\n")
    for number, text in enumerate(sys.stdin, start=1):
        question = json.loads(text)
        if number == 1:
            said = _line({**answer(question), **UNRULY_AT_THE_START.get(name, {})})
        elif number == FAULTY_LINE and name in UNRULY:
            said = UNRULY[name](answer(question))
        else:
            said = _line(CARELESS.get(name, answer)(question))
        sys.stdout.buffer.write(said)
        sys.stdout.flush()
    UNRULY_AT_THE_END.get(name, sys.stdout.flush)()


if __name__ == "__main__":
    main()
