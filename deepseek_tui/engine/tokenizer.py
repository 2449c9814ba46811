"""Text to token ids and back, from the tokenizer files that lie beside a model.

Two doors for text: `encode` for text from people and models, in which a typed "<|im_end|>" stays text, and
`encode_trusted` for text that a chat template or a programmer wrote, in which it is the control token.
"""

from __future__ import annotations

import codecs
import functools
import json
import re
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import tokenizers

from deepseek_tui.errors import UserError

_BRACKETED = re.compile(r"[<\[{|｜].*[>\]}|｜]", re.DOTALL)
_HELD_TOKENS = 8
_ROLES = ("bos", "eos", "pad", "unk")


class TokenizerError(UserError):
    """Tokenizer files that cannot be used: which, why, and what to do."""


class Detokenizer(Protocol):
    """Turns ids into text one at a time; never gives out half a character."""

    def add(self, token: int) -> str:
        """The text that this id completes, perhaps none."""

    def finish(self) -> str:
        """What was held back; bytes that never became a character are U+FFFD."""


class Tokenizer:
    """A tokenizer with what the files around it say about its control tokens and its chat template.

    `eos_token_ids`: every id that ends a reply. `bos_token_id`, `bos_token`, `eos_token`, `pad_token`,
    `unk_token`: None where unset. `chat_templates`: by name, the one in use is "default".
    """

    def __init__(
        self,
        definition: str,
        *,
        config: dict[str, Any] | None = None,
        eos_token_ids: Iterable[int] = (),
        bos_token_id: int | None = None,
        chat_templates: dict[str, str] | None = None,
        path: Path | None = None,
    ) -> None:
        """`definition`: contents of a tokenizer.json. Raises TokenizerError where it is none."""
        self.path = path
        self._definition = definition
        self._tokenizer = _parse(definition, path)
        config = config or {}
        self.control_tokens = self._controls()
        names = {f"{role}_token": _token_text(config.get(f"{role}_token")) for role in _ROLES}
        self.bos_token: str | None = names["bos_token"]
        self.eos_token: str | None = names["eos_token"]
        self.pad_token: str | None = names["pad_token"]
        self.unk_token: str | None = names["unk_token"]
        self.bos_token_id = self._id(self.bos_token) if self.bos_token else bos_token_id
        if self.bos_token is None and bos_token_id is not None:
            self.bos_token = self._tokenizer.id_to_token(bos_token_id)
        ends = set(eos_token_ids)
        if self.eos_token and (end := self._id(self.eos_token)) is not None:
            ends.add(end)
        self.eos_token_ids: set[int] = ends
        self.chat_templates = dict(chat_templates or {})

    # --- what it knows ---

    @property
    def chat_template(self) -> str | None:
        """The template that chat uses, None where the model brings none."""
        return self.chat_templates.get("default")

    @property
    def vocab_size(self) -> int:
        """Number of tokens, added ones included; a model's logits may be wider (padding)."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def _controls(self) -> dict[str, int]:
        """Text and id of every added token that steers the model rather than standing for its own text.

        Added tokens that are no control (runs of spaces, words) are left to match in any text.
        """
        found = {}
        for token_id, token in self._tokenizer.get_added_tokens_decoder().items():
            if len(token.content) > 1 and (token.special or _BRACKETED.fullmatch(token.content.strip())):
                found[token.content] = token_id
        return found

    @functools.cached_property
    def control_pattern(self) -> re.Pattern[str] | None:
        """Finds control tokens in text as the tokenizer would: leftmost, longest. None: there are none."""
        if not self.control_tokens:
            return None
        longest_first = sorted(self.control_tokens, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    @functools.cached_property
    def control_parts(self) -> tuple[frozenset[str], frozenset[str], int]:
        """Beginnings and ends of control tokens, two characters or more, not the whole; their greatest size.

        Some models have hundreds of control tokens, too many to try each on every message.
        """
        parts = [(text, size) for text in self.control_tokens for size in range(2, len(text))]
        longest = max((size for _, size in parts), default=0)
        return (
            frozenset(text[:size] for text, size in parts),
            frozenset(text[-size:] for text, size in parts),
            longest,
        )

    def _id(self, token: str) -> int | None:
        found: int | None = self._tokenizer.token_to_id(token)
        return found

    # --- text to ids ---

    def encode(self, text: str) -> list[int]:
        """Ids of text that nobody vouches for: no control token can come of it, whatever it says."""
        if self.control_pattern is None or not self.control_pattern.search(text):
            return self._plain(self._tokenizer, text)
        return self._plain(self._guarded[0], text)

    def encode_trusted(self, text: str, *, add_special_tokens: bool = False) -> list[int]:
        """Ids of text whose control tokens are meant. `add_special_tokens`: as the tokenizer's own
        post-processor does it, usually a beginning-of-text token in front."""
        return list(self._tokenizer.encode(_whole(text), add_special_tokens=add_special_tokens).ids)

    def encode_mixed(self, pieces: Sequence[str | int]) -> list[int]:
        """Ids of text (untrusted) with control tokens (given as ids) between, encoded as one whole."""
        guarded, names = self._guarded
        text = "".join(names[p] if isinstance(p, int) else p for p in pieces)
        return self._plain(guarded, text)

    def encode_prompt(self, text: str) -> list[int]:
        """Ids of a prompt that a programmer gives as text, as mlx-lm takes it: control tokens are meant, and
        the post-processor's tokens are added unless the text already begins with the bos token."""
        return self.encode_trusted(
            text, add_special_tokens=self.bos_token is None or not text.startswith(self.bos_token)
        )

    @staticmethod
    def _plain(tokenizer: tokenizers.Tokenizer, text: str) -> list[int]:
        return list(tokenizer.encode(_whole(text), add_special_tokens=False).ids)

    @functools.cached_property
    def _guarded(self) -> tuple[tokenizers.Tokenizer, dict[int, str]]:
        """The same tokenizer, its control tokens under names that no text can contain, and those names by id.

        Built when first needed, for parsing a large vocabulary again takes up to a second.
        """
        nonce = secrets.token_hex(16)
        renamed = {text: f"\ue000{nonce}{token_id}\ue001" for text, token_id in self.control_tokens.items()}
        body = json.loads(self._definition)
        body["post_processor"] = None
        for token in body["added_tokens"]:
            if token["content"] in renamed:
                token.update(content=renamed[token["content"]], normalized=False)
        model = body["model"]
        if isinstance(model["vocab"], dict):
            model["vocab"] = {renamed.get(text, text): token_id for text, token_id in model["vocab"].items()}
        else:
            model["vocab"] = [[renamed.get(text, text), score] for text, score in model["vocab"]]
        if isinstance(model.get("unk_token"), str):
            model["unk_token"] = renamed.get(model["unk_token"], model["unk_token"])
        guarded = _parse(json.dumps(body), self.path)
        return guarded, {self.control_tokens[text]: name for text, name in renamed.items()}

    # --- ids to text ---

    def decode(self, ids: Sequence[int], skip_special: bool = True) -> str:
        """Text of ids; ids beyond the vocabulary (padding rows of a model) have none."""
        size = self.vocab_size
        return str(
            self._tokenizer.decode([i for i in ids if 0 <= i < size], skip_special_tokens=skip_special)
        )

    def detokenizer(self, skip_special: bool = True) -> Detokenizer:
        """A fresh one for one reply. What it gives out, joined, is `decode` of all ids."""
        if isinstance(self._tokenizer.decoder, tokenizers.decoders.ByteLevel):
            return _ByteLevelDetokenizer(self._tokenizer, self._special_ids if skip_special else frozenset())
        return _WindowDetokenizer(self, skip_special)

    @functools.cached_property
    def _special_ids(self) -> frozenset[int]:
        decoder = self._tokenizer.get_added_tokens_decoder()
        return frozenset(token_id for token_id, token in decoder.items() if token.special)


