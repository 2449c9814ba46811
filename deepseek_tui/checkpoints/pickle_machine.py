"""A pickle interpreter that can only build what a checkpoint of tensors consists of.

Python's own unpickler calls whatever the file names. This one calls nothing: a name is looked up in a short
table, and every value it makes is one of the plain kinds below. Work is bounded by the number of opcodes.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

from deepseek_tui.checkpoints.errors import CheckpointError

MAX_PICKLE = 32 << 20
MAX_OPCODES = 3_000_000
_RESAVE = "In PyTorch, save the weights alone: torch.save(model.state_dict(), ...)."


@dataclass(frozen=True)
class Global:
    """A name that the pickle refers to; never imported."""

    module: str
    name: str

    def __str__(self) -> str:
        text = f"{self.module}.{self.name}"
        return text if text.isprintable() and len(text) <= 120 else ascii(text[:120])


@dataclass
class Record:
    """A configuration object: its class by name and its fields, nothing of what the class would do."""

    kind: Global
    fields: dict[Any, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Inert:
    """Something allowed beside the weights that nobody reads: a NumPy scalar, a random generator's state."""

    kind: Global


Call = Callable[[tuple[Any, ...]], Any]


class PickleMachine:
    """Runs pickles of protocol 2 to 5. `calls`: what names may be called, and what stands for the result.

    `persistent`: makes a value of a persistent id. `source` is named in messages.
    """

    def __init__(
        self,
        calls: dict[tuple[str, str], Call],
        constants: dict[tuple[str, str], Any],
        inert: frozenset[tuple[str, str]],
        persistent: Call,
        source: str,
    ) -> None:
        self._calls = calls
        self._constants = constants
        self._inert = inert
        self._persistent = persistent
        self._source = source

    def load(self, data: bytes) -> Any:
        """The value that `data` describes. Raises `CheckpointError` for all that is not allowed or broken."""
        if len(data) > MAX_PICKLE:
            raise CheckpointError(
                f"{self._source} has a pickle of {len(data):,} bytes, more than weights need."
            )
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}
        try:
            for count, (opcode, argument, _) in enumerate(pickletools.genops(data)):
                if count > MAX_OPCODES:
                    raise CheckpointError(f"{self._source} has a pickle of over {MAX_OPCODES:,} steps.")
                if opcode.name == "STOP":
                    return self._stack.pop()
                step = _STEPS.get(opcode.name)
                if step is None:
                    self._refuse(f"the pickle instruction {opcode.name}")
                step(self, argument)
        except CheckpointError:
            raise
        except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
            raise CheckpointError(
                f"{self._source} has a broken pickle.", "Copy or download the file again."
            ) from error
        raise CheckpointError(f"{self._source} has a pickle without an end.")

    def _refuse(self, what: str) -> NoReturn:
        raise CheckpointError(f"{self._source} asks for {what}, which a state dict never needs.", _RESAVE)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _take_marked(self) -> list[Any]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def _name(self, module: Any, name: Any) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("names are text")
        key = (module, name)
        if key in self._constants:
            self._push(self._constants[key])
        elif key in self._calls or key in self._inert or _is_config(module, name):
            self._push(Global(module, name))
        else:
            self._refuse(str(Global(module, name)))

    def _proto(self, version: int) -> None:
        if not 2 <= version <= 5:
            self._refuse(f"pickle protocol {version}")

    def _mark(self, _: Any) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def _pop(self, _: Any) -> None:
        self._stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self._take_marked()

    def _get(self, index: int) -> None:
        self._push(self._memo[index])

    def _put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _tuple(self, count: int) -> None:
        items = tuple(self._stack[len(self._stack) - count :])
        if len(items) != count:
            raise IndexError("stack too short")
        del self._stack[len(self._stack) - count :]
        self._push(items)

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, list):
            raise TypeError("no list to add to")
        target.extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise TypeError("no dictionary to add to")
        for key, value in zip(items[::2], items[1::2], strict=True):
            # Hashing a tuple walks all it holds, which a nested one can make endless.
            if key is not None and not isinstance(key, (str, int, float, bytes)):
                self._refuse(f"a dictionary key of kind {type(key).__name__}")
            target[key] = value

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set_items([key, value])

    def _reduce(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Global) or not isinstance(arguments, tuple):
            self._refuse(f"a call of {type(function).__name__}")
        key = (function.module, function.name)
        if key in self._calls:
            self._push(self._calls[key](arguments))
        elif key in self._inert:
            self._push(Inert(function))
        else:
            self._refuse(f"a call of {function}")

    def _new_object(self, _: Any) -> None:
        arguments, kind = self._stack.pop(), self._stack.pop()
        if not isinstance(kind, Global) or arguments != () or not _is_config(kind.module, kind.name):
            self._refuse(f"an object of {kind if isinstance(kind, Global) else type(kind).__name__}")
        self._push(Record(kind))

    def _build(self, _: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, Record):
            if isinstance(state, dict):
                target.fields = state
        elif not isinstance(target, (dict, Inert)):
            # State dicts carry their `_metadata` this way; it says nothing about the weights.
            self._refuse(f"the state of {type(target).__name__}")

    def _persistent_id(self, _: Any) -> None:
        identity = self._stack.pop()
        if not isinstance(identity, tuple):
            raise TypeError("persistent ids are tuples")
        self._push(self._persistent(identity))


