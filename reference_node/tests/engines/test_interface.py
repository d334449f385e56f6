from __future__ import annotations

import subprocess
import sys

import pytest

from consilience_node.engines import Message, Prompt, Role, Sampling


def _message(role: Role) -> Message:
    return Message(role=role, content="text")


@pytest.mark.parametrize(
    "roles",
    [
        (),
        (Role.SYSTEM,),
        (Role.USER, Role.ASSISTANT),
        (Role.USER, Role.SYSTEM, Role.USER),
    ],
)
def test_prompt_that_does_not_end_with_the_user_or_has_a_late_system_turn_is_refused(roles: tuple[Role, ...]) -> None:
    with pytest.raises(ValueError, match=r"user message|come first"):
        Prompt(messages=tuple(map(_message, roles)))


def test_conversation_with_all_roles_is_a_prompt() -> None:
    roles = (Role.SYSTEM, Role.USER, Role.ASSISTANT, Role.USER)
    assert [message.role for message in Prompt(messages=tuple(map(_message, roles))).messages] == list(roles)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_output_tokens", 0),
        ("temperature", -0.1),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("stop", ("",)),
        ("seed", -1),
    ],
)
def test_sampling_out_of_range_is_refused_and_the_field_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=field.replace("stop", "stop sequence")):
        Sampling(**{"max_output_tokens": 1, field: value})  # type: ignore[arg-type]


def test_importing_the_interface_loads_no_engine() -> None:
    code = (
        "import sys, consilience_node.engines; print(*{'llama_cpp', 'httpx', 'numpy', 'pydantic'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "\n"