class _ByteLevelDetokenizer:
    """Byte-level BPE (GPT-2): a token is bytes, and UTF-8 says when a character is whole."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, skipped: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._skipped = skipped
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def add(self, token: int) -> str:
        text = None if token in self._skipped else self._tokenizer.id_to_token(token)
        return "" if text is None else self._decoder.decode(_token_bytes(text))

    def finish(self) -> str:
        return self._decoder.decode(b"", final=True)


class _WindowDetokenizer:
    """Any other decoder: decodes a short window without and with the new ids; the difference is new.

    The window begins at the last boundary but one, so a decoder that treats the first token of a text in its
    own way (SentencePiece's leading space) does so in both.
    """

    def __init__(self, tokenizer: Tokenizer, skip_special: bool) -> None:
        self._tokenizer = tokenizer
        self._skip = skip_special
        self._ids: list[int] = []
        self._read = 0
        self._known = ""

    def add(self, token: int) -> str:
        self._ids.append(token)
        text = self._tokenizer.decode(self._ids, self._skip)
        if text.endswith("\ufffd") and len(self._ids) - self._read < _HELD_TOKENS:
            return ""
        return self._advance(text)

    def finish(self) -> str:
        return self._advance(self._tokenizer.decode(self._ids, self._skip))

    def _advance(self, text: str) -> str:
        new = text[len(self._known) :]
        if new:
            # Keep only the ids since the last boundary: they are the context of what comes next.
            self._ids = self._ids[self._read :]
            self._read = len(self._ids)
            self._known = self._tokenizer.decode(self._ids, self._skip)
        return new


@functools.cache
def _byte_table() -> dict[str, int]:
    """GPT-2's stand-ins for the 256 bytes: printable Latin-1 for itself, the rest from U+0100."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    table = {chr(byte): byte for byte in printable}
    rest = (byte for byte in range(256) if byte not in set(printable))
    table.update({chr(0x100 + n): byte for n, byte in enumerate(rest)})
    return table


def _token_bytes(text: str) -> bytes:
    table = _byte_table()
    try:
        return bytes([table[character] for character in text])
    except KeyError:
        return text.encode()


def _whole(text: str) -> str:
    """Text without lone surrogates, which no tokenizer takes."""
    return text.encode("utf-8", "replace").decode() if not text.isascii() else text


def _token_text(value: object) -> str | None:
    """A token in tokenizer_config.json: a string, or an object with its `content`."""
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else None


def _parse(definition: str, path: Path | None) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_str(definition)
        tokenizer.no_truncation()
        tokenizer.no_padding()
    except Exception as error:  # the library raises nothing narrower
        raise TokenizerError(
            f"{path or 'The tokenizer.json'} is no tokenizer ({str(error)[:200]}).", "Fetch the model again."
        ) from error
    return tokenizer


# --- files ---


def load_tokenizer(path: str | Path) -> Tokenizer | None:
    """The tokenizer of a model directory, a .gguf file or a folder with one, None where there is none.

    Read beside it, each optional: tokenizer_config.json and special_tokens_map.json (token names, template),
    generation_config.json and config.json (end and beginning ids), chat_template.jinja / .json.
    Raises TokenizerError for a file that is broken.
    """
    path = Path(path).expanduser()
    gguf = path if path.suffix.lower() == ".gguf" and path.is_file() else _only_gguf(path)
    if gguf is not None:
        from deepseek_tui.checkpoints.gguf_reader import GGUFFile
        from deepseek_tui.checkpoints.gguf_tokenizer import tokenizer_files_of

        return _from_files(gguf, tokenizer_files_of(GGUFFile(gguf)))
    folder = path.parent if path.is_file() else path
    found = {}
    for file in (*(folder / name for name in _FILES), *sorted((folder / _MORE_TEMPLATES).glob("*.jinja"))):
        if file.exists():
            found[file.relative_to(folder).as_posix()] = _read_text(file)
    return _from_files(folder, found)


def _only_gguf(folder: Path) -> Path | None:
    """The GGUF file that is the model of a folder; a tokenizer.json beside it, or other weights, go first."""
    if not folder.is_dir() or (folder / "tokenizer.json").exists():
        return None
    from deepseek_tui.checkpoints.folder import locate

    kind, found = locate(folder)
    return found if kind == "gguf" else None


_MORE_TEMPLATES = "additional_chat_templates"
_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "config.json",
    "generation_config.json",
    "chat_template.json",
    "chat_template.jinja",
)


