from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from consilience_node.engines import Piece, StopCause
from consilience_node.engines.answer_text import AnswerText

_STEPS = st.lists(st.text(alphabet="ab#. \n", max_size=4), max_size=12)


def _play(text: AnswerText, steps: list[str]) -> list[Piece]:
    pieces = [text.add(step, logprobs=(-1.0,)) for step in steps]
    return [piece for piece in (*pieces, text.finish()) if piece]


@given(steps=_STEPS)
def test_without_stop_conditions_every_character_comes_out_at_once(steps: list[str]) -> None:
    text = AnswerText()
    assert [piece.text if (piece := text.add(step, logprobs=(-1.0,))) else "" for step in steps] == steps


@given(steps=_STEPS, stop=st.lists(st.text(alphabet="ab#", min_size=1, max_size=3), max_size=2))
def test_text_ends_before_the_first_stop_sequence_wherever_the_steps_cut_it(steps: list[str], stop: list[str]) -> None:
    text = AnswerText(stop=tuple(stop))
    whole = "".join(steps)
    found = [whole.index(sequence) for sequence in stop if sequence in whole]
    assert "".join(piece.text for piece in _play(text, steps)) == whole[: min(found, default=len(whole))]
    assert text.stopped is (StopCause.STOP_SEQUENCE if found else None)


@given(steps=_STEPS, stop=st.lists(st.text(alphabet="ab#", min_size=1, max_size=3), max_size=2), sentence=st.booleans())
def test_tokens_of_the_pieces_are_those_that_made_the_text(
    steps: list[str], stop: list[str], *, sentence: bool
) -> None:
    text = AnswerText(stop=tuple(stop), stop_after_sentence=sentence)
    pieces = _play(text, steps)
    completion = text.completion(prompt_tokens=1, cached_prompt_tokens=0, stop=StopCause.END)
    length = sum(len(piece.text) for piece in pieces)
    starts = [sum(map(len, steps[:index])) for index in range(len(steps))]
    began = sum(1 for start, step in zip(starts, steps, strict=True) if step and start < length)
    assert completion.output_tokens == sum(piece.tokens for piece in pieces) == len(completion.logprobs)
    assert began <= completion.output_tokens <= len(steps)
    assert sum(piece.logprob or 0.0 for piece in pieces) == sum(completion.logprobs)


def test_beginning_of_a_stop_sequence_is_held_until_it_is_known_to_be_none() -> None:
    text = AnswerText(stop=("###",))
    assert text.add("Yes.##", logprobs=(-0.1,)) == Piece(text="Yes.", tokens=1, logprob=-0.1)
    assert text.add("?", logprobs=(-0.2,)) == Piece(text="##?", tokens=1, logprob=-0.2)


def test_token_looked_at_only_to_see_the_sentence_end_does_not_count() -> None:
    text = AnswerText(stop_after_sentence=True)
    pieces = [text.add(step, logprobs=(-0.5,)) for step in ("A bug", ".", " The")]
    assert [piece.text for piece in pieces if piece] == ["A bug", "."]
    completion = text.completion(prompt_tokens=1, cached_prompt_tokens=0, stop=StopCause.END)
    assert (completion.output_tokens, completion.stop) == (2, StopCause.SENTENCE)


def test_white_space_after_the_first_sentence_is_not_given_out() -> None:
    text = AnswerText(stop_after_sentence=True)
    assert [piece.text for piece in _play(text, ["A bug.", " ", " ", "The"])] == ["A bug."]


def test_one_step_without_log_probabilities_leaves_the_answer_without_any() -> None:
    text = AnswerText()
    text.add("a", logprobs=(-0.1,))
    assert text.add("b") == Piece(text="b", tokens=1, logprob=None)
    assert text.completion(prompt_tokens=1, cached_prompt_tokens=0, stop=StopCause.END).logprobs == ()
