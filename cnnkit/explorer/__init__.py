"""Explorer: one picture through a network, number by number."""

from cnnkit.explorer import by_hand, windows

__all__ = ["by_hand", "windows"]
