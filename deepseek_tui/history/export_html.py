"""Conversations as one page of HTML that needs nothing else and does nothing: no scripts, no loads.

Texts are strangers' (a model's, a file's), so three things keep them inert: raw HTML in them is escaped by
the Markdown parser, links are only those that it finds harmless, and the page forbids all else by its policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape

from markdown_it import MarkdownIt

from deepseek_tui.history.records import Message
from deepseek_tui.history.transfer import Whole
from deepseek_tui.history.wording import about, writer
from deepseek_tui.text.sanitize import sanitize, sanitize_line

_THINKING = re.compile(r"\s*<think>(.*?)(?:</think>\s*|\Z)", re.DOTALL)

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_STYLE = """
:root {
  color-scheme: light dark;
  --text: #1d2430; --soft: #5c6675; --page: #ffffff; --you: #eef3fb;
  --code: #f4f5f7; --line: #d8dde5; --link: #1a5fb4;
}
@media (prefers-color-scheme: dark) {
  :root {
    --text: #e3e7ee; --soft: #9aa5b5; --page: #14181f; --you: #1f2a3a;
    --code: #1c222c; --line: #323b49; --link: #82b4ff;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; max-width: 50rem; padding: 2rem 1rem 4rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: anywhere;
}
h1 { font-size: 1.5rem; line-height: 1.3; margin: 0 0 .25rem; }
a { color: var(--link); }
.about, .writer, nav { color: var(--soft); font-size: .875rem; }
nav { border-bottom: 1px solid var(--line); margin-bottom: 2rem; padding-bottom: 1rem; }
article + article { border-top: 1px solid var(--line); margin-top: 3rem; padding-top: 2rem; }
section { margin-top: 1.5rem; }
section.user > .text { background: var(--you); border-radius: .5rem; padding: .25rem 1rem; }
.writer { font-weight: 600; margin: 0 0 .25rem; }
.text > :first-child { margin-top: .5rem; }
.text > :last-child { margin-bottom: .5rem; }
.text h1, .text h2, .text h3, .text h4 { font-size: 1.1rem; line-height: 1.3; margin: 1.25rem 0 .5rem; }
pre {
  background: var(--code); border: 1px solid var(--line); border-radius: .5rem;
  overflow-x: auto; padding: .75rem 1rem; tab-size: 4;
}
pre, code { font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace; font-size: .875rem; }
pre code { overflow-wrap: normal; white-space: pre; }
:not(pre) > code { background: var(--code); border-radius: .25rem; padding: .1rem .3rem; }
blockquote { border-left: 3px solid var(--line); color: var(--soft); margin-left: 0; padding-left: 1rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border: 1px solid var(--line); padding: .3rem .6rem; }
details { border-left: 3px solid var(--line); color: var(--soft); padding-left: 1rem; }
summary { cursor: pointer; }
@media print { body { max-width: none; } pre code { white-space: pre-wrap; } }
"""


def html(wholes: Iterable[Whole]) -> Iterator[str]:
    """The page in pieces: the branch shown of each conversation."""
    parser = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    # A picture would be loaded from wherever the text says.
    parser.disable("image")
    pages = list(wholes)
    titles = [sanitize_line(p.conversation.title) or "Untitled" for p in pages]
    yield (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(titles[0] if len(titles) == 1 else 'Conversations')}</title>\n"
        f"<style>{_STYLE}</style>\n</head>\n<body>\n"
    )
    if len(pages) > 1:
        entries = "".join(
            f'<li><a href="#c{n}">{escape(title)}</a></li>\n' for n, title in enumerate(titles, 1)
        )
        yield f"<nav>\n<ol>\n{entries}</ol>\n</nav>\n"
    for number, (page, title) in enumerate(zip(pages, titles, strict=True), 1):
        c = page.conversation
        line = escape(about(c.created, sanitize_line(c.model)))
        yield f'<article id="c{number}">\n<h1>{escape(title)}</h1>\n<p class="about">{line}</p>\n'
        if c.system_prompt:
            yield _section("system", "System", parser.render(sanitize(c.system_prompt)))
        for message in page.path():
            yield _section(message.role, writer(message), _body(parser, message))
        yield "</article>\n"
    yield "</body>\n</html>\n"


def _body(parser: MarkdownIt, message: Message) -> str:
    text = sanitize(message.text)
    thought = ""
    found = _THINKING.match(text) if message.role == "assistant" else None
    if found:
        inside = parser.render(found[1])
        thought = f"<details>\n<summary>Thinking</summary>\n{inside}</details>\n"
        text = text[found.end() :]
    return thought + str(parser.render(text))


def _section(role: str, who: str, body: str) -> str:
    return (
        f'<section class="{role}">\n<p class="writer">{escape(who)}</p>\n'
        f'<div class="text">\n{body}</div>\n</section>\n'
    )
