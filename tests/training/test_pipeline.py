"""From text to a chat that answers, by one config, in under a minute on a CPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import deepseek_tui
from deepseek_tui.cli.main import main
from deepseek_tui.training.config import load_config
from deepseek_tui.training.errors import TrainingError
from deepseek_tui.training.progress import duration, plot
from tests.training.tiny import CONFIG, write_lines

YOUNG = {"dog": "puppy", "cat": "kitten", "cow": "calf", "hen": "chick", "pig": "piglet", "goat": "kid"}
ASKED = ("What do you call a baby {}?", "A baby {} is called what?", "Name a baby {}.")

RUN = """
folder = "run"
seed = 1

[[stage]]
name = "tokenizer"
kind = "tokenizer"
files = ["chats.jsonl"]
vocab_size = 330
context = 128

[[stage]]
name = "rows"
kind = "prepare"
files = ["chats.jsonl"]
tokenizer = "stage:tokenizer"
row_length = 64
deduplicate = false
roles = { assistant = 1.0, user = 0.1 }

[[stage]]
name = "model"
kind = "train"
config = "model.json"
tokenizer = "stage:tokenizer"
steps = 90
ahead = 0.2
sources = [{ data = "stage:rows", rows = 12, held_out = 4 }]
optimizer = { lr = 0.02, adam_lr = 0.005, embedding_lr = 0.005 }
schedule = { warmup = 5 }
rounding = { start = 0.6, bits = 4, group_size = 32 }
validate_every = 45
save_every = 30

[[stage]]
name = "shipped"
kind = "export"
model = "stage:model"
bits = 4
group_size = 32
"""


def prepare(folder: Path, text: str = RUN) -> Path:
    chats = [
        {"messages": [{"role": "user", "content": ask.format(old)},
                      {"role": "assistant", "content": f"A baby {old} is a {young}."}]}
        for _ in range(12) for old, young in YOUNG.items() for ask in ASKED
    ]  # fmt: skip
    write_lines(folder / "chats.jsonl", chats)
    config = {k: v for k, v in CONFIG.items() if k != "vocab_size"}
    config |= {"hidden_size": 64, "intermediate_size": 128, "max_position_embeddings": 128}
    (folder / "model.json").write_text(json.dumps(config))
    path = folder / "run.toml"
    path.write_text(text)
    return path


def test_from_text_to_a_chat_that_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = prepare(tmp_path)
    # In two parts, as a run that was cut short: the time is up at once, then it goes on.
    assert main(["train", str(path), "--seconds", "0.5", "--quiet"]) == 0
    assert not (tmp_path / "run" / "shipped").exists()
    assert main(["train", str(path)]) == 1
    assert "--resume" in capsys.readouterr().err
    assert main(["train", str(path), "--resume"]) == 0
    shown = capsys.readouterr().err
    assert "tokenizer: done before" in shown
    assert "tokens/s  MFU" in shown
    records = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert records[-1]["validation.rows.entropy"] < 0.5
    model, tokenizer = deepseek_tui.load(tmp_path / "run" / "shipped")
    assert tokenizer is not None
    for old, young in YOUNG.items():
        prompt = f"<|im_start|>user\nName a baby {old}.<|im_end|>\n<|im_start|>assistant\n"
        answer = deepseek_tui.generate(model, tokenizer, prompt, max_tokens=30)
        assert answer == f"A baby {old} is a {young}."


def test_a_dry_run_says_what_would_happen_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepare(tmp_path)
    assert main(["train", str(path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "4 stages" in shown
    assert "model (train): 90 steps; sizes once stage:tokenizer, stage:rows is made" in shown
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("steps = 90", 'steps = "many"', "steps should be a whole number and is 'many'"),
        ("steps = 90", "step = 90", "has no key 'step'. Do you mean 'steps'?"),
        ("steps = 90", "steps = 0", "steps is less than 1"),
        ("lr = 0.02", "lr = true", "optimizer, lr should be a number and is True"),
        ('kind = "export"', 'kind = "ship"', "has the kind 'ship'"),
        ('data = "stage:rows"', 'data = "stage:row"', "uses 'stage:row'; no stage before it"),
        ("held_out = 4", 'objective = "distil"', "to be distilled and there is no teacher"),
        ('config = "model.json"', "", "exactly one of model and config"),
        ('folder = "run"', "", "needs folder"),
        ("seed = 1", "seed = ", "is not valid TOML"),
        ('name = "rows"', 'name = "tokenizer"', "two stages named 'tokenizer'"),
        ("row_length = 64", "", ""),
    ],
)
def test_mistakes_in_a_config_are_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RUN
    path = prepare(tmp_path, RUN.replace(old, new))
    if not message:
        load_config(path)
        return
    with pytest.raises(TrainingError) as caught:
        load_config(path)
    assert message in str(caught.value)
    assert "run.toml" in str(caught.value)


def test_a_stage_with_other_settings_is_not_taken_for_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepare(tmp_path, RUN.split('[[stage]]\nname = "model"')[0])
    assert main(["train", str(path), "--quiet"]) == 0
    path.write_text(path.read_text().replace("row_length = 64", "row_length = 32"))
    assert main(["train", str(path), "--resume"]) == 1
    assert "The stage 'rows' was made with other settings" in capsys.readouterr().err


def test_figures_for_people() -> None:
    assert plot([3.0, 2.0, 1.0, float("nan")]) == "█▅▁"
    assert len(plot([float(n) for n in range(1000)])) <= 60
    assert plot([]) == ""
    assert [duration(s) for s in (42, 125, 12000)] == ["42 s", "2 min 5 s", "3 h 20 min"]
