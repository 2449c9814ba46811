"""Whether a converted directory holds its source, tensor by tensor and bit for bit.

Every tensor of the source has to be in the directory exactly once, and the directory may hold nothing else.
What is not quantized has to be the same to the last bit (after the cast, where the types differ); what is
quantized has to be what quantizing the source gives, and the error that this costs is measured.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import mlx.core as mx

from deepseek_tui.checkpoints.errors import CheckpointError
from deepseek_tui.checkpoints.folder import locate
from deepseek_tui.checkpoints.sources import Source, as_bytes, open_source
from deepseek_tui.checkpoints.verify_map import Claim, Map, Piece, map_of
from deepseek_tui.checkpoints.verify_truth import Parts, Truth, folder_of, truth_of, unpacked
from deepseek_tui.models.base import ModelConfigError
from deepseek_tui.models.registry import model_class

Status = Literal["exact", "cast", "quantized", "near", "differs", "missing"]
"""exact: the same bits, or blocks packed otherwise that mean the same numbers; cast: the same bits after a
change of type; quantized: the codes that quantizing the source gives; near: other codes, each within one step
of the source; differs, missing: a failure."""

_STEPS = 1.01
"""A quantized number may lie this many steps from the source, where another device chose the codes."""


@dataclass(frozen=True)
class TensorCheck:
    """One source tensor. Errors are against the source: `relative_error` by Frobenius norms."""

    name: str
    found_in: str
    status: Status
    relative_error: float = 0.0
    max_error: float = 0.0
    note: str = ""


@dataclass
class Report:
    """What a comparison found. `ok` is the verdict; `tensors` has every source parameter once."""

    source: str
    converted: str
    tensors: list[TensorCheck] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Source parameters that are nowhere in the directory."""
    used_twice: list[str] = field(default_factory=list)
    """Source parameters that the directory holds in a place of another one too, or claim the same place."""
    extra: list[str] = field(default_factory=list)
    """Tensors of the directory that come from no source parameter."""
    config: list[str] = field(default_factory=list)
    """Settings of the architecture that differ."""
    buffers: list[str] = field(default_factory=list)
    """Source tensors that are no parameters."""
    perplexity: dict[str, Any] | None = None

    @property
    def differing(self) -> list[TensorCheck]:
        """The parameters that are not what they should be."""
        return [check for check in self.tensors if check.status == "differs"]

    @property
    def ok(self) -> bool:
        """Whether the directory holds the source, all of it and nothing else."""
        return not (self.missing or self.used_twice or self.extra or self.config or self.differing)

    def count(self, status: Status) -> int:
        """How many parameters have that status."""
        return sum(check.status == status for check in self.tensors)

    def to_json(self) -> dict[str, Any]:
        """The report under stable names, the verdict and the counts first."""
        statuses: tuple[Status, ...] = ("exact", "cast", "quantized", "near", "differs", "missing")
        errors = [check.relative_error for check in self.tensors if math.isfinite(check.relative_error)]
        head = {
            "ok": self.ok,
            "counts": {status: self.count(status) for status in statuses},
            "worst_relative_error": max(errors, default=0.0),
        }
        return head | dataclasses.asdict(self)


