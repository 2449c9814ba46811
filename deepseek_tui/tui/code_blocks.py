"""The blocks of code in a message, as a person counts them: from the top, 1, 2, 3."""

from __future__ import annotations

from dataclasses import dataclass

from deepseek_tui.text.sanitize import sanitize
from deepseek_tui.tui.widgets.code_fence import language_of
from deepseek_tui.tui.widgets.message_markdown import parser

# Endings for files of the languages that models write most; the others get the language's own name.
_ENDINGS = {
    "python": "py",
    "py": "py",
    "javascript": "js",
    "typescript": "ts",
    "bash": "sh",
    "shell": "sh",
    "zsh": "sh",
    "rust": "rs",
    "ruby": "rb",
    "markdown": "md",
    "kotlin": "kt",
    "haskell": "hs",
    "csharp": "cs",
    "c++": "cpp",
    "yml": "yaml",
    "perl": "pl",
    "dockerfile": "Dockerfile",
    "text": "txt",
}


@dataclass(frozen=True)
class CodeBlock:
    """`language` is what the fence names, in lower case, or ""."""

    language: str
    code: str

    @property
    def file_name(self) -> str:
        """A name for a file of it."""
        ending = _ENDINGS.get(self.language, self.language)
        return f"code.{ending}" if ending.isalnum() else "code.txt"


def code_blocks(markdown: str) -> list[CodeBlock]:
    """Every block of code, those in lists and quotes too, in their order."""
    return [
        CodeBlock(language_of(sanitize(token.info)), token.content)
        for token in parser().parse(markdown)
        if token.type in ("fence", "code_block")
    ]
