from __future__ import annotations

from consilience.nodes import Limits, Skill
from consilience_node.skills.token_limits import card_limits, token_limits

NODE = Limits(max_output_tokens=512)


def bounds(own: Limits, *, node: Limits = NODE, context: int, longest: int | None = None) -> tuple[int, int]:
    limits = token_limits(own, node=node, context_tokens=context, longest_answer=longest)
    return limits.max_input_tokens, limits.max_output_tokens


def test_a_prompt_may_have_what_an_answer_leaves_of_the_context() -> None:
    assert bounds(Limits(), context=8192) == (8192 - 512, 512)


def test_the_skill_comes_before_the_node() -> None:
    assert bounds(Limits(max_output_tokens=100, max_input_tokens=50), context=8192) == (50, 100)


def test_no_more_is_declared_than_the_model_can_hold() -> None:
    assert bounds(Limits(max_input_tokens=9000), context=8192) == (8192 - 512, 512)
    assert bounds(Limits(), context=256) == (128, 128)


def test_a_skill_that_never_says_much_leaves_more_to_the_prompt() -> None:
    assert bounds(Limits(), context=8192, longest=96) == (8192 - 96, 96)


def test_a_model_of_unknown_context_has_no_bound_on_prompts_but_the_operators() -> None:
    assert bounds(Limits(), context=0) == (0, 512)
    assert bounds(Limits(), node=Limits(max_output_tokens=512, max_input_tokens=99), context=0) == (99, 512)


def test_the_other_limits_of_the_skill_stay_as_they_are() -> None:
    assert token_limits(Limits(max_turns=3), node=NODE, context_tokens=8192).max_turns == 3


def skill_with(*, inputs: int, outputs: int) -> Skill:
    return Skill(id="a", limits=Limits(max_input_tokens=inputs, max_output_tokens=outputs))


def test_a_card_states_the_widest_of_its_skills() -> None:
    limits = card_limits(NODE, skills=[skill_with(inputs=100, outputs=96), skill_with(inputs=50, outputs=256)])
    assert (limits.max_input_tokens, limits.max_output_tokens) == (100, 256)


def test_a_card_states_no_bound_on_prompts_that_one_of_its_skills_does_not_have() -> None:
    limits = card_limits(NODE, skills=[skill_with(inputs=100, outputs=96), skill_with(inputs=0, outputs=96)])
    assert limits.max_input_tokens == 0
