"""From the turns of an ask to the messages of a prompt.

What an asker writes is data and stays data: each turn becomes the content of one message, and no engine parses
content for turn markers.
"""

from __future__ import annotations

from consilience.asks import Blob, Turn
from consilience.asks import Role as TurnRole
from consilience.errors import FieldInvalidError, FieldViolation, FieldViolations
from consilience.nodes import DataClass
from consilience_node.engines import Message, Prompt, Role

_ROLES = {TurnRole.ASKER: Role.USER, TurnRole.NODE: Role.ASSISTANT}


def messages_of(turns: tuple[Turn, ...]) -> tuple[Message, ...]:
    """Returns one message per turn; the last one is the question.

    Raises:
        FieldInvalidError: The last turn is not the asker's, or a blob of text is not UTF-8.
    """
    last = len(turns) - 1
    if turns[last].role is not TurnRole.ASKER:
        raise _invalid(f"turns[{last}].role", "must be the asker's: the last turn is the question")
    return tuple(
        Message(role=_ROLES[turn.role], content=_text_of(turn, path=f"turns[{index}]"))
        for index, turn in enumerate(turns)
    )


def prompt_of(messages: tuple[Message, ...], *, system: str | None, data_class: DataClass) -> Prompt:
    """Puts the messages behind what the model is told first.

    Only the tokens of public asks are shared with others: how fast an answer comes would tell whether somebody else
    asked the same.
    """
    opening = () if system is None else (Message(role=Role.SYSTEM, content=system),)
    return Prompt(messages=(*opening, *messages), share_prefix=data_class is DataClass.PUBLIC)


def _text_of(turn: Turn, *, path: str) -> str:
    return "\n".join(_part_text(part, path=f"{path}.parts[{index}]") for index, part in enumerate(turn.parts))


def _part_text(part: str | Blob, *, path: str) -> str:
    if isinstance(part, str):
        return part
    try:
        return part.data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid(f"{path}.blob.data", f"must be UTF-8; byte {error.start} is not") from error


def _invalid(field: str, description: str) -> FieldInvalidError:
    violations = FieldViolations(violations=(FieldViolation(field=field, description=description),))
    return FieldInvalidError(f"{field} {description}", detail=violations)
