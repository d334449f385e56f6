"""Subjects: which skill of a node is asked, and what."""

from __future__ import annotations

from dataclasses import dataclass

from consilience.v1 import node_pb2

SCRIPT_SKILL = "conformance.script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked where a check does not care what is answered.

    Attributes:
        skill: As the card describes it.
        question: A text, to which a nonce is added; unused for the scripted skill.
    """

    skill: node_pb2.Skill
    question: str

    @property
    def scripted(self) -> bool:
        """Whether the answers come from scripts."""
        return self.skill.id == SCRIPT_SKILL

    @property
    def costs(self) -> bool:
        """Whether nobody is answered who does not pay; a script is free for whoever tries nothing else."""
        return bool(self.skill.tariff_ids) and not self.scripted
