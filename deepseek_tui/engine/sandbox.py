"""Runs a chat template: Jinja's immutable sandbox, with bounds on time and on the size of every value.

The sandbox keeps a template from reaching Python; it does not keep it from running for ever or from filling
the memory (`"a" * 10**9`), so each line it runs looks at the clock and each operation at its result.
"""

from __future__ import annotations

import datetime
import functools
import json
import re
import sys
import time
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any

import jinja2
import jinja2.ext
import jinja2.nodes as nodes
import jinja2.sandbox
from jinja2.parser import Parser

from deepseek_tui.errors import UserError

SECONDS = 10.0
SIZE = 16 << 20
"""The longest text, in characters, that a template may make, and the longest list."""
_NAME = "<chat template>"
_WIDTH = re.compile(r"[%{][^%{}]*?(\d{6,}|\*)")
# Methods whose arguments are compared with the text rather than put into the result.
_LOOKING = {
    "split", "rsplit", "partition", "rpartition", "startswith", "endswith", "find", "rfind", "index",
    "rindex", "count", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "get",
}  # fmt: skip


class TemplateError(UserError):
    """A chat template that cannot be used, or that refuses the conversation it was given."""


class _RefusedError(Exception):
    """Raised by `raise_exception` in a template: the message is its author's."""


class _TooMuchError(Exception):
    """The template passed a bound; the message says which."""


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what to train on. For chatting its body is all that counts."""

    tags = {"generation"}

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _Sandbox(jinja2.sandbox.ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _check_product(left, right)
        elif operator == "**":
            _check_power(left, right)
        elif operator == "%":
            _check_format(left)
        elif _size(left) + _size(right) > SIZE:
            raise _TooMuchError("makes too long a text")
        return super().call_binop(context, operator, left, right)

    def call(self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        owner = getattr(__obj, "__self__", None)
        _check_call(getattr(__obj, "__name__", ""), owner, [*args, *kwargs.values()])
        return _checked(super().call(__context, __obj, *args, **kwargs))


def _size(value: Any) -> int:
    return len(value) if isinstance(value, (str, bytes, list, tuple, dict)) else 0


def _checked(value: Any) -> Any:
    if _size(value) > SIZE:
        raise _TooMuchError("makes too long a text")
    return value


def _check_product(left: Any, right: Any) -> None:
    for value, times in ((left, right), (right, left)):
        if isinstance(times, int) and _size(value) * times > SIZE:
            raise _TooMuchError("makes too long a text")
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() + right.bit_length() > 4096:
        raise _TooMuchError("makes too large a number")


def _check_power(left: Any, right: Any) -> None:
    if isinstance(left, int) and isinstance(right, int) and left.bit_length() * abs(right) > 4096:
        raise _TooMuchError("makes too large a number")


def _check_format(value: Any) -> None:
    if isinstance(value, str) and _WIDTH.search(value):
        raise _TooMuchError("pads a text too far")


def _check_call(name: str, owner: Any, args: list[Any]) -> None:
    """Bounds what a method or filter can make of its arguments before it makes it."""
    if not isinstance(owner, str):
        return
    if any(isinstance(value, int) and value > SIZE for value in args):
        raise _TooMuchError("pads a text too far")
    if name in {"format", "format_map"}:
        _check_format(owner)
    if name == "replace" and len(args) > 1 and owner.count(str(args[0])) * _size(args[1]) > SIZE:
        raise _TooMuchError("makes too long a text")
    if name == "join" and args and len(owner) * _size(args[0]) > SIZE:
        raise _TooMuchError("makes too long a text")


def _bounded(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A filter whose arguments and result are looked at; Jinja's marks on it (pass_environment...) stay."""

    @functools.wraps(function)
    def filtered(*args: Any, **kwargs: Any) -> Any:
        values = [*args, *kwargs.values()]
        if any(isinstance(value, int) and value > SIZE for value in values[1:]):
            raise _TooMuchError("pads a text too far")
        texts = [value for value in values if isinstance(value, str)]
        if texts:
            _check_call(name, texts[0], values[values.index(texts[0]) + 1 :])
        if name == "join" and texts and any(_size(v) * len(texts[-1]) > SIZE for v in values):
            raise _TooMuchError("makes too long a text")
        return _checked(function(*args, **kwargs))

    return filtered


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    # Jinja's own escapes for HTML, which no model was trained on.
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _raise(message: str) -> None:
    raise _RefusedError(message)


def _strftime_now(form: str) -> str:
    return datetime.datetime.now().strftime(form)


def _environment() -> _Sandbox:
    env = _Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, "jinja2.ext.loopcontrols"])
    for useless in ("lipsum", "cycler", "joiner"):
        env.globals.pop(useless, None)
    env.filters["tojson"] = _tojson
    env.filters = {name: _bounded(name, function) for name, function in env.filters.items()}
    env.globals.update(raise_exception=_raise, strftime_now=_strftime_now, __join=_join)
    return env


def _join(*parts: Any) -> str:
    """What `~` does, with a bound."""
    texts = [str(part) for part in parts]
    if sum(map(len, texts)) > SIZE:
        raise _TooMuchError("makes too long a text")
    return "".join(texts)


