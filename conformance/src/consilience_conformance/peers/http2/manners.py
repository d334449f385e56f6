"""How the client treats windows and limits."""

from __future__ import annotations

from dataclasses import dataclass

from h2.settings import SettingCodes

_MOST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Manners:
    """How the client treats windows and limits. Unless told otherwise it is well-behaved.

    Attributes:
        initial_window_bytes: What each stream lets the peer send at first, 0 to 2**31 - 1. The connection as a whole
            starts with 65,535 bytes; HTTP/2 has no setting for that.
        max_frame_bytes: The largest frame that the client takes, 16,384 to 2**24 - 1.
        refills_windows: Whether each byte that comes is granted anew. A small window that is refilled is a slow
            reader; one that is not is a reader who stops.
        heeds_stream_limit: Whether the client keeps to the number of streams that the peer takes at once.
        most_bytes: What the client takes from the peer in all before it hangs up.
    """

    initial_window_bytes: int = 65_535
    max_frame_bytes: int = 16_384
    refills_windows: bool = True
    heeds_stream_limit: bool = True
    most_bytes: int = _MOST_BYTES

    def settings(self) -> dict[SettingCodes, int]:
        """Returns the SETTINGS that the client announces."""
        return {
            SettingCodes.ENABLE_PUSH: 0,
            SettingCodes.INITIAL_WINDOW_SIZE: self.initial_window_bytes,
            SettingCodes.MAX_FRAME_SIZE: self.max_frame_bytes,
        }
