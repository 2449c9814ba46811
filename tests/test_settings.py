from __future__ import annotations

import dataclasses
import tomllib
from pathlib import Path

import pytest

from deepseek_tui import paths
from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.errors import UserError
from deepseek_tui.settings import (
    Settings,
    SettingsError,
    load_settings,
    load_settings_or_defaults,
    resolve_model,
    save_override,
)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DEEPSEEK_TUI_MODEL", raising=False)


@pytest.fixture
def config() -> Path:
    return paths.ensure(paths.config_dir()) / "config.toml"


EVERYTHING = """
model = "smollm2"
theme = "nord"
system_prompt = "Be brief."
context_policy = "stop"
engine_command = "ssh mac deepseek-tui engine"
sidebar = false
reduced_motion = true

[sampling]
max_tokens = 512
temp = 0
top_p = 0.95
min_p = 0.05
top_k = 40
xtc_probability = 0.5
xtc_threshold = 0.1
repetition_penalty = 1.1
repetition_context_size = 64
presence_penalty = -0.5
presence_context_size = 20
frequency_penalty = 0.5
frequency_context_size = 20
logit_bias = {42 = -5, "7" = 1.5}
seed = 7
stop = ["END", "\\n\\n"]

[keys]
chat.new = "f2"
quit = "ctrl+x"
"""


def test_no_file_is_no_problem() -> None:
    assert load_settings() == Settings()


def test_every_setting_arrives_with_its_type(config: Path) -> None:
    config.write_text(EVERYTHING)
    settings = load_settings()
    assert settings == Settings(
        model="smollm2",
        theme="nord",
        system_prompt="Be brief.",
        context_policy="stop",
        engine_command="ssh mac deepseek-tui engine",
        sidebar=False,
        reduced_motion=True,
        sampling=Sampling(
            max_tokens=512,
            temp=0.0,
            top_p=0.95,
            min_p=0.05,
            top_k=40,
            xtc_probability=0.5,
            xtc_threshold=0.1,
            repetition_penalty=1.1,
            repetition_context_size=64,
            presence_penalty=-0.5,
            presence_context_size=20,
            frequency_penalty=0.5,
            frequency_context_size=20,
            logit_bias={"42": -5.0, "7": 1.5},
            seed=7,
            stop=("END", "\n\n"),
        ),
        keys={"chat.new": "f2", "quit": "ctrl+x"},
    )
    assert type(settings.sampling.temp) is float
    missing = [f.name for f in dataclasses.fields(Sampling) if getattr(settings.sampling, f.name) is None]
    assert missing == [], "every field of Sampling can be set in the file"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("theme = 3", ["theme", "3", "name of a theme"]),
        ("theme = ' '", ["theme", "name of a theme"]),
        ("system_prompt = 1", ["system_prompt", "text in quotes"]),
        ("sidebar = 'yes'", ["sidebar", "'yes'", "true or false"]),
        ("context_policy = 'grow'", ["context_policy", "'grow'", '"roll" or "stop"']),
        ("context_policy = ['roll']", ["context_policy"]),
        ("sampling = 3", ["sampling", "[sampling]"]),
        ("sampling.temp = -1", ["sampling.temp", "-1", "0 or more"]),
        ("sampling.temp = nan", ["sampling.temp", "nan"]),
        ("sampling.temp = true", ["sampling.temp = true"]),
        ("sampling.presence_penalty = inf", ["sampling.presence_penalty", "a number"]),
        ("sampling.top_p = 1.5", ["sampling.top_p", "from 0 to 1"]),
        ("sampling.top_k = 1.5", ["sampling.top_k", "whole number"]),
        ("sampling.top_k = true", ["sampling.top_k = true", "whole number"]),
        ("sampling.max_tokens = 0", ["sampling.max_tokens", "1 or more"]),
        ("sampling.stop = ['']", ["sampling.stop", "none of them empty"]),
        ("sampling.stop = 3", ["sampling.stop"]),
        ("sampling.logit_bias = {a = 1}", ["sampling.logit_bias", "token ids"]),
        ("sampling.logit_bias = {1 = 'x'}", ["sampling.logit_bias", "token ids"]),
        ("sampling.logit_bias = 1", ["sampling.logit_bias", "token ids"]),
        ("keys.quit = 3", ["keys.quit", "3", "name of a key"]),
        ("system_prompt = 3" + "0" * 200, ["system_prompt", "…"]),
        ("modle = 'x'", ["no setting modle", "Did you mean model?"]),
        ("temp = 1", ["no setting temp", "Did you mean sampling.temp?"]),
        ("sampling.top_q = 1", ["no setting sampling.top_q", "Did you mean sampling.top_"]),
        ("zzzzzz = 1", ["no setting zzzzzz", "Known keys: model, theme"]),
        ("theme = ", ["not valid TOML", "line 1"]),
        ("a = 1\na = 2", ["not valid TOML", "line 2"]),
        ("x = " + "[" * 5000, ["config.toml"]),
    ],
)
def test_what_is_wrong_is_named_and_the_rest_still_holds(config: Path, line: str, words: list[str]) -> None:
    config.write_text(line + "\n")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    for word in [str(config), *words]:
        assert word in str(caught.value)
    settings, problems = load_settings_or_defaults()
    assert settings == Settings()
    assert problems[0] == str(caught.value)


