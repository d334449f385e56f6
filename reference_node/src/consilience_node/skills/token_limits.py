"""The bounds on tokens that a skill declares: what the operator says, and what its model can hold."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from consilience.nodes import Limits, Skill, tighter_limits

SMALLEST_PROMPT_SHARE = 2
"""At least one part in so many of a context belongs to the prompt, however long answers may be."""


def token_limits(own: Limits, *, node: Limits, context_tokens: int, longest_answer: int | None = None) -> Limits:
    """Returns the limits of a skill with both bounds on tokens stated, where they can be known.

    Args:
        own: What the operator says of the skill; zero: nothing.
        node: What the operator says of the node; zero: nothing.
        context_tokens: What prompt and answer may have together; 0: not known.
        longest_answer: More tokens than this the skill never makes.
    """
    stated = tighter_limits(node, own)
    output = stated.max_output_tokens
    if longest_answer is not None:
        output = min(output, longest_answer)
    if context_tokens:
        output = min(output, context_tokens // SMALLEST_PROMPT_SHARE)
    room = max(context_tokens - output, 0)
    bounds = [bound for bound in (stated.max_input_tokens, room) if bound]
    return replace(own, max_output_tokens=output, max_input_tokens=min(bounds, default=0))


def card_limits(node: Limits, *, skills: Iterable[Skill]) -> Limits:
    """Returns the limits of a card: on tokens, the widest of its skills, since each skill states its own.

    Args:
        node: What the operator says of the node.
        skills: All of the node, with their own limits; a registry may have none.
    """
    stated = [tighter_limits(node, skill.limits) for skill in skills]
    if not stated:
        return node
    inputs = [limits.max_input_tokens for limits in stated]
    return replace(
        node,
        max_output_tokens=max(limits.max_output_tokens for limits in stated),
        max_input_tokens=max(inputs) if all(inputs) else node.max_input_tokens,
    )
