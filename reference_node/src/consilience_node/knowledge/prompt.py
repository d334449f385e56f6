"""Puts a question and its passages before a model, in the form that the packaged models were measured with.

The question stands before and after the passage, the instruction in the system message. Of the templates tried with
SmolLM2-135M-Instruct this one gave the most right answers; with it go greedy sampling, no repetition penalty and an
end after the first sentence (`SAMPLING`).

Passages are written by strangers. They only ever become the content of a message, which no engine reads for turn
markers.
"""

from collections.abc import Sequence

from consilience_node.engines import Message, Prompt, Role, Sampling
from consilience_node.knowledge.retrieval import Passage

INSTRUCTION = "Answer the question in one or two short sentences, using only the passage."
MAX_ANSWER_TOKENS = 96


def grounded_messages(question: str, *, passages: Sequence[Passage]) -> tuple[Message, Message]:
    """Returns the system and the user message for one question.

    Args:
        question: As it was asked.
        passages: What the model reads, best first, at least one. Line breaks and runs of blanks become one blank:
            the form on the page means nothing to the model and costs tokens.
    """
    if not passages:
        raise ValueError("a grounded prompt needs a passage; without one the node abstains")
    quoted = "\n\n".join(f"Passage: {passage.title}: {' '.join(passage.text.split())}" for passage in passages)
    return (
        Message(role=Role.SYSTEM, content=INSTRUCTION),
        Message(role=Role.USER, content=f"Question: {question}\n\n{quoted}\n\nQuestion: {question}"),
    )


def grounded_prompt(question: str, *, passages: Sequence[Passage], share_prefix: bool = True) -> Prompt:
    """Returns the same as a prompt; see `Prompt` for when its prefix may be shared."""
    return Prompt(messages=grounded_messages(question, passages=passages), share_prefix=share_prefix)


def grounded_sampling(*, max_output_tokens: int = MAX_ANSWER_TOKENS) -> Sampling:
    """Returns how the packaged models were measured: greedily, to the end of the first sentence."""
    return Sampling(
        max_output_tokens=min(max_output_tokens, MAX_ANSWER_TOKENS), temperature=0.0, stop_after_sentence=True
    )
