"""From a table of the configuration to a skill: what it promises in the card, and what keeps the promise."""

from __future__ import annotations

from consilience.nodes import DataClass, Limits, Model, Skill
from consilience_node.config import SkillTable
from consilience_node.engines import Engine
from consilience_node.knowledge.confidence import Confidences
from consilience_node.knowledge.gate import Evidence
from consilience_node.knowledge.prompt import MAX_ANSWER_TOKENS
from consilience_node.knowledge.retrieval import Retriever
from consilience_node.knowledge.topic import TopicRule
from consilience_node.skills.grounded import GroundedSkill
from consilience_node.skills.plain import DEFAULT_SYSTEM_PROMPT, PlainSkill
from consilience_node.skills.token_limits import token_limits


def plain_skill(
    table: SkillTable, *, engine: Engine, model: Model, node_limits: Limits, counts_questions: bool
) -> PlainSkill:
    """Returns a skill that answers from the memory of its model.

    Args:
        table: What the operator says of it.
        engine: Runs the model.
        model: As the card discloses it.
        node_limits: Those of the node.
        counts_questions: The tokens of a question cost something.
    """
    limits = token_limits(table.limits.limits(), node=node_limits, context_tokens=model.context_length_tokens)
    described = Skill(
        id=table.id,
        description=table.description,
        domains=table.domains,
        languages=table.languages,
        accepts_answer_schema=engine.structured,
        gives_intake=True,
        model_ids=(model.id,),
        limits=limits,
        max_data_class=table.max_data_class or DataClass.UNSPECIFIED,
    )
    return PlainSkill(
        described=described,
        engine=engine,
        model=model,
        confidences=Confidences.of_model(model.weights_digest),
        system_prompt=table.system_prompt or DEFAULT_SYSTEM_PROMPT,
        counts_questions=counts_questions,
    )


def grounded_skill(
    table: SkillTable, *, retriever: Retriever, engine: Engine, model: Model, node_limits: Limits
) -> GroundedSkill:
    """Returns a skill that answers from its knowledge alone.

    Args:
        table: What the operator says of it.
        retriever: Finds passages of its knowledge.
        engine: Runs the model.
        model: As the card discloses it.
        node_limits: Those of the node.
    """
    confidences = Confidences.of_model(model.weights_digest)
    limits = token_limits(
        table.limits.limits(),
        node=node_limits,
        context_tokens=model.context_length_tokens,
        longest_answer=MAX_ANSWER_TOKENS,
    )
    described = Skill(
        id=table.id,
        description=table.description,
        domains=table.domains,
        languages=table.languages,
        gives_citations=True,
        gives_confidence=_always_stated(confidences),
        gives_intake=True,
        model_ids=(model.id,),
        limits=limits,
        max_data_class=table.max_data_class or DataClass.UNSPECIFIED,
    )
    return GroundedSkill(
        described=described,
        engine=engine,
        model=model,
        retriever=retriever,
        confidences=confidences,
        passages=table.passages,
    )


def _always_stated(confidences: Confidences) -> bool:
    """Tells whether every answer that the gate can accept is like some that were measured."""
    rules = [rule for rule in TopicRule if rule is not TopicRule.NONE]
    faultless = [Evidence(topic=rule, mean_logprob=0.0, support=1.0, echo=False, finished=True) for rule in rules]
    return all(confidences.grounded(evidence) is not None for evidence in faultless)
