"""Spending: what a run has spent of what it may, as its reports tell it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from consilience_conformance.amounts import shown, written


@dataclass(frozen=True, slots=True, kw_only=True)
class Spending:
    """What became of an allowance; amounts are in units of its asset.

    Attributes:
        asset: `USD/6`.
        allowed: What `--max-spend` allows.
        set_aside: What sessions may cost that were opened: it counts against the allowance, signed for or not.
        authorized: What vouchers and holds were signed for. No node can claim more; what it does charge may be less.
        left_out: The checks that were left out because too little was left, by name: how much each is known to need.
    """

    asset: str
    allowed: int
    set_aside: int = 0
    authorized: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def more(self) -> int:
        """What would have to be allowed beyond the allowance, as far as is known; 0: nothing was left out."""
        return max(0, self.set_aside + sum(self.left_out.values()) - self.allowed) if self.left_out else 0

    @property
    def line(self) -> str:
        """What was spent, for people."""
        allowed = shown(self.allowed, asset=self.asset)
        if not self.set_aside:
            return f"nothing of {allowed} allowed"
        line = f"at most {shown(self.authorized, asset=self.asset)}, which was authorized, of {allowed} allowed"
        if self.set_aside != self.authorized:
            line += f"; {shown(self.set_aside, asset=self.asset)} was set aside for sessions"
        return line

    @property
    def left_out_line(self) -> str:
        """How many checks were left out for money, and what to allow instead; empty: none was."""
        if not self.left_out:
            return ""
        count = len(self.left_out)
        who, need = ("1 check was", "needs") if count == 1 else (f"{count} checks were", "need")
        option = written(self.allowed + self.more, asset=self.asset)
        more = shown(self.more, asset=self.asset)
        return f"{who} left out for money, and {need} at least {more} more, as far as is known: --max-spend '{option}'"