def _from_files(origin: Path, files: Mapping[str, str]) -> Tokenizer | None:
    """`files`: name -> contents. `origin` is what messages name."""
    if "tokenizer.json" not in files:
        return None
    bodies = {name: _json(origin / name, text) for name, text in files.items() if name in _FILES[1:6]}
    config = {**bodies.get("special_tokens_map.json", {}), **bodies.get("tokenizer_config.json", {})}
    places = [bodies.get(name, {}) for name in ("generation_config.json", "config.json")]
    begins = [i for place in places for i in _ids(place.get("bos_token_id"))]
    return Tokenizer(
        files["tokenizer.json"],
        config=config,
        eos_token_ids=[i for place in places for i in _ids(place.get("eos_token_id"))],
        bos_token_id=begins[0] if begins else None,
        chat_templates=_templates(files, config, bodies.get("chat_template.json", {})),
        path=origin / "tokenizer.json",
    )


def _templates(files: Mapping[str, str], *sources: Mapping[str, Any]) -> dict[str, str]:
    """Named templates; a file of its own goes before tokenizer_config.json, as transformers has it."""
    found: dict[str, str] = {}
    for source in sources:
        value = source.get("chat_template")
        if isinstance(value, str):
            found["default"] = value
        elif isinstance(value, dict):
            found.update({k: v for k, v in value.items() if isinstance(v, str)})
        elif isinstance(value, list):
            entries = [entry for entry in value if isinstance(entry, dict)]
            found.update(
                {str(e.get("name")): e["template"] for e in entries if isinstance(e.get("template"), str)}
            )
    for name, text in files.items():
        if name.startswith(_MORE_TEMPLATES):
            found[Path(name).stem] = text
    if "chat_template.jinja" in files:
        found["default"] = files["chat_template.jinja"]
    if len(found) == 1:
        found["default"] = next(iter(found.values()))
    return found


def _ids(value: object) -> list[int]:
    """`eos_token_id` and its like: a number, a list of them, or nothing."""
    values = value if isinstance(value, list) else [value]
    return [v for v in values if isinstance(v, int) and not isinstance(v, bool) and v >= 0]


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise TokenizerError(f"{path} cannot be read ({reason}).", "Fetch the model again.") from error


def _json(path: Path, text: str) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{path} is not valid JSON ({error}).", "Fetch the model again.") from error
    return body if isinstance(body, dict) else {}