def test_good_lines_count_beside_bad_ones(config: Path) -> None:
    config.write_text("theme = 3\nmodel = 'x'\n[sampling]\ntop_p = 7\ntop_k = 7\n")
    settings, problems = load_settings_or_defaults()
    assert settings == Settings(model="x", sampling=Sampling(top_k=7))
    assert len(problems) == 2


def test_files_that_are_no_text_or_no_file(config: Path) -> None:
    config.write_bytes(b"theme = '\xff'")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_settings()
    config.unlink()
    config.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings()


def test_a_byte_order_mark_is_no_error(config: Path) -> None:
    config.write_bytes(b"\xef\xbb\xbftheme = 'nord'")
    assert load_settings().theme == "nord"


def test_what_the_app_changes_wins_and_leaves_the_file_of_the_person_alone(config: Path) -> None:
    text = "# mine\ntheme = 'nord'\n[sampling]\ntemp = 0.5\ntop_k = 5\n[keys]\nquit = 'q'\n"
    config.write_text(text)
    save_override("theme", "dracula")
    save_override("sampling.temp", 0.2)
    save_override("sampling.stop", ("a",))
    save_override("keys.chat.new", "f2")
    assert config.read_text() == text
    settings = load_settings()
    assert settings.theme == "dracula"
    assert settings.sampling == Sampling(temp=0.2, top_k=5, stop=("a",))
    assert settings.keys == {"quit": "q", "chat.new": "f2"}
    for key in ("theme", "sampling.temp", "keys.chat.new", "sampling.seed"):
        save_override(key, None)
    settings = load_settings()
    assert (settings.theme, settings.sampling.temp, settings.keys) == ("nord", 0.5, {"quit": "q"})
    assert tomllib.loads(paths.overrides_path().read_text())["sampling"] == {"stop": ["a"]}


def test_the_overrides_of_a_file_are_beside_it(tmp_path: Path) -> None:
    elsewhere = tmp_path / "x" / "my.toml"
    save_override("sidebar", False, elsewhere)
    assert load_settings(elsewhere).sidebar is False
    assert load_settings().sidebar is True


@pytest.mark.parametrize(
    ("key", "value"), [("theme", 3), ("nothing", 1), ("sampling.nothing", 1), ("keys", "x")]
)
def test_a_wrong_override_is_not_written(key: str, value: object) -> None:
    with pytest.raises(SettingsError):
        save_override(key, value)
    assert not paths.overrides_path().exists()


def test_an_override_file_spoilt_by_hand_is_not_overwritten(config: Path) -> None:
    paths.overrides_path().write_text("theme = \n")
    with pytest.raises(SettingsError, match=r"overrides\.toml is not valid"):
        save_override("theme", "nord")
    assert paths.overrides_path().read_text() == "theme = \n"
    paths.overrides_path().write_text("sampling = 3\n")
    with pytest.raises(SettingsError, match=r"overrides\.toml: sampling = 3"):
        save_override("sampling.temp", 1)


def test_the_environment_names_the_model(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config.write_text("model = 'one'")
    monkeypatch.setenv("DEEPSEEK_TUI_MODEL", "two")
    assert load_settings().model == "two"
    monkeypatch.setenv("DEEPSEEK_TUI_MODEL", " ")
    assert load_settings().model == "one"


def test_models_by_name_path_and_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    built_in, other = tmp_path / "weights", tmp_path / "other"
    installed = paths.models_dir() / "small"
    for folder in (built_in, other, installed):
        folder.mkdir(parents=True)
    monkeypatch.setattr(paths, "builtin_model", lambda: built_in)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert resolve_model(None, Settings()) == built_in
    assert resolve_model("built-in", Settings(model="small")) == built_in
    assert resolve_model(None, Settings(model="small")) == installed
    assert resolve_model("~/other", Settings()) == other
    assert resolve_model(str(other), Settings()) == other
    assert resolve_model("other", Settings()).samefile(other)
    (tmp_path / "small").mkdir()
    assert resolve_model("small", Settings()) == installed, "a name means the same in every directory"


def test_a_missing_model_says_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (paths.models_dir() / "small").mkdir(parents=True)
    monkeypatch.setattr(paths, "builtin_model", lambda: None)
    for name in ("nothing", "~no-such-user-anywhere/x"):
        with pytest.raises(UserError, match=r"no model .*Installed: small\. .*models"):
            resolve_model(name, Settings())
    with pytest.raises(UserError, match=r"built-in model is not installed.*--model"):
        resolve_model(None, Settings())
