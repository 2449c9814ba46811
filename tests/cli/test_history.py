from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from deepseek_tui import paths
from deepseek_tui.cli.main import main
from deepseek_tui.history.store import Store


@pytest.fixture(autouse=True)
def _own_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "home"))


@pytest.fixture
def ids() -> list[str]:
    """Three conversations: an old one, a pinned old one, and a new one."""
    now = [0.0]
    store = Store(paths.history_path(), lambda: now[0])
    made = []
    for title, age in (("Old apples", 0.0), ("Pinned pears", 0.0), ("New <b>plums", 4e9)):
        now[0] = age
        conversation = store.create_conversation()
        store.add_message(conversation.id, "user", title)
        store.add_message(conversation.id, "assistant", f"Answer about {title}\x1b[31m")
        made.append(conversation.id)
    store.organise(made[1], pinned=True, folder="Fruit")
    store.close()
    return made


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["history", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_list(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "list")
    assert code == 0
    assert [line.split("     2  ")[1] for line in out.splitlines()] == [
        *("* Fruit/ Pinned pears", "New <b>plums", "Old apples")
    ]
    assert ids[0][:8] in out
    assert run(capsys, "list", "--limit", "1", "new", "plum")[1].count("\n") == 1
    assert "Pinned" in run(capsys, "list", "--folder", "Fruit")[1]
    assert run(capsys, "list", "--archived")[1] == ""
    lines = run(capsys, "list", "--json")[1].splitlines()
    assert [json.loads(line)["pinned"] for line in lines] == [True, False, False]


def test_search(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    out = run(capsys, "search", "apple")[1]
    assert out.count(ids[0][:8]) == 2
    assert "assistant: Answer about Old apples␛[31m" in out
    assert "\x1b" not in out
    hits = [
        json.loads(line) for line in run(capsys, "search", "--json", "--in", ids[0], "answer")[1].splitlines()
    ]
    assert [hit["conversation"] for hit in hits] == [ids[0]]
    assert run(capsys, "search", "--limit", "1", "answer")[1].count("assistant") == 1
    assert run(capsys, "search", "zebra")[1:] == ("", "Nothing was found.\n")


def test_show(ids: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert "## user\n\nOld apples" in run(capsys, "show", ids[0][:6])[1]
    assert len(json.loads(run(capsys, "show", "--json", ids[0])[1])["messages"]) == 2
    code, out, err = run(capsys, "show", "zzz")
    assert (code, out) == (1, "")
    assert "No conversation has an id that begins with 'zzz'" in err
    assert "3 conversations have an id that begins with ''" in run(capsys, "show", "")[2]


def test_what_is_exported_is_imported_elsewhere_byte_for_byte(
    ids: list[str],
    capsysbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    assert main(["history", "export", "--all", "--format", "json"]) == 0
    first = capsysbinary.readouterr().out
    monkeypatch.setenv("DEEPSEEK_TUI_HOME", str(tmp_path / "other"))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(first)))
    assert main(["history", "import", "-"]) == 0
    assert capsysbinary.readouterr() == (b"", b"imported 3 conversations\n")
    assert main(["history", "export", "--all"]) == 0
    assert capsysbinary.readouterr().out == first
    file = tmp_path / "export.json"
    file.write_bytes(first)
    assert main(["history", "import", str(file)]) == 0
    assert b"imported 0 conversations, 3 were there already" in capsysbinary.readouterr().err


@pytest.mark.parametrize("form", ["json", "markdown", "html", "text"])
def test_export_to_a_file_and_into_a_folder(
    ids: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, form: str
) -> None:
    assert run(capsys, "export", "--all", "--format", form, "--out", f"{tmp_path}/new/")[0] == 0
    files = sorted((tmp_path / "new").iterdir())
    assert len(files) == 3
    assert any(f.name.startswith("old-apples-") and "Old apples" in f.read_text() for f in files)
    one = tmp_path / "one"
    code, out, err = run(capsys, "export", ids[2], "--format", form, "--out", str(one))
    assert (code, out, err) == (0, "", f"wrote 1 conversation to {one}\n")
    assert "plums" in one.read_text()
    assert "apples" not in one.read_text()
    assert run(capsys, "export", ids[2], "--format", form)[1] == one.read_text()


def test_export_needs_to_know_what(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["history", "export"])
    assert caught.value.code == 2
    assert run(capsys, "export", "abc")[0] == 1


def test_a_file_that_is_not_there_or_not_right(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, _, err = run(capsys, "import", str(tmp_path / "nothing.json"))
    assert code == 1
    assert "nothing.json cannot be read: No such file" in err
    (tmp_path / "bad.json").write_text("[1]")
    assert "bad.json is no export of conversations" in run(capsys, "import", str(tmp_path / "bad.json"))[2]


def test_remove_what_is_old_but_not_what_is_pinned(
    ids: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, _, err = run(capsys, "remove", "--older-than", "30d", "--dry-run")
    assert err == f"would remove {ids[0][:8]} Old apples\nwould remove 1 conversation\n"
    assert len(run(capsys, "list")[1].splitlines()) == 3
    assert "removed 1 conversation\n" in run(capsys, "remove", "--older-than", "1w")[2]
    assert [line[:8] for line in run(capsys, "list")[1].splitlines()] == [ids[1][:8], ids[2][:8]]
    run(capsys, "remove", ids[1])
    assert [line[:8] for line in run(capsys, "list")[1].splitlines()] == [ids[2][:8]]


@pytest.mark.parametrize(
    "words", [["--older-than", "5"], ["--older-than", "d"], [], ["x", "--older-than", "1d"]]
)
def test_remove_with_wrong_words_removes_nothing(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["history", "remove", *words])
    assert caught.value.code == 2