def verify(
    source: str | Path,
    converted: str | Path,
    *,
    n_experts_per_token: int | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Compares the MLX directory `converted` with the checkpoint it was made from.

    `on_progress(done, total)` in bytes of the source. Raises `CheckpointError` where one of the two cannot be
    read at all; differences are not raised but reported.
    """
    converted = Path(converted).expanduser()
    kind, _ = locate(converted)
    if kind != "directory":
        raise CheckpointError(f"{converted} is no MLX model directory.", "Give what convert has written.")
    with contextlib.closing(open_source(source, n_experts_per_token=n_experts_per_token)) as opened:
        return _Comparison(opened, converted).run(on_progress)


class _Comparison:
    def __init__(self, source: Source, converted: Path) -> None:
        self.source = source
        self.truth: Truth = truth_of(source)
        self.made, self.target = folder_of(converted)
        self.map: Map = map_of(source, self.truth.names)
        self.report = Report(str(source.path), str(converted), buffers=list(self.map.buffers))
        # Digest of what each place should hold, and of what a place holds that holds something else.
        self.expected: dict[str, list[str]] = {}
        self.strays: list[tuple[int, Piece, str]] = []
        self._last: tuple[str, Any] = ("", None)

    def run(self, on_progress: Callable[[int, int], None] | None) -> Report:
        self._check_config()
        self._check_places()
        self._check_buffers()
        done, total = 0, sum(held.nbytes for held in self.source.tensors.values())
        # The experts of one stack after each other: it is read once.
        ordered = sorted(self.map.claims.items(), key=lambda item: str(item[1].pieces[0].target))
        for name, claim in ordered:
            self.report.tensors.append(self._check(name, claim))
            mx.clear_cache()
            done += self._bytes(name)
            if on_progress is not None:
                on_progress(min(done, total), total)
        self._trace_strays()
        self.made.close()
        return self.report

    def _bytes(self, name: str) -> int:
        held = self.source.tensors.get(name)
        return held.nbytes if held else 0

    def _check_config(self) -> None:
        ours, theirs = (
            _arguments(config, names)
            for config, names in (
                (self.source.config, list(self.source.tensors)),
                (self.made.config, list(self.made.tensors)),
            )
        )
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                self.report.config.append(f"{key}: {ours.get(key)} became {theirs.get(key)}")

    def _check_places(self) -> None:
        """That no place is claimed twice, and that every place is claimed."""
        owners: dict[Piece, str] = {}
        for name, claim in self.map.claims.items():
            for piece in () if claim.shared else claim.pieces:
                if piece in owners:
                    self.report.used_twice.append(name)
                owners.setdefault(piece, name)
        for target in self.target.names:
            if Piece(target) in owners or self._is_copy(target):
                continue
            indices = {piece.index for piece in owners if piece.target == target}
            if not indices:
                self.report.extra.append(target)
                continue
            length = self.made.tensors[target].shape[0]
            self.report.extra += [f"{target}[{i}]" for i in range(length) if i not in indices]

    def _check_buffers(self) -> None:
        for name in self.map.buffers:
            if name.endswith(".causal_mask"):
                mask = self.truth.value(name)
                if not mx.array_equal(mask != 0, mx.tril(mx.ones(mask.shape[-2:]))[None, None] != 0).item():
                    self.report.config.append(f"{name} is not the causal mask that the model computes")

    def _stored(self, target: str) -> Parts | Any:
        """A tensor of the directory, packed or plain; the last one is kept for the experts in it."""
        if self._last[0] != target:
            self._last = (target, self.target.parts(target) or self.made.read(target))
        return self._last[1]

    def _is_copy(self, target: str) -> bool:
        """A tied head written out for readers that know no tied heads; it has to be the embedding."""
        embedding = "model.embed_tokens.weight"
        if target != "lm_head.weight" or self.made.config.get("tie_word_embeddings") is not True:
            return False
        mine, theirs = self.target.parts(target), self.target.parts(embedding)
        if mine is None or theirs is None:
            pairs = [(self.made.read(target), self.made.read(embedding))]
        else:
            pairs = list(zip(mine, theirs, strict=True))
        return all(_same(a, b) for a, b in pairs)

    def _check(self, name: str, claim: Claim) -> TensorCheck:
        lacking = [p for p in claim.pieces if not self._exists(p)]
        found_in = ", ".join(str(piece) for piece in claim.pieces)
        if lacking:
            self.report.missing.append(name)
            return TensorCheck(name, found_in, "missing", 1.0, note=f"{lacking[0]} is not in the directory")
        value = self.truth.value(name)
        parts = claim.split(value)
        if not _same(claim.join(parts), value):
            raise CheckpointError(f"{name} cannot be put together again from its pieces: a fault of verify.")
        packed = self.truth.parts(name) if len(parts) == 1 else None
        checks = [
            self._compare(name, piece, part, packed) for piece, part in zip(claim.pieces, parts, strict=True)
        ]
        worst = max(checks, key=lambda check: (_ORDER.index(check.status), check.relative_error))
        return dataclasses.replace(worst, found_in=found_in)

    def _exists(self, piece: Piece) -> bool:
        held = self.made.tensors.get(piece.target)
        return held is not None and (piece.index is None or piece.index < held.shape[0])

    def _compare(self, name: str, piece: Piece, value: Any, packed: Parts | None) -> TensorCheck:
        stored = self._stored(piece.target)
        if not isinstance(stored, tuple):
            return self._compare_plain(name, piece, value, _at(stored, piece))
        codes: Parts = (_at(stored[0], piece), _at(stored[1], piece), _at(stored[2], piece))
        found = unpacked(codes, self.target.bits(piece.target))
        if packed is not None and all(_same(a, b) for a, b in zip(packed, codes, strict=True)):
            return TensorCheck(name, str(piece), "exact")
        if found.shape != value.shape:
            return self._stray(name, piece, codes[0], value, f"shape {list(found.shape)}")
        return self._compare_packed(name, piece, value, codes, found)

    def _compare_plain(self, name: str, piece: Piece, value: Any, found: Any) -> TensorCheck:
        if found.shape != value.shape:
            return self._stray(name, piece, found, value, f"shape {list(found.shape)}")
        wanted = value.astype(found.dtype)
        self._expect(name, wanted)
        if _same(wanted, found):
            if found.dtype == value.dtype:
                return TensorCheck(name, str(piece), "exact")
            note = f"{_kind(value)} to {_kind(found)}"
            return TensorCheck(name, str(piece), "cast", *_errors(value, found), note=note)
        return self._stray(name, piece, found, value, _difference(wanted, found))

    def _compare_packed(self, name: str, piece: Piece, value: Any, stored: Parts, found: Any) -> TensorCheck:
        if mx.array_equal(value.astype(mx.float32), found).item():
            # Blocks of a GGUF file that became MLX's: other bytes, the same numbers.
            return TensorCheck(name, str(piece), "exact")
        codes, scales, _ = stored
        group = value.shape[-1] // scales.shape[-1]
        bits = self.target.bits(piece.target)
        wanted = mx.quantize(value.astype(scales.dtype), group, bits)
        self._expect(name, wanted[0])
        errors = _errors(value, found)
        if all(_same(a, b) for a, b in zip(wanted, stored, strict=True)):
            return TensorCheck(name, str(piece), "quantized", *errors, note=f"{bits} bits")
        step = mx.repeat(mx.abs(scales.astype(mx.float32)), group, axis=-1)
        off: Any = mx.abs(value.astype(mx.float32) - found) / mx.maximum(step, 1e-30)
        if off.max().item() <= _STEPS:
            count = int((wanted[0] != codes).sum().item())
            note = f"{count} of {codes.size} words are not as this machine quantizes them"
            return TensorCheck(name, str(piece), "near", *errors, note=note)
        return self._stray(name, piece, codes, value, "numbers further than one step from the source", found)

    def _expect(self, name: str, array: Any) -> None:
        self.expected.setdefault(_digest(array), []).append(name)

    def _stray(
        self, name: str, piece: Piece, stored: Any, value: Any, note: str, found: Any = None
    ) -> TensorCheck:
        """A place that holds something else: what, is looked up when all digests are known."""
        self.strays.append((len(self.report.tensors), piece, _digest(stored)))
        plain = stored if found is None else found
        if value.ndim > 1 and _same(value.swapaxes(-1, -2).astype(plain.dtype), plain):
            note = "it is transposed"
        errors = _errors(value, plain) if plain.shape == value.shape else (1.0, math.inf)
        return TensorCheck(name, str(piece), "differs", *errors, note=note)

    def _trace_strays(self) -> None:
        displaced = {self.report.tensors[at].name for at, _, _ in self.strays}
        elsewhere: set[str] = set()
        for at, _, digest in self.strays:
            check = self.report.tensors[at]
            others = [name for name in self.expected.get(digest, []) if name != check.name]
            if not others:
                continue
            self.report.tensors[at] = dataclasses.replace(check, note=f"it holds {others[0]}")
            elsewhere.update(others)
            self.report.used_twice += [name for name in others[:1] if name not in displaced]
        for at, _, _ in self.strays:
            check = self.report.tensors[at]
            if check.note.startswith("it holds") and check.name not in elsewhere:
                self.report.missing.append(check.name)


_ORDER: tuple[Status, ...] = ("exact", "cast", "quantized", "near", "differs", "missing")


def _arguments(config: dict[str, Any], names: list[str]) -> dict[str, Any]:
    try:
        _, args = model_class(config)
        return dataclasses.asdict(args.from_dict(args.adapt(config, names)))
    except ModelConfigError as error:
        raise CheckpointError(error.message, error.hint) from error


def _at(array: Any, piece: Piece) -> Any:
    return array if piece.index is None else array[piece.index]


def _same(a: Any, b: Any) -> bool:
    """Equal to the last bit, in shape and in type."""
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    width = {1: mx.uint8, 2: mx.uint16, 4: mx.uint32, 8: mx.uint64}[a.dtype.size]
    left, right = (mx.contiguous(x).reshape(-1).view(width) for x in (a, b))
    return bool(mx.array_equal(left, right).item())


def _kind(array: Any) -> str:
    return str(array.dtype).removeprefix("mlx.core.")


def _digest(array: Any) -> str:
    return hashlib.blake2b(as_bytes(array).data, digest_size=16).hexdigest()


def _errors(value: Any, found: Any) -> tuple[float, float]:
    """Relative Frobenius and largest absolute error of `found`."""
    wide: Any = value.astype(mx.float32)
    off: Any = found.astype(mx.float32) - wide
    norm: Any = mx.sqrt((wide * wide).sum())
    relative: Any = mx.sqrt((off * off).sum()) / mx.maximum(norm, 1e-30)
    largest: Any = mx.abs(off).max()
    return float(relative.item()), float(largest.item())


def _difference(wanted: Any, found: Any) -> str:
    count = int((wanted != found).sum().item())
    return f"{max(count, 1):,} of {wanted.size:,} numbers differ"


def failures(report: Report) -> Iterator[str]:
    """What is wrong, a sentence each."""
    for line in report.config:
        yield f"config.json differs: {line}."
    for name in report.missing:
        yield f"{name} is missing."
    for name in report.used_twice:
        yield f"{name} is used twice."
    for name in report.extra:
        yield f"{name} is extra: it comes from no tensor of the source."
    for check in report.differing:
        yield f"{check.name} differs in {check.found_in}: {check.note}."
