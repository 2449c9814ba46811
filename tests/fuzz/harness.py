#!/usr/bin/env python3
"""Coverage-guided fuzzing of one reader with atheris: see README.md for how it is run."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import atheris  # type: ignore[import-untyped]  # a tool of its own environment, without types

sys.path.insert(0, str(Path(__file__).parents[2]))
with atheris.instrument_imports(include=["deepseek_tui"]):
    from tests.fuzz.targets import READERS, survives


def main() -> None:
    """`READER=pt harness.py [libFuzzer options and corpus folders]`"""
    # Not an argument: libFuzzer starts itself again with those that it knows.
    reader = os.environ.get("READER", "")
    if reader not in READERS:
        raise SystemExit(f"Set READER to one of: {', '.join(READERS)}.")
    atheris.Setup(sys.argv, lambda data: survives(reader, data) and None)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
