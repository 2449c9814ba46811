"""The output head and its losses, a chunk of rows at a time.

Logits of a whole batch would be tokens x vocabulary numbers, several of them at once. Here each chunk's
logits are made, turned into the loss and at once into the gradient of hidden states and head, and forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mlx.core as mx

from deepseek_tui.training.kernels import logit_rows


@dataclass(frozen=True)
class HeadLoss:
    """Which loss the head has: `distil` times KL(teacher || model) plus `predict` times cross-entropy.

    `chunk`: rows at a time. `trains_head`: whether the head's own gradient is wanted.
    """

    predict: float = 1.0
    distil: float = 0.0
    chunk: int = 4096
    trains_head: bool = True

    def __call__(
        self,
        states: Any,
        head: Any,
        labels: Any,
        weights: Any,
        teacher_states: Any = None,
        teacher_head: Any = None,
    ) -> tuple[Any, Any]:
        """Sum over rows of weight x loss, and sums for people: [KL, cross-entropy, agreements].

        `states` [N, width], `head` [vocabulary, width], `labels` [N] (ids), `weights` [N]; the teacher's
        states and head have its own width. Differentiable in `states` and `head`. An agreement is a row of
        weight above 0 whose likeliest token is the teacher's (without a teacher: the label).
        """
        function: Any = mx.custom_function(self._forward)
        function.vjp(self._backward)
        inputs = [states, head, labels, weights]
        if self.distil:
            inputs += [mx.stop_gradient(teacher_states), mx.stop_gradient(teacher_head)]
        total, sums, *_ = function(*inputs)
        return total, mx.stop_gradient(sums)

    def _forward(self, *inputs: Any) -> tuple[Any, ...]:
        states, head, labels, weights, *teacher = inputs
        total, sums = mx.zeros(()), mx.zeros((3,))
        grads: list[Any] = []
        head_grad = mx.zeros(head.shape) if self.trains_head else mx.zeros((1,))
        for start in range(0, states.shape[0], self.chunk):
            rows = slice(start, start + self.chunk)
            part = states[rows]
            if grads:
                # One chunk after the other, or all their logits would be alive at the same time.
                part, _ = mx.depends([part, labels], [grads[-1], head_grad])
            taught = (teacher[0][rows], teacher[1]) if teacher else None
            loss, found, grad = self._chunk(part, head, labels[rows], weights[rows], taught)
            total, sums = total + loss, sums + found
            grads.append(grad @ head)
            if self.trains_head:
                head_grad = head_grad + (grad.T @ part).astype(mx.float32)
        return total, sums, mx.concatenate(grads), head_grad

    def _chunk(
        self, states: Any, head: Any, labels: Any, weights: Any, teacher: tuple[Any, Any] | None
    ) -> tuple[Any, Any, Any]:
        """Loss, sums for people, and the gradient of the logits [rows, vocabulary] in the states' type."""
        wanted = None if teacher is None else teacher[0] @ teacher[1].T
        grad, found = logit_rows(states @ head.T, wanted, labels, weights, self.distil, self.predict)
        divergence, entropy, agree = (found[:, column] for column in range(3))
        loss = ((self.distil * divergence + self.predict * entropy) * weights).sum()
        counted = (agree * (weights > 0)).sum()
        return loss, mx.stack([(divergence * weights).sum(), (entropy * weights).sum(), counted]), grad

    def _backward(self, primals: Any, cotangents: Any, outputs: Any) -> tuple[Any, ...]:
        scale = cotangents[0]
        states, head = primals[0], primals[1]
        head_grad = (outputs[3] * scale).astype(head.dtype) if self.trains_head else mx.zeros_like(head)
        rest = [mx.zeros_like(primal) for primal in primals[2:]]
        return (outputs[2] * scale).astype(states.dtype), head_grad, *rest
