"""Commands whose help is output like any other: where it cannot be written, that is told in words."""

from __future__ import annotations

from typing import Any

import click

from consilience_node.exits import writing_output


class Command(click.Command):
    """A command whose help may find nobody who takes it."""

    def make_context(self, *words: Any, **options: Any) -> click.Context:  # noqa: ANN401 - click's own
        """Reads the words of a command line, and writes the help where they ask for it."""
        with writing_output():
            return super().make_context(*words, **options)


class Commands(click.Group):
    """A group of such commands."""

    command_class = Command

    def make_context(self, *words: Any, **options: Any) -> click.Context:  # noqa: ANN401 - click's own
        """Reads the words of a command line, and writes the help where they ask for it."""
        with writing_output():
            return super().make_context(*words, **options)
