"""What programs get from `import deepseek_tui`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm.utils
import pytest
from mlx_lm.generate import GenerationResponse, generate_step
from mlx_lm.tokenizer_utils import load as load_tokenizer

import deepseek_tui
from deepseek_tui.errors import UserError
from tests.conftest import WEIGHTS

FIXTURES = Path(__file__).parents[1] / "fixtures"


def test_a_model_without_tokenizer_files_has_no_tokenizer() -> None:
    model, tokenizer = deepseek_tui.load(FIXTURES / "llama-tiny")
    assert tokenizer is None
    assert model(mx.array([[1, 2, 3]])).shape == (1, 3, 512)
    responses = list(deepseek_tui.stream_generate(model, tokenizer, [1, 2, 3], max_tokens=4))
    assert [r.generation_tokens for r in responses] == [1, 2, 3, 4]
    assert [r.finish_reason for r in responses] == [None, None, None, "length"]
    assert {r.text for r in responses} == {""}


def test_a_path_without_a_model_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        deepseek_tui.load(tmp_path / "nothing")


def test_text_prompts_are_read_as_mlx_lm_reads_them(built_in: tuple[Any, Any]) -> None:
    """Names and meanings are mlx-lm's, so a program moves over by changing its import."""
    theirs = load_tokenizer(WEIGHTS)
    for prompt in ("Once upon a time", "<|im_start|>user\nHi<|im_end|>\n"):
        bos = theirs.bos_token
        expected = theirs.encode(prompt, add_special_tokens=bos is None or not prompt.startswith(bos))
        assert built_in[1].encode_prompt(prompt) == expected


def test_fields_are_mlx_lms() -> None:
    ours = deepseek_tui.stream_generate(deepseek_tui.load(FIXTURES / "llama-tiny")[0], None, [1], 1)
    fields = set(GenerationResponse.__dataclass_fields__)
    assert fields == set(vars(next(iter(ours))))


def test_greedy_replies_are_mlx_lms() -> None:
    folder = FIXTURES / "llama-tiny"
    model, _ = deepseek_tui.load(folder)
    theirs, _ = mlx_lm.utils.load_model(folder)
    prompt = [7, 3, 11, 42]
    expected = [t for t, _ in generate_step(mx.array(prompt), theirs, max_tokens=20)]
    ours = [r.token for r in deepseek_tui.stream_generate(model, None, prompt, 20)]
    assert ours == expected


def test_generate_returns_the_text() -> None:
    code = (
        "import deepseek_tui;"
        f"model, tokenizer = deepseek_tui.load({str(WEIGHTS)!r});"
        "prompt = '<|im_start|>user\\nWhat is the capital of Italy?<|im_end|>\\n<|im_start|>assistant\\n';"
        "print(deepseek_tui.generate(model, tokenizer, prompt, max_tokens=40), deepseek_tui.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"The capital of Italy is Rome. {deepseek_tui.__version__}\n"
