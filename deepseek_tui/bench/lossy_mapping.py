"""What the older mapping of the original checkpoint changes: `python -m deepseek_tui.bench.lossy_mapping`.

An earlier iOS port (github.com/matthewchung74/poc) renames the tensors of "DeepSeek V3 from scratch" to those
of MLX's deepseek_v3 and leaves out what has no place there. Here a small model of the original architecture
is trained for about a minute on text that a program writes, mapped in the same way, and both are asked for
the next character at every place of text that neither has seen.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from deepseek_tui.engine.blas import prefer_fast_blas

if __name__ == "__main__":
    # Before mlx is imported.
    prefer_fast_blas()

import mlx.core as mx
import mlx.nn as nn
from mlx.optimizers import AdamW, cosine_decay
from mlx.utils import tree_flatten, tree_unflatten

from deepseek_tui.checkpoints.build import build_model
from deepseek_tui.models.scratch import Model, ModelArgs

ARGS = ModelArgs(
    vocab_size=128,
    block_size=96,
    n_layer=3,
    n_head=4,
    n_embd=64,
    kv_lora_rank=24,
    q_lora_rank=32,
    rope_dim=8,
    n_experts=4,
    expert_intermediate_size=48,
    shared_expert_intermediate_size=64,
    mtp_num_heads=1,
)
"""The proportions of the published checkpoint, an eighth as wide."""

_BATCH = 16
_BIAS_STEP = 0.002
_NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Leo", "Mia")
_THINGS = (
    "lamp",
    "boat",
    "coin",
    "drum",
    "fern",
    "harp",
    "jar",
    "kite",
    "ladder",
    "mirror",
    "needle",
    "quilt",
)
_COLOURS = ("red", "blue", "green", "white", "black", "yellow", "grey", "brown")
_PLACES = ("garden", "kitchen", "harbour", "station", "market", "library", "cellar", "attic")


def story(chance: random.Random) -> str:
    """A few sentences in which later words follow from earlier ones: who has what, sums, counting."""
    who, other = chance.sample(_NAMES, 2)
    colour, thing, place = chance.choice(_COLOURS), chance.choice(_THINGS), chance.choice(_PLACES)
    what = f"{colour} {thing}"
    a, b = chance.randint(2, 9), chance.randint(2, 9)
    first = chance.choice(
        [
            f"{who} has a {what}. {other} asks for the {thing}. So {who} gives {other} the {what}.",
            f"The {what} is in the {place}. {who} looks in the {place} and finds the {what}.",
        ]
    )
    numbers = ", ".join(str(n) for n in range(a, a + 5))
    second = chance.choice(
        [
            f"{who} counts: {numbers}.",
            f"{a} and {b} make {a + b}.",
            f"{other} writes {thing} backwards: {thing[::-1]}.",
        ]
    )
    return f"{first} {second}\n"


def text_ids(seed: int, characters: int) -> list[int]:
    """Stories as character codes, at least so many of them."""
    chance, out = random.Random(seed), list[int]()
    while len(out) < characters:
        out += [ord(letter) for letter in story(chance)]
    return out


def train(steps: int, seed: int = 1) -> Model:
    """A model trained on stories; balancing the load moves the experts' bias, as in DeepSeek-V3."""
    mx.random.seed(seed)
    model = Model(ARGS)
    model.update(tree_unflatten([(n, _initial(n, p)) for n, p in tree_flatten(model.parameters())]))
    data = mx.array(text_ids(seed, 600_000))
    optimizer = AdamW(learning_rate=cosine_decay(6e-3, steps, 2e-4), betas=[0.9, 0.95], weight_decay=0.02)
    step_of = nn.value_and_grad(model, lambda x, y: model.losses(x, y).total)
    length, started, live = ARGS.block_size, time.monotonic(), sys.stderr.isatty()
    for step in range(steps):
        starts = mx.random.randint(0, data.size - length - 1, (_BATCH, 1))
        rows = data[starts + mx.arange(length + 1)]
        loss, gradients = step_of(rows[:, :-1], rows[:, 1:])
        optimizer.update(model, gradients)
        if step % 10 == 0:
            _balance(model, rows[:4, :-1])
        mx.eval(model.parameters(), optimizer.state)
        if live and step % 10 == 0:
            took = f"{time.monotonic() - started:.0f} s"
            print(f"\r\x1b[Kstep {step}/{steps}  loss {loss.item():.3f}  {took}", end="", file=sys.stderr)
    if live:
        print("\r\x1b[K", end="", file=sys.stderr)
    model.eval()
    return model


def _initial(name: str, array: Any) -> Any:
    """Matrices by their inputs, embeddings small, biases zero, norms one."""
    if name.endswith("bias"):
        return mx.zeros(array.shape)
    if array.ndim == 1:
        return array
    width = 0.05 if name in ("wte.weight", "wpe.weight") else 0.8 * array.shape[-1] ** -0.5
    return width * mx.random.normal(array.shape)


def _balance(model: Model, tokens: Any) -> None:
    """Experts chosen too often lose a little bias, the others gain it (arXiv 2408.15664)."""
    x = model.wte(tokens) + model.wpe(mx.arange(tokens.shape[1]))
    for block in model.h:
        seen = x + block.attn(block.ln_1(x))
        rows = block.ln_2(seen).reshape(-1, ARGS.n_embd)
        logits = block.mlp.router(rows) + block.mlp.expert_bias
        chosen = mx.argpartition(-logits, kth=ARGS.n_experts_per_token - 1, axis=-1)
        chosen = chosen[:, : ARGS.n_experts_per_token]
        load = (chosen.reshape(-1, 1) == mx.arange(ARGS.n_experts)).sum(axis=0)
        block.mlp.expert_bias = block.mlp.expert_bias - _BIAS_STEP * mx.sign(load - load.mean())
        x = block(x)


