"""Explorer: one picture through a network, number by number."""

from cnnkit.explorer import by_hand, windows
from cnnkit.explorer.steps import convolution_step, pooling_step, softmax_terms

__all__ = ["by_hand", "convolution_step", "pooling_step", "softmax_terms", "windows"]
