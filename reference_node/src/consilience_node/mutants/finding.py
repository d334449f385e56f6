"""Mutants of finding: which nodes a registry finds (spec section 4.6).

They look through all cards by a rule of their own, whatever the registry has for an index.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace as changed
from datetime import timedelta
from typing import Any

from sqlalchemy import delete

from consilience._wire.envelopes import open_envelope
from consilience.nodes import DataClass, NodeCard, Skill
from consilience.reviews import NodeQuery, card_fits, finding, fits
from consilience.server.registry import finding as lists
from consilience.server.registry import ring, shelving, statements
from consilience.server.registry.contract import Found
from consilience.server.registry.schema import RECORDS
from consilience.server.registry.service import RegistryService
from consilience_node.mutants.registry import mutant, replace

Make = Callable[..., Any]
Keep = Callable[[NodeCard, Skill, Any], bool]

_NOTHING = NodeQuery()
_ANY_SIZE = 2**63 - 1


def _finds_by(count: Callable[[NodeCard, NodeQuery], int]) -> None:
    """Finds each card as often as a rule says."""

    def looking(find: Make) -> Make:
        def fitting(connection: Any, query: NodeQuery, **more: Any) -> Found:
            every: Found = find(connection, _NOTHING, **more)
            cards = tuple(
                one for one in every.cards for _ in range(count(open_envelope(one[1].object, NodeCard).value, query))
            )
            return Found(cards=cards, until=every.until)

        return fitting

    replace(lists, "fitting", looking)


def judges(field: str, keep: Keep) -> None:
    """Judges by another rule whether a skill fits what one field asks for."""

    def rule(card: NodeCard, query: NodeQuery) -> bool:
        value = getattr(query, field)
        if not value:
            return card_fits(card, query)
        kept = tuple(skill for skill in card.skills if keep(card, skill, value))
        return card_fits(changed(card, skills=kept), changed(query, **{field: getattr(_NOTHING, field)}))

    _finds_by(rule)


def _begin(names: Iterable[str], value: str, *, mark: str) -> bool:
    return any(name == value or name.startswith(value + mark) for name in names)


def _folded(skill: Skill) -> list[str]:
    return [language.casefold() for language in skill.languages]


@mutant("finds-ids-by-their-beginnings")
def _finds_ids_by_their_beginnings() -> None:
    """A skill is found by what stands before a dot in its id."""
    judges("skill_id", lambda _, skill, value: _begin([skill.id], value, mark="."))


@mutant("finds-domains-exactly")
def _finds_domains_exactly() -> None:
    """A domain does not stand for what begins with it and a dot."""
    judges("domain", lambda _, skill, value: value in skill.domains)


@mutant("finds-domains-without-the-dot")
def _finds_domains_without_the_dot() -> None:
    """A domain stands for all that begins with it."""
    judges("domain", lambda _, skill, value: _begin(skill.domains, value, mark=""))


@mutant("finds-languages-exactly")
def _finds_languages_exactly() -> None:
    """A language does not stand for its regions."""
    judges("language", lambda _, skill, value: not skill.languages or value.casefold() in _folded(skill))


@mutant("finds-languages-without-the-hyphen")
def _finds_languages_without_the_hyphen() -> None:
    """A language stands for all that begins with it."""
    judges("language", lambda _, skill, value: not skill.languages or _begin(_folded(skill), value.casefold(), mark=""))


@mutant("finds-languages-by-their-case")
def _finds_languages_by_their_case() -> None:
    """A language that is asked for in capitals is another one."""
    judges("language", lambda _, skill, value: not skill.languages or _begin(_folded(skill), value, mark="-"))


@mutant("finds-no-skill-without-a-language")
def _finds_no_skill_without_a_language() -> None:
    """A skill that names no language is not found by one."""
    judges("language", lambda _, skill, value: _begin(_folded(skill), value.casefold(), mark="-"))


@mutant("finds-no-skill-without-a-media-type")
def _finds_no_skill_without_a_media_type() -> None:
    """A skill that names no media type is not found by text/plain."""
    judges("input_media_type", lambda _, skill, value: value in skill.input_media_types)


@mutant("finds-skills-without-a-media-type")
def _finds_skills_without_a_media_type() -> None:
    """A skill that names no media type is found by any."""
    judges("input_media_type", lambda _, skill, value: not skill.input_media_types or value in skill.input_media_types)


@mutant("finds-by-the-class-of-the-card")
def _finds_by_the_class_of_the_card() -> None:
    """The data class of a skill does not count, where it is lower than that of its card."""
    judges("data_class", lambda card, _, value: card.data_policy.max_data_class >= value)


@mutant("finds-by-the-class-of-the-skill")
def _finds_by_the_class_of_the_skill() -> None:
    """The data class of a card does not count, where its skill has one."""

    def keep(card: NodeCard, skill: Skill, value: DataClass) -> bool:
        own = skill.max_data_class
        return (own if own > DataClass.UNSPECIFIED else card.data_policy.max_data_class) >= value

    judges("data_class", keep)


@mutant("finds-any-rail")
def _finds_any_rail() -> None:
    """A node is found by a rail that it does not list."""
    judges("rail_id", lambda _card, _skill, _value: True)


@mutant("finds-any-profile")
def _finds_any_profile() -> None:
    """Of several profiles one is enough."""
    judges("profiles", lambda card, _, value: bool(set(value) & set(card.profiles)))


def _judges_sizes(keep: Callable[[NodeCard, Skill, int, int], bool]) -> None:
    """Judges by another rule whether a skill has a model between two bounds."""

    def rule(card: NodeCard, query: NodeQuery) -> bool:
        least, most = query.min_parameter_count, query.max_parameter_count
        if not least and not most:
            return card_fits(card, query)
        kept = tuple(skill for skill in card.skills if keep(card, skill, least, most or _ANY_SIZE))
        return card_fits(changed(card, skills=kept), changed(query, min_parameter_count=0, max_parameter_count=0))

    _finds_by(rule)


@mutant("finds-sizes-of-two-models")
def _finds_sizes_of_two_models() -> None:
    """One model may be large enough, and another small enough."""

    def keep(card: NodeCard, skill: Skill, least: int, most: int) -> bool:
        sizes = finding.sizes_of(card, skill)
        return bool(sizes) and max(sizes) >= least and min(sizes) <= most

    _judges_sizes(keep)


@mutant("finds-untold-sizes")
def _finds_untold_sizes() -> None:
    """A model whose parameters are not told has none, and so few enough."""
    _judges_sizes(
        lambda card, skill, least, most: any(
            least <= model.parameter_count <= most for model in finding._models(card, skill)
        )
    )


@mutant("finds-sizes-of-other-skills")
def _finds_sizes_of_other_skills() -> None:
    """A skill with models is found by every model of its card."""
    _judges_sizes(
        lambda card, _, least, most: any(max(least, 1) <= model.parameter_count <= most for model in card.models)
    )


@mutant("finds-sizes-within-open-bounds")
def _finds_sizes_within_open_bounds() -> None:
    """A model that has exactly as many parameters as are asked for at the least is not found."""
    _judges_sizes(lambda card, skill, least, most: any(least < size <= most for size in finding.sizes_of(card, skill)))


@mutant("finds-sizes-between-bounds-in-any-order")
def _finds_sizes_between_bounds_in_any_order() -> None:
    """Of two bounds that exclude each other, the lower one is taken for the least."""
    _judges_sizes(
        lambda card, skill, least, most: any(
            min(max(least, 1), most) <= size <= max(least, most) for size in finding.sizes_of(card, skill)
        )
    )


@mutant("fails-at-bounds-that-exclude-each-other")
def _fails_at_bounds_that_exclude_each_other() -> None:
    """A question of which the bounds exclude each other, and differ in their digits, is a fault of the registry."""

    def failing(find: Make) -> Make:
        def fitting(connection: Any, query: NodeQuery, **more: Any) -> Found:
            least, most = (len(str(bound)) for bound in (query.min_parameter_count, query.max_parameter_count))
            if query.max_parameter_count and least > most:
                raise IndexError("there are no terms")
            found: Found = find(connection, query, **more)
            return found

        return fitting

    replace(lists, "fitting", failing)


def _judges_words(keep: Callable[[set[str], list[str]], bool]) -> None:
    """Judges by another rule whether words are among those of a skill."""
    judges(
        "text",
        lambda card, skill, value: keep(set(finding.words_of_skill(card, skill)), list(finding.words_of(value))),
    )


@mutant("finds-any-word")
def _finds_any_word() -> None:
    """Of several words one is enough."""
    _judges_words(lambda there, wanted: any(word in there for word in wanted))


@mutant("finds-parts-of-words")
def _finds_parts_of_words() -> None:
    """A word is found by a part of it."""
    _judges_words(lambda there, wanted: all(any(word in one for one in there) for word in wanted))


def _cuts_words(cut: Callable[[str], str]) -> None:
    """Cuts texts into words after something else than case folding."""
    replace(finding, "words_of", lambda _: lambda text: tuple(dict.fromkeys(finding._WORD.findall(cut(text)))))
    _finds_by(card_fits)


@mutant("finds-words-by-their-case")
def _finds_words_by_their_case() -> None:
    """A word in capitals is another one."""
    _cuts_words(str)


@mutant("finds-words-in-lower-case")
def _finds_words_in_lower_case() -> None:
    """Words are compared in lower case, which is no case folding."""
    _cuts_words(str.lower)


@mutant("finds-words-of-other-skills")
def _finds_words_of_other_skills() -> None:
    """A skill is found by the words of every skill of its card."""

    def keep(card: NodeCard, _: Skill, value: str) -> bool:
        there = {word for skill in card.skills for word in finding.words_of_skill(card, skill)}
        return there >= set(finding.words_of(value))

    judges("text", keep)


@mutant("finds-words-of-descriptions-alone")
def _finds_words_of_descriptions_alone() -> None:
    """A node is not found by its name."""
    judges("text", lambda card, skill, value: fits(changed(card, name=""), skill, NodeQuery(text=value)))


@mutant("finds-in-several-skills")
def _finds_in_several_skills() -> None:
    """What is asked for may be in one skill, and in another one."""

    def rule(card: NodeCard, query: NodeQuery) -> bool:
        fields = (name for name in NodeQuery.__slots__ if getattr(query, name) != getattr(_NOTHING, name))
        return all(card_fits(card, changed(_NOTHING, **{name: getattr(query, name)})) for name in fields)

    _finds_by(rule)


@mutant("finds-a-card-for-each-skill")
def _finds_a_card_for_each_skill() -> None:
    """A card is found as often as it has skills that fit."""
    _finds_by(lambda card, query: sum(fits(card, skill, query) for skill in card.skills))


@mutant("finds-the-last-of-a-page-again")
def _finds_the_last_of_a_page_again() -> None:
    """A page of cards begins with the last card of the page before."""

    def shifting(walk: Make) -> Make:
        async def rounds(self: Any, query: Any, *, start: int, passed: int, now: Any) -> Any:
            return await walk(self, query, start=start, passed=passed - (passed != start), now=now)

        return rounds

    replace(RegistryService, "_round", shifting)


@mutant("finds-pages-with-gaps")
def _finds_pages_with_gaps() -> None:
    """A page of cards leaves out the first that it should begin with."""

    def skipping(walk: Make) -> Make:
        async def rounds(self: Any, query: Any, *, start: int, passed: int, now: Any) -> Any:
            page, behind = await walk(self, query, start=start, passed=passed, now=now)
            return page[passed != start :], behind

        return rounds

    replace(RegistryService, "_round", skipping)


@mutant("finds-in-one-order")
def _finds_in_one_order() -> None:
    """Whoever asks is led round the ring from the same place."""
    replace(ring, "anywhere", lambda _: lambda: ring.END)


@mutant("finds-the-first-card-for-ever")
def _finds_the_first_card_for_ever() -> None:
    """A node is found by no card that takes the place of another."""

    def forgetful(put_in: Make) -> Make:
        def putting(connection: Any, card: Any, *, instead_of: Any) -> Any:
            if instead_of is None:
                return put_in(connection, card, instead_of=None)
            shelving.take_out(connection, instead_of)
            return None

        return putting

    replace(shelving, "put_in", forgetful)


@mutant("finds-retired-nodes")
def _finds_retired_nodes() -> None:
    """A node is found though it has gone over to another root key."""

    def retire(connection: Any, succession: Any) -> None:
        later = (RECORDS.c.subject == succession.subject, RECORDS.c.since > succession.issue_time)
        connection.execute(delete(RECORDS).where(*later))

    replace(statements, "_retire", lambda _: retire)


@mutant("finds-ended-cards")
def _finds_ended_cards() -> None:
    """A card is found for a minute after its end."""
    replace(
        lists,
        "fitting",
        lambda find: (
            lambda connection, query, *, now, **more: find(connection, query, now=now - timedelta(minutes=1), **more)
        ),
    )
