"""Needs: what a check cannot do without, and what its driver says where that is missing."""

from __future__ import annotations

import enum


class Needs(enum.Flag):
    """What a check cannot do without, beyond an address."""

    NOTHING = 0
    SCRIPT = enum.auto()
    """The skill `conformance.script`, and a grant for it."""
    RESTART = enum.auto()
    """A command that restarts the node."""
    REPLICA = enum.auto()
    """The address of a second replica."""
    PRICE = enum.auto()
    """A skill that costs something, for which the run may pay; with `SCRIPT`, that skill is the scripted one."""
    ESCROW = enum.auto()
    """A rail with holds in escrow, of whose issuers the tester is one."""
    FEED = enum.auto()
    """An address at which the node follows a registry, which the judge plays."""
    BANK = enum.auto()
    """The rail `conformance.bank`, and the address of its bank, which the judge plays."""


class NotApplicableError(Exception):
    """Raised by a driver that finds that the card does not offer what the check is about; its text says what."""


class UntestableError(Exception):
    """Raised by a driver that cannot bring about what the check is about; its text says what to change."""


class NotLentError(Exception):
    """Raised by a driver that needs what the run was not lent, as more to spend; its text says what."""


class NotAllowedError(NotLentError):
    """Raised where a check needs more than is left of what the run was allowed to spend; its text says how much.

    Attributes:
        needed: The same, in units of the asset.
    """

    def __init__(self, text: str, *, needed: int) -> None:
        """Says how much it is."""
        super().__init__(text)
        self.needed = needed