def mapped(model: Model) -> Any:
    """The same weights as the older mapping puts them into deepseek_v3."""
    args = model.args
    nope = args.head_dim - args.rope_dim
    inner = max(args.expert_intermediate_size, args.shared_expert_intermediate_size)
    config = {
        "model_type": "deepseek_v3",
        "vocab_size": args.vocab_size,
        "hidden_size": args.n_embd,
        "intermediate_size": 4 * args.n_embd,
        "moe_intermediate_size": inner,
        "num_hidden_layers": args.n_layer,
        "num_attention_heads": args.n_head,
        "n_shared_experts": 1,
        "n_routed_experts": args.n_experts,
        "num_experts_per_tok": args.n_experts_per_token,
        "routed_scaling_factor": 1.0,
        "norm_topk_prob": False,
        "kv_lora_rank": args.kv_lora_rank,
        "q_lora_rank": args.q_lora_rank,
        "qk_rope_head_dim": args.rope_dim,
        "qk_nope_head_dim": nope,
        "v_head_dim": args.head_dim,
        "max_position_embeddings": args.block_size,
        "rms_norm_eps": 1e-6,
        "rope_theta": args.rope_base,
        "tie_word_embeddings": True,
    }
    weights = {"model.embed_tokens.weight": model.wte.weight, "model.norm.weight": model.ln_f.weight}
    for index, block in enumerate(model.h):
        for name, array in _mapped_layer(block, args, nope, inner).items():
            weights[f"model.layers.{index}.{name}"] = array
    return build_model(config, weights).model


def _mapped_layer(block: Any, args: ModelArgs, nope: int, inner: int) -> dict[str, Any]:
    attention, mlp, heads = block.attn, block.mlp, args.n_head
    keys = attention.k_decompress.weight.reshape(heads, args.head_dim, -1)[:, :nope]
    values = attention.v_decompress.weight.reshape(heads, args.head_dim, -1)
    layer = {
        "input_layernorm.weight": block.ln_1.weight,
        "post_attention_layernorm.weight": block.ln_2.weight,
        "self_attn.q_a_proj.weight": attention.q_proj.weight,
        # There is no norm here in the original.
        "self_attn.q_a_layernorm.weight": mx.ones((args.q_lora_rank,)),
        # q_rope_proj is lost: the second half of each content query is rotated in its place.
        "self_attn.q_b_proj.weight": attention.q_decompress.weight,
        # Of the rotary keys only the first head's.
        "self_attn.kv_a_proj_with_mqa.weight": mx.concatenate(
            [attention.kv_proj.weight, attention.k_rope_proj.weight[: args.rope_dim]]
        ),
        "self_attn.kv_a_layernorm.weight": attention.kv_norm.weight,
        "self_attn.kv_b_proj.weight": mx.concatenate([keys, values], axis=1).reshape(-1, args.kv_lora_rank),
        "self_attn.o_proj.weight": attention.o_proj.weight,
        "mlp.gate.weight": mlp.router.weight,
        "mlp.gate.e_score_correction_bias": mx.zeros((args.n_experts,)),
    }
    missing = inner - args.expert_intermediate_size
    for name in ("gate_proj", "up_proj", "down_proj"):
        wide = [(0, 0), (0, missing), (0, 0)] if name != "down_proj" else [(0, 0), (0, 0), (0, missing)]
        layer[f"mlp.switch_mlp.{name}.weight"] = mx.pad(mlp.experts[name].weight, wide)
        layer[f"mlp.shared_experts.{name}.weight"] = mlp.shared_expert[name].weight
    return layer


@dataclass(frozen=True)
class Comparison:
    """Of `positions` next characters, the share that the mapped model chooses otherwise; losses in nats."""

    positions: int
    changed: float
    right_before: float
    right_after: float
    loss_before: float
    loss_after: float


def compare(model: Any, other: Any, positions: int = 96 * 96) -> Comparison:
    """Both models over text that neither was trained on."""
    length = ARGS.block_size
    data = mx.array(text_ids(999, positions + 1))
    ids = data[:positions].reshape(-1, length)
    targets = data[1 : positions + 1].reshape(-1, length)
    results = []
    for one in (model, other):
        logits: Any = mx.concatenate([one(ids[i : i + 8]) for i in range(0, len(ids), 8)])
        loss: Any = nn.losses.cross_entropy(logits, targets, reduction="mean")
        results.append((logits.argmax(axis=-1), loss.item()))
    (before, loss_before), (after, loss_after) = results
    return Comparison(
        positions,
        (before != after).mean().item(),
        (before == targets).mean().item(),
        (after == targets).mean().item(),
        loss_before,
        loss_after,
    )


def main() -> None:
    """Trains, maps, compares and prints."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=250, help="training steps (250, about a minute)")
    parser.add_argument("--seed", type=int, default=1, help="of the first weights and of the text (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    model = train(args.steps, args.seed)
    found = compare(model, mapped(model))
    if args.json:
        print(json.dumps(asdict(found)))
        return
    print(f"{found.changed:.1%} of {found.positions:,} next-character choices change under the mapping")
    print(f"right before {found.right_before:.1%}, after {found.right_after:.1%}")
    print(f"loss before {found.loss_before:.3f}, after {found.loss_after:.3f} nats a character")


if __name__ == "__main__":
    main()
