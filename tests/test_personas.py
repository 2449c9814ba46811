from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deepseek_tui.engine.protocol import Sampling
from deepseek_tui.errors import UserError
from deepseek_tui.personas import (
    Persona,
    delete_persona,
    export_persona,
    import_persona,
    load_persona,
    personas,
    personas_dir,
    save_persona,
)
from deepseek_tui.settings import Settings, SettingsError

EVERYTHING = Persona(
    "Terse coder",
    description="Code and nothing else",
    system_prompt='Say "no" \\ to\nprose.\n',
    model="built-in",
    context_policy="stop",
    thinking=False,
    sampling=Sampling(temp=0.2, top_k=5, stop=("END", "\n\n"), logit_bias={"7": -1.0}),
)


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))


def write(name: str, text: str) -> Path:
    personas_dir().mkdir(parents=True, exist_ok=True)
    file = personas_dir() / f"{name}.toml"
    file.write_text(text)
    return file


def test_a_persona_comes_back_as_it_was_saved() -> None:
    file = save_persona(EVERYTHING)
    assert load_persona("Terse coder") == EVERYTHING
    assert personas() == ([EVERYTHING], [])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@given(prompt=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
@example(prompt="one\r\ntwo")
def test_every_prompt_comes_back(prompt: str) -> None:
    save_persona(Persona("any", system_prompt=prompt))
    assert load_persona("any").system_prompt == prompt


def test_it_goes_over_the_settings_where_it_says_something() -> None:
    settings = Settings(system_prompt="theirs", model="m", sampling=Sampling(temp=1, top_p=0.5))
    assert Persona("empty").over(settings) == settings
    changed = EVERYTHING.over(settings)
    assert (changed.model, changed.context_policy) == ("built-in", "stop")
    assert (changed.sampling.temp, changed.sampling.top_p) == (0.2, 0.5)
    assert Persona("none", system_prompt="").over(settings).system_prompt == ""


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("temp = 1", r"mine\.toml: there is no setting temp for a persona\. Did you mean sampling\.temp\?"),
        ("systemprompt = 'x'", r"Did you mean system_prompt\?"),
        ("[sampling]\ntemp = -1", r"mine\.toml: sampling\.temp = -1 is not allowed\. It must be a number, 0"),
        ("[sampling]\ntemprature = 1", r"no setting sampling\.temprature .*Did you mean sampling\.temp"),
        ("sampling = 3", r"sampling = 3 is not allowed\. It must be a table"),
        ("thinking = 'no'", r"thinking = 'no' is not allowed\. It must be true or false"),
        ("context_policy = 'cut'", r"context_policy = 'cut' .*\"roll\" or \"stop\""),
        ("a = [", r"mine\.toml is not valid TOML"),
    ],
)
def test_what_is_wrong_is_named(text: str, sentence: str) -> None:
    write("mine", text)
    with pytest.raises(SettingsError, match=sentence):
        load_persona("mine")
    write("other", "")
    found, problems = personas()
    assert found == [Persona("other")]
    assert len(problems) == 1


def test_nothing_wrong_is_saved() -> None:
    with pytest.raises(SettingsError, match=r"sampling\.temp = -1"):
        save_persona(Persona("mine", sampling=Sampling(temp=-1)))
    assert personas() == ([], [])


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "x" * 61, "a\nb", "dot.", "end "])
def test_names_that_are_no_file_names_are_refused(name: str) -> None:
    for call in (lambda: load_persona(name), lambda: save_persona(Persona(name))):
        with pytest.raises(UserError, match="cannot be the name"):
            call()


def test_a_slip_in_a_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match=r"no persona 'coder'\. Put one into"):
        load_persona("coder")
    save_persona(Persona("coder"))
    with pytest.raises(UserError, match=r"no persona 'coda'\. Did you mean coder\?"):
        load_persona("coda")
    with pytest.raises(UserError, match="There are: coder"):
        load_persona("zzzzz")


def test_what_is_deleted_can_be_saved_again() -> None:
    save_persona(EVERYTHING)
    gone = delete_persona(EVERYTHING.name)
    assert personas() == ([], [])
    save_persona(gone)
    assert load_persona(EVERYTHING.name) == EVERYTHING


def test_a_file_goes_to_somebody_else_and_comes_from_them(tmp_path: Path) -> None:
    save_persona(EVERYTHING)
    file = tmp_path / "theirs.toml"
    export_persona(EVERYTHING.name, file)
    assert import_persona(file).name == "theirs"
    assert load_persona("theirs").sampling == EVERYTHING.sampling
    with pytest.raises(UserError, match="a persona 'theirs' already"):
        import_persona(file)
    file.write_text("description = 'new'")
    assert import_persona(file, replace=True).description == "new"
    assert import_persona(file, name="third").name == "third"
    with pytest.raises(UserError, match="There is no file"):
        import_persona(tmp_path / "nothing.toml")
    file.write_text("nonsense = 1")
    with pytest.raises(SettingsError, match=r"theirs\.toml: there is no setting nonsense"):
        import_persona(file, name="fourth")
