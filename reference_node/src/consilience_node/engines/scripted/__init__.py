"""The engine that plays a written program instead of running a model.

Everything around an engine can be tried with it, as often as one likes and with the same outcome::

    engine = ScriptedEngine(Script(programs=(Program(steps=(Emit(text="Yes."), Gate(name="go"), Emit(text=" No."))),)))
    await engine.start()
    ...                              # ask; the answer stands at "Yes."
    await engine.reached("go")       # no sleep: the generation is at the gate now
    engine.open("go")
"""

from __future__ import annotations

from consilience_node.engines.scripted.engine import ScriptedEngine
from consilience_node.engines.scripted.script import (
    AwaitCancel,
    Emit,
    Fail,
    FailReason,
    Gate,
    Program,
    Script,
    Step,
    Stop,
    Usage,
)
from consilience_node.engines.scripted.script_file import load_script, parse_script

__all__ = [
    "AwaitCancel",
    "Emit",
    "Fail",
    "FailReason",
    "Gate",
    "Program",
    "Script",
    "ScriptedEngine",
    "Step",
    "Stop",
    "Usage",
    "load_script",
    "parse_script",
]
