"""lm-evaluation-harness on our model objects: an adapter of its LM interface, with the harness optional.

Written from its documented interface; it is not part of the tests here, as the harness is no dependency.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from deepseek_tui.engine.tokenizer import load_tokenizer
from deepseek_tui.evaluation.decode import decode_rows
from deepseek_tui.evaluation.perplexity import row_loss, row_score
from deepseek_tui.evaluation.report import load_plain
from deepseek_tui.evaluation.suite import EvaluationError

_REPLY_TOKENS = 256


def evaluate_tasks(path: Path, tasks: list[str], *, limit: int | None = None) -> dict[str, Any]:
    """Results of the harness' `tasks` (its names) for the model at `path`; `limit`: examples of each.

    Raises EvaluationError where the harness is not installed.
    """
    try:
        harness: Any = importlib.import_module("lm_eval")
        interface: Any = importlib.import_module("lm_eval.api.model")
    except ImportError as error:
        raise EvaluationError(
            "lm-evaluation-harness is not installed.", "Run: pip install lm-eval"
        ) from error
    adapter = _adapter(interface.LM)(path)
    found: dict[str, Any] = harness.simple_evaluate(model=adapter, tasks=tasks, limit=limit)
    return dict(found["results"])


def _adapter(base: Any) -> Any:
    """The class, made when the harness is there to derive it from."""

    class Adapter(base):  # type: ignore[misc]  # the harness has no types
        """A model of ours as the harness asks for it."""

        def __init__(self, path: Path) -> None:
            super().__init__()
            tokenizer = load_tokenizer(path)
            if tokenizer is None:
                raise EvaluationError(f"{path} has no tokenizer.json, so text cannot be given to it.")
            self._tokenizer, self._model = tokenizer, load_plain(path).model

        def loglikelihood(self, requests: Any) -> list[tuple[float, bool]]:
            found = []
            for request in requests:
                context, continuation = request.args
                whole = self._tokenizer.encode_prompt(context + continuation)
                start = len(whole) - len(self._tokenizer.encode(continuation))
                start = max(start, 1)
                whole = whole[-self._model.context_length :]
                found.append(row_score(self._model, whole, start))
            return found

        def loglikelihood_rolling(self, requests: Any) -> list[float]:
            found = []
            for request in requests:
                ids = self._tokenizer.encode_prompt(request.args[0])
                step = self._model.context_length
                parts = [ids[start : start + step] for start in range(0, max(len(ids) - 1, 1), step - 1)]
                found.append(-sum(row_loss(self._model, part) for part in parts if len(part) > 1))
            return found

        def generate_until(self, requests: Any) -> list[str]:
            found = []
            for request in requests:
                context, options = request.args
                ids = self._tokenizer.encode_prompt(context)
                most = int(options.get("max_gen_toks", _REPLY_TOKENS))
                ids = ids[-(self._model.context_length - most) :]
                reply = decode_rows(self._model, [ids], max_tokens=most, ends=self._tokenizer.eos_token_ids)[
                    0
                ]
                text = self._tokenizer.decode(reply)
                for stop in options.get("until", ()):
                    text = text.split(stop, 1)[0]
                found.append(text)
            return found

    return Adapter
