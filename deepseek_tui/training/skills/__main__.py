"""`python -m deepseek_tui.training.skills N SEED [--first] [--kind KIND] [--out FILE]`"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from deepseek_tui.training.skills import KINDS, chats
from deepseek_tui.training.skills.firsts import first_messages


def main() -> int:
    """Writes the chats, one JSON object a line."""
    parser = argparse.ArgumentParser(prog="python -m deepseek_tui.training.skills")
    parser.add_argument("count", type=int, metavar="N")
    parser.add_argument("seed", type=int, metavar="SEED")
    parser.add_argument("--first", action="store_true", help="only first user messages, without answers")
    parser.add_argument("--kind", choices=sorted(KINDS), metavar="KIND", help="chats of this kind alone")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write here instead of to the terminal")
    args = parser.parse_args()
    if args.first:
        found = first_messages(args.count, random.Random(f"firsts-{args.seed}"))
        bodies = [{"messages": [{"role": "user", "content": text}]} for text in found]
    else:
        bodies = [{"messages": messages} for messages in chats(args.count, args.seed, args.kind)]
    lines = "".join(json.dumps(body, ensure_ascii=False) + "\n" for body in bodies)
    if args.out is None:
        sys.stdout.write(lines)
    else:
        args.out.write_text(lines, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
