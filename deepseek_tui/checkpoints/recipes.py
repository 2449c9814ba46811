"""How a model is quantized: the bits that each module gets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deepseek_tui.checkpoints.errors import CheckpointError

BITS = (2, 3, 4, 5, 6, 8)
GROUP_SIZES = (32, 64, 128)
PLAIN = 16
"""In place of a number of bits: leave it as it is."""

RECIPES = {"mixed_2_6": (2, 6), "mixed_3_4": (3, 4), "mixed_3_6": (3, 6), "mixed_4_6": (4, 6)}
"""mlx-lm's mixed recipes: low bits, and high bits for values, down projections and the head."""

_EMBEDDINGS = re.compile(r"(?:^|\.)(?:embed_tokens|lm_head|shared_head\.head|wte|wpe)$")
_ROUTERS = re.compile(r"\.(?:gate|router)$")
_VALUES = re.compile(r"v_(?:a_|b_)?proj|v_decompress")


@dataclass(frozen=True)
class Recipe:
    """`mixed`: a name in `RECIPES`, which then decides instead of `bits`. `embed_bits`: for the embeddings
    and the head, `PLAIN` to leave them as they are."""

    bits: int = 4
    group_size: int = 64
    mixed: str | None = None
    embed_bits: int | None = None

    def __post_init__(self) -> None:
        for bits in (self.bits, self.embed_bits):
            if bits not in (None, *BITS) and not (bits == PLAIN and bits is self.embed_bits):
                raise CheckpointError(f"Weights cannot be quantized to {bits} bits.", f"Choose from {BITS}.")
        if self.group_size not in GROUP_SIZES:
            raise CheckpointError(
                f"Groups of {self.group_size} are not possible.", f"Choose from {GROUP_SIZES}."
            )
        if self.mixed is not None and self.mixed not in RECIPES:
            raise CheckpointError(f"There is no recipe {self.mixed!r}.", f"Choose from {', '.join(RECIPES)}.")

    def choose(self, inputs: Mapping[str, int], layers: int) -> dict[str, int]:
        """Module path -> bits, for all modules of `inputs` (path -> width of the rows) to be quantized.

        `layers`: how many the model has. Routers choose the experts and are never quantized; modules whose
        width is no multiple of the group size cannot be.
        """
        chosen: dict[str, int] = {}
        for path, width in inputs.items():
            bits = self._bits(path, layers)
            if bits != PLAIN and width % self.group_size == 0 and not _ROUTERS.search(path):
                chosen[path] = bits
        return chosen

    def _bits(self, path: str, layers: int) -> int:
        if self.embed_bits is not None and _EMBEDDINGS.search(path):
            return self.embed_bits
        if self.mixed is None:
            return self.bits
        low, high = RECIPES[self.mixed]
        number = re.search(r"\.(\d+)\.", path)
        index = int(number[1]) if number else 0
        first = layers // 8
        matters = index < first or index >= 7 * layers // 8 or (index - first) % 3 == 2
        if path.endswith("lm_head") or (matters and (_VALUES.search(path) or "down_proj" in path)):
            return high
        return low

    def settings(self, chosen: Mapping[str, int]) -> dict[str, Any]:
        """config.json's `quantization`: one setting, and the modules that differ from it by path."""
        usual = self.bits if self.mixed is None else RECIPES[self.mixed][0]
        others = {
            path: {"group_size": self.group_size, "bits": bits, "mode": "affine"}
            for path, bits in chosen.items()
            if bits != usual
        }
        return {"group_size": self.group_size, "bits": usual, "mode": "affine", **others}
