"""The same thing several times under one budget, as a table: what is better here?"""

from cnnkit.experiments.backbones import compare_backbones
from cnnkit.experiments.families import FAMILIES, Family, compare_families
from cnnkit.experiments.repeating import repeat

__all__ = ["FAMILIES", "Family", "compare_backbones", "compare_families", "repeat"]
