"""From what a model emits, step by step, to the pieces of an answer.

Between the two stand the stop conditions. A piece once given cannot be taken back, so text that
may yet turn out to be the beginning of a stop sequence is held until that is known::

    text = AnswerText(stop=("###",))
    text.add("Yes.#", logprobs=(-0.1,))    # Piece("Yes.")
    text.add("##", logprobs=(-0.2,))       # None, and text.stopped is STOP_SEQUENCE
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from consilience_node.engines.interface import Completion, Piece, Sampling, StopCause
from consilience_node.engines.sentences import sentence_end


@dataclass(frozen=True, slots=True, kw_only=True)
class _Contribution:
    """What one step of the model added: where its text stands, and the tokens that made it."""

    start: int
    end: int
    tokens: int
    logprobs: Sequence[float] | None

    def begins_before(self, length: int) -> bool:
        """Says whether a text of this length shows anything of it, or all of the nothing it is."""
        return self.start < length or self.end <= length


class AnswerText:
    """Text of one answer: holds back, stops, and counts the tokens that made it.

    Args:
        stop: strings that end the text and do not belong to it.
        stop_after_sentence: end the text after its first sentence.
    """

    def __init__(self, *, stop: tuple[str, ...] = (), stop_after_sentence: bool = False) -> None:
        self._stop = stop
        self._stop_after_sentence = stop_after_sentence
        self._text = ""
        self._released = 0
        self._waiting: deque[_Contribution] = deque()
        self._logprobs: list[float] | None = []
        self._output_tokens = 0
        self._stopped: StopCause | None = None

    @classmethod
    def under(cls, sampling: Sampling) -> AnswerText:
        """Makes the text with the stop conditions of a request."""
        return cls(stop=sampling.stop, stop_after_sentence=sampling.stop_after_sentence)

    @property
    def stopped(self) -> StopCause | None:
        """The stop condition that was met, if one was; nothing is released any more then."""
        return self._stopped

    def add(self, text: str, *, tokens: int = 1, logprobs: Sequence[float] | None = None) -> Piece | None:
        """Takes what one step of the model made.

        Args:
            text: whole characters; may be empty while a character is incomplete.
            tokens: tokens of this step.
            logprobs: one per token; None if the engine has none.

        Returns:
            The text that is certain to belong to the answer now, if any.
        """
        if self._stopped:
            return None
        start = len(self._text)
        self._text += text
        end = len(self._text)
        contribution = _Contribution(start=start, end=end, tokens=tokens, logprobs=logprobs)
        self._waiting.append(contribution)
        cut = self._find_cut()
        if cut is not None:
            self._text = self._text[:cut]
            return self._release(cut)
        return self._release(self._certain_length())

    def finish(self) -> Piece | None:
        """Releases what was held, because no more will come."""
        return None if self._stopped else self._release(len(self._text))

    def completion(self, *, prompt_tokens: int, cached_prompt_tokens: int, stop: StopCause) -> Completion:
        """Sums up the answer; a stop condition of the text takes precedence over `stop`."""
        return Completion(
            prompt_tokens=prompt_tokens,
            cached_prompt_tokens=cached_prompt_tokens,
            output_tokens=self._output_tokens,
            stop=self._stopped or stop,
            logprobs=tuple(self._logprobs or ()),
        )

    def _find_cut(self) -> int | None:
        """Finds where the earliest stop condition ends the text, and notes which it was."""
        cuts = [
            (index, StopCause.STOP_SEQUENCE)
            for stop in self._stop
            if (index := self._text.find(stop, self._released)) >= 0
        ]
        if self._stop_after_sentence and (end := sentence_end(self._text)) is not None:
            cuts.append((end, StopCause.SENTENCE))
        if not cuts:
            return None
        cut, self._stopped = min(cuts)
        return cut

    def _certain_length(self) -> int:
        """Returns how much of the text no later text can take away."""
        length = len(self._text)
        if self._stop_after_sentence:
            # The white space after a sentence is no part of it, if this turns out to be its end.
            length = len(self._text.rstrip())
        held = max((_overlap(self._text, stop) for stop in self._stop), default=0)
        return max(self._released, min(length, len(self._text) - held))

    def _release(self, length: int) -> Piece | None:
        """Gives out the text up to `length`, with the tokens that begin in it."""
        text = self._text[self._released : length]
        if not text:
            return None
        self._released = length
        tokens = 0
        logprobs: list[float] | None = []
        while self._waiting and self._waiting[0].begins_before(length):
            contribution = self._waiting.popleft()
            tokens += contribution.tokens
            if logprobs is None or contribution.logprobs is None:
                logprobs = None
            else:
                logprobs.extend(contribution.logprobs)
        self._count(tokens, logprobs)
        return Piece(text=text, tokens=tokens, logprob=None if logprobs is None else sum(logprobs))

    def _count(self, tokens: int, logprobs: list[float] | None) -> None:
        self._output_tokens += tokens
        if self._logprobs is None or logprobs is None:
            self._logprobs = None
        else:
            self._logprobs.extend(logprobs)


def _overlap(text: str, stop: str) -> int:
    """Returns the length of the longest end of `text` with which `stop` begins."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