def _is_config(module: str, name: str) -> bool:
    """Classes whose objects are read as plain fields: a command line's, or a model's own configuration."""
    return (module, name) == ("argparse", "Namespace") or (
        name.isidentifier() and name.endswith(("Config", "Args", "Arguments"))
    )


_Step = Callable[[PickleMachine, Any], None]
_M = PickleMachine

_STEPS: dict[str, _Step] = {
    "PROTO": _M._proto,
    "FRAME": lambda _m, _a: None,
    "MARK": _M._mark,
    "POP": _M._pop,
    "POP_MARK": _M._pop_mark,
    "NONE": lambda m, _a: m._push(None),
    "NEWTRUE": lambda m, _a: m._push(True),
    "NEWFALSE": lambda m, _a: m._push(False),
    **dict.fromkeys(
        (
            "BININT",
            "BININT1",
            "BININT2",
            "LONG1",
            "BINFLOAT",
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BINUNICODE8",
            "BINBYTES",
            "SHORT_BINBYTES",
            "BINBYTES8",
        ),
        _M._push,
    ),
    "EMPTY_LIST": lambda m, _a: m._push([]),
    "EMPTY_SET": lambda m, _a: m._push([]),
    "EMPTY_DICT": lambda m, _a: m._push({}),
    "EMPTY_TUPLE": lambda m, _a: m._push(()),
    "TUPLE1": lambda m, _a: m._tuple(1),
    "TUPLE2": lambda m, _a: m._tuple(2),
    "TUPLE3": lambda m, _a: m._tuple(3),
    "TUPLE": lambda m, _a: m._push(tuple(m._take_marked())),
    "APPEND": lambda m, _a: m._extend([m._stack.pop()]),
    "APPENDS": lambda m, _a: m._extend(m._take_marked()),
    "ADDITEMS": lambda m, _a: m._extend(m._take_marked()),
    "SETITEM": _M._set_item,
    "SETITEMS": lambda m, _a: m._set_items(m._take_marked()),
    "BINGET": _M._get,
    "LONG_BINGET": _M._get,
    "BINPUT": _M._put,
    "LONG_BINPUT": _M._put,
    "MEMOIZE": _M._memoize,
    "GLOBAL": lambda m, a: m._name(*a.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _a: m._name(*reversed([m._stack.pop(), m._stack.pop()])),
    "REDUCE": _M._reduce,
    "NEWOBJ": _M._new_object,
    "BUILD": _M._build,
    "BINPERSID": _M._persistent_id,
}