@functools.lru_cache(maxsize=8)
def _parsed(source: str) -> tuple[_Sandbox, Any]:
    env = _environment()
    try:
        return env, env.parse(source)
    except (jinja2.TemplateError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise TemplateError(
            f"The chat template is broken{f' in line {line}' if line else ''}: {error}.",
            "Mend chat_template in the model's folder, or fetch the model again.",
        ) from error


def looked_for(source: str, controls: Iterable[str]) -> set[str]:
    """Those of `controls` that the template searches its messages for (compares, splits at, tests for)."""
    found: set[str] = set()
    for looks, constant in _constants(_parsed(source)[1]):
        if looks:
            found.update(control for control in controls if control in constant.value)
    return found


def _constants(node: nodes.Node, looks: bool = False) -> list[tuple[bool, nodes.Const]]:
    """Each string constant, and whether it is looked for rather than put out."""
    if isinstance(node, nodes.Const):
        return [(looks, node)] if isinstance(node.value, str) else []
    found = []
    if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr):
        name = node.node.attr
        found += _constants(node.node, looks)
        for position, argument in enumerate(node.args):
            searched = name in _LOOKING or (name == "replace" and position == 0)
            found += _constants(argument, looks or searched)
        return found + [pair for keyword in node.kwargs for pair in _constants(keyword, looks)]
    if isinstance(node, nodes.Filter) and node.name == "replace" and node.args and node.node is not None:
        found += _constants(node.node, looks) + _constants(node.args[0], True)
        return found + [pair for argument in node.args[1:] for pair in _constants(argument, looks)]
    inner = looks or isinstance(node, (nodes.Compare, nodes.Test))
    for child in node.iter_child_nodes():
        found += _constants(child, inner)
    return found


def compile_template(source: str, names: dict[str, str]) -> Callable[[dict[str, Any]], str]:
    """A function from variables to text. `names`: strings that the template is to put out under another name.

    The function raises TemplateError where the template fails, refuses, or passes a bound.
    """
    template = _build(source, tuple(sorted(names.items())))
    return lambda variables: _run(template, variables)


@functools.lru_cache(maxsize=8)
def _build(source: str, renamed: tuple[tuple[str, str], ...]) -> jinja2.Template:
    env = _parsed(source)[0]
    # Not the tree at hand: that one is everybody's, and this one is changed.
    tree = env.parse(source)
    names = dict(renamed)
    if names:
        pattern = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
        for looks, constant in _constants(tree):
            if not looks:
                constant.value = pattern.sub(lambda m: names[m.group()], constant.value)
        for data in tree.find_all(nodes.TemplateData):
            data.data = pattern.sub(lambda m: names[m.group()], data.data)
    _replace_concat(tree)
    try:
        code = env.compile(tree, _NAME, _NAME)
        return env.template_class.from_code(env, code, env.make_globals(None))
    except (jinja2.TemplateError, SyntaxError, RecursionError) as error:
        raise TemplateError(f"The chat template is broken: {error}.", "Fetch the model again.") from error


def _replace_concat(node: nodes.Node) -> None:
    """`a ~ b` becomes a call of `_join`: the sandbox has no say over it otherwise."""
    for field, value in node.iter_fields():
        children = value if isinstance(value, list) else [value]
        changed = []
        for child in children:
            if isinstance(child, nodes.Node):
                _replace_concat(child)
            if isinstance(child, nodes.Concat):
                name = nodes.Name("__join", "load", lineno=child.lineno)
                child = nodes.Call(name, child.nodes, [], None, None, lineno=child.lineno)
            changed.append(child)
        setattr(node, field, changed if isinstance(value, list) else changed[0])


def _run(template: jinja2.Template, variables: dict[str, Any]) -> str:
    parts: list[str] = []
    total = 0
    previous = sys.gettrace()
    sys.settrace(_clock(time.monotonic() + SECONDS))
    try:
        for part in template.generate(variables):
            parts.append(part)
            total += len(part)
            if total > SIZE:
                raise _TooMuchError("makes too long a text")
    except _RefusedError as error:
        raise TemplateError(f"The model's chat template refuses this conversation: {error}") from error
    except (_TooMuchError, MemoryError, RecursionError) as error:
        what = str(error) if isinstance(error, _TooMuchError) else "needs too much memory"
        raise TemplateError(f"The chat template {what}.", "Use another template or model.") from error
    except Exception as error:  # a stranger's program may fail in any way
        line = _line(error)
        raise TemplateError(
            f"The chat template failed{line} ({type(error).__name__}: {str(error)[:200]}).",
            "Mend chat_template in the model's folder.",
        ) from error
    finally:
        sys.settrace(previous)
    return "".join(parts)


def _clock(deadline: float) -> Callable[[FrameType, str, Any], Any]:
    """A trace function that ends the template at `deadline`, line by line of its own code only."""

    def trace(frame: FrameType, _event: str, _argument: Any) -> Any:
        if time.monotonic() > deadline:
            raise _TooMuchError(f"ran for more than {SECONDS:g} seconds")
        return trace if frame.f_code.co_filename == _NAME else None

    return trace


def _line(error: BaseException) -> str:
    traceback, line = error.__traceback__, 0
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == _NAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return f" in line {line}" if line else ""
