"""Two pieces of a step as CUDA kernels of their own; everywhere else plain MLX computes the same.

On CUDA, MLX runs each elementwise operation on its own unless a whole function is compiled, and a compiled
training step has dozens of kernels that take seconds each to build. These two are where the memory traffic
is: the loss and gradient of a row of logits, and the gated inner numbers of the experts.
"""

from __future__ import annotations

import functools
from typing import Any

import mlx.core as mx
import mlx.nn as nn

from deepseek_tui.training.errors import TrainingError

_HEADER = """
struct Peak { float m; float z; int i; };

__device__ inline float bits_to_float(unsigned int bits) { return __uint_as_float(bits << 16); }

__device__ inline unsigned int float_to_bits(float x) {
  unsigned int u = __float_as_uint(x);
  return (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
}

__device__ inline Peak joined(Peak a, Peak b) {
  bool other = b.m > a.m || (b.m == a.m && b.i < a.i);
  Peak top = other ? b : a;
  Peak low = other ? a : b;
  top.z += low.z * __expf(low.m - top.m);
  return top;
}

__device__ inline Peak seen(Peak a, float x, int i) {
  if (x > a.m) { a.z = a.z * __expf(a.m - x) + 1.0f; a.m = x; a.i = i; }
  else { a.z += __expf(x - a.m); }
  return a;
}

__device__ inline Peak block_peak(Peak a, Peak* shared) {
  for (int d = 16; d > 0; d >>= 1) {
    Peak b;
    b.m = __shfl_down_sync(0xffffffffu, a.m, d);
    b.z = __shfl_down_sync(0xffffffffu, a.z, d);
    b.i = __shfl_down_sync(0xffffffffu, a.i, d);
    a = joined(a, b);
  }
  int warps = blockDim.x >> 5;
  __syncthreads();
  if ((threadIdx.x & 31) == 0) shared[threadIdx.x >> 5] = a;
  __syncthreads();
  Peak all = shared[0];
  for (int w = 1; w < warps; w++) all = joined(all, shared[w]);
  return all;
}
"""

_HEAD = """
  __shared__ Peak peaks[32];
  __shared__ float parts[32];
  const int row = blockIdx.x;
  const size_t base = (size_t)row * V;
  const uint4* S = reinterpret_cast<const uint4*>(reinterpret_cast<const unsigned short*>(student) + base);
  const uint4* Q = reinterpret_cast<const uint4*>(reinterpret_cast<const unsigned short*>(teacher) + base);
  uint4* G = reinterpret_cast<uint4*>(reinterpret_cast<unsigned short*>(grad) + base);
  const float w = weights[row];
  const int n = V / 8;
  if (w == 0.0f) {
    for (int i = threadIdx.x; i < n; i += blockDim.x) G[i] = make_uint4(0u, 0u, 0u, 0u);
    if (threadIdx.x < 4) figures[row * 4 + threadIdx.x] = 0.0f;
    return;
  }
  Peak s = {-1e30f, 0.0f, 0}, t = {-1e30f, 0.0f, 0};
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    uint4 a = S[i];
    unsigned int av[4] = {a.x, a.y, a.z, a.w};
    for (int k = 0; k < 4; k++) {
      s = seen(s, bits_to_float(av[k] & 0xffffu), i * 8 + k * 2);
      s = seen(s, bits_to_float(av[k] >> 16), i * 8 + k * 2 + 1);
    }
    if (TAUGHT) {
      uint4 b = Q[i];
      unsigned int bv[4] = {b.x, b.y, b.z, b.w};
      for (int k = 0; k < 4; k++) {
        t = seen(t, bits_to_float(bv[k] & 0xffffu), i * 8 + k * 2);
        t = seen(t, bits_to_float(bv[k] >> 16), i * 8 + k * 2 + 1);
      }
    }
  }
  s = block_peak(s, peaks);
  if (TAUGHT) t = block_peak(t, peaks);
  const float ns = s.m + __logf(s.z), nt = TAUGHT ? t.m + __logf(t.z) : 0.0f;
  const float distil = factors[0], predict = factors[1];
  const int label = labels[row];
  float kl = 0.0f;
  for (int i = threadIdx.x; i < n; i += blockDim.x) {
    uint4 a = S[i];
    uint4 b = TAUGHT ? Q[i] : a;
    unsigned int av[4] = {a.x, a.y, a.z, a.w}, bv[4] = {b.x, b.y, b.z, b.w}, out[4];
    for (int k = 0; k < 4; k++) {
      unsigned int both = 0u;
      for (int h = 0; h < 2; h++) {
        const float x = bits_to_float(h ? av[k] >> 16 : av[k] & 0xffffu) - ns;
        const float p = __expf(x);
        float g = predict * (p - (i * 8 + k * 2 + h == label ? 1.0f : 0.0f));
        if (TAUGHT) {
          const float y = bits_to_float(h ? bv[k] >> 16 : bv[k] & 0xffffu) - nt;
          const float q = __expf(y);
          kl += q * (y - x);
          g += distil * (p - q);
        }
        both |= float_to_bits(g * w) << (16 * h);
      }
      out[k] = both;
    }
    G[i] = make_uint4(out[0], out[1], out[2], out[3]);
  }
  for (int d = 16; d > 0; d >>= 1) kl += __shfl_down_sync(0xffffffffu, kl, d);
  if ((threadIdx.x & 31) == 0) parts[threadIdx.x >> 5] = kl;
  __syncthreads();
  if (threadIdx.x == 0) {
    float sum = 0.0f;
    for (int i = 0; i < (int)(blockDim.x >> 5); i++) sum += parts[i];
    const float own = bits_to_float(reinterpret_cast<const unsigned short*>(student)[base + label]);
    figures[row * 4] = sum;
    figures[row * 4 + 1] = ns - own;
    figures[row * 4 + 2] = s.i == (TAUGHT ? t.i : label) ? 1.0f : 0.0f;
    figures[row * 4 + 3] = w;
  }
"""

_FORWARD = """
  const size_t which = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  if (which >= (size_t)total[0]) return;
  const int lane = threadIdx.x & 31;
  const unsigned int* A = reinterpret_cast<const unsigned int*>(gate) + which * (M / 2);
  const unsigned int* B = reinterpret_cast<const unsigned int*>(up) + which * (M / 2);
  unsigned int* O = reinterpret_cast<unsigned int*>(out) + which * (M / 2);
  const float c = share[which];
  for (int j = lane; j < M / 2; j += 32) {
    unsigned int both = 0u;
    if (c != 0.0f) {
      const unsigned int a = A[j], b = B[j];
      for (int h = 0; h < 2; h++) {
        const float x = bits_to_float(h ? a >> 16 : a & 0xffffu);
        const float y = bits_to_float(h ? b >> 16 : b & 0xffffu);
        both |= float_to_bits(x / (1.0f + __expf(-x)) * y * c) << (16 * h);
      }
    }
    O[j] = both;
  }
"""

_BACKWARD = """
  const size_t which = ((size_t)blockIdx.x * blockDim.x + threadIdx.x) >> 5;
  if (which >= (size_t)total[0]) return;
  const int lane = threadIdx.x & 31;
  const unsigned int* A = reinterpret_cast<const unsigned int*>(gate) + which * (M / 2);
  const unsigned int* B = reinterpret_cast<const unsigned int*>(up) + which * (M / 2);
  const unsigned int* D = reinterpret_cast<const unsigned int*>(slope) + which * (M / 2);
  unsigned int* GA = reinterpret_cast<unsigned int*>(gate_grad) + which * (M / 2);
  unsigned int* GB = reinterpret_cast<unsigned int*>(up_grad) + which * (M / 2);
  const float c = share[which];
  float sum = 0.0f;
  for (int j = lane; j < M / 2; j += 32) {
    unsigned int ga = 0u, gb = 0u;
    if (c != 0.0f) {
      const unsigned int a = A[j], b = B[j], d = D[j];
      for (int h = 0; h < 2; h++) {
        const float x = bits_to_float(h ? a >> 16 : a & 0xffffu);
        const float y = bits_to_float(h ? b >> 16 : b & 0xffffu);
        const float g = bits_to_float(h ? d >> 16 : d & 0xffffu);
        const float sig = 1.0f / (1.0f + __expf(-x));
        sum += g * x * sig * y;
        ga |= float_to_bits(g * c * y * sig * (1.0f + x * (1.0f - sig))) << (16 * h);
        gb |= float_to_bits(g * c * x * sig) << (16 * h);
      }
    }
    GA[j] = ga;
    GB[j] = gb;
  }
  for (int d = 16; d > 0; d >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, d);
  if (lane == 0) share_grad[which] = sum;
"""

_state = {"on": False}


def use_kernels(choice: str) -> bool:
    """Switches the kernels: "off", "on" (an error where they do not work), or "auto" (where they work).

    They are tried on small arrays first and compared with plain MLX.
    """
    _state["on"] = False
    if choice == "off":
        return False
    problem = _problem()
    if problem and choice == "on":
        raise TrainingError(f"The CUDA kernels cannot be used: {problem}.", "Set kernels = 'auto' or 'off'.")
    _state["on"] = not problem
    return _state["on"]


def _problem() -> str:
    if not mx.cuda.is_available() or mx.default_device() != mx.gpu:
        return "MLX does not compute on an NVIDIA GPU here"
    try:
        off = _difference()
    except (RuntimeError, ValueError, TypeError) as error:
        return str(error)[:300]
    return "" if off < 0.05 else f"they differ from plain MLX by {off:.3g}"


def _difference() -> float:
    """The largest difference between kernels and plain operations on small arrays, relative to their size."""
    key = mx.random.key(7)
    keys = mx.random.split(key, 6)
    logits, wanted = (mx.random.normal((8, 1024), key=k).astype(mx.bfloat16) * 3 for k in keys[:2])
    labels, weights = mx.arange(8) * 5, mx.arange(8) / 8
    found = [*_head_kernel(logits, wanted, labels, weights, 1.0, 0.5)]
    plain = [*plain_rows(logits, wanted, labels, weights, 1.0, 0.5)]
    gate, up, slope = (mx.random.normal((2, 8, 6, 64), key=k).astype(mx.bfloat16) for k in keys[2:5])
    share = mx.maximum(mx.random.normal((2, 8, 6), key=keys[5]), 0.0)
    found.append(_forward_kernel(gate, up, share))
    plain.append(plain_swiglu(gate, up, share))
    found += _backward_kernel(gate, up, share, slope)
    _, grads = mx.vjp(lambda *a: plain_swiglu(*a), [gate, up, share], [slope])
    plain += [*grads[:2], grads[2] * (share > 0)]
    worst = 0.0
    for one, other in zip(found, plain, strict=True):
        one, other = one.astype(mx.float32), other.astype(mx.float32)
        off = mx.abs(one - other).max() / (mx.abs(other).max() + 1e-6)
        worst = max(worst, float(off.item()))  # type: ignore[arg-type]  # never complex
    return worst


def logit_rows(
    logits: Any, wanted: Any, labels: Any, weights: Any, distil: float, predict: float
) -> tuple[Any, Any]:
    """Of rows of logits: the gradient of weight x (distil x KL(wanted || logits) + predict x cross-entropy),
    in the type of the logits, and [rows, 3]: KL, cross-entropy, 1 where the likeliest tokens are the same.

    `wanted`: the teacher's logits, or None (then the likeliest is compared with the label). The three figures
    of a row of weight 0 mean nothing.
    """
    fits = logits.dtype == mx.bfloat16 and logits.shape[-1] % 8 == 0
    rows = _head_kernel if _state["on"] and fits else plain_rows
    return rows(logits, wanted, labels, weights, distil, predict)


def plain_rows(
    logits: Any, wanted: Any, labels: Any, weights: Any, distil: float, predict: float
) -> tuple[Any, Any]:
    """`logit_rows` in plain MLX."""
    kind = logits.dtype
    logits = logits.astype(mx.float32)
    logits = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    p = mx.exp(logits)
    entropy = -mx.take_along_axis(logits, labels[:, None], axis=-1)[:, 0]
    grad = mx.zeros(())
    divergence, best = mx.zeros(entropy.shape), labels
    if wanted is not None:
        wanted = wanted.astype(mx.float32)
        wanted = wanted - mx.logsumexp(wanted, axis=-1, keepdims=True)
        q = mx.exp(wanted)
        divergence = (q * (wanted - logits)).sum(axis=-1)
        best = wanted.argmax(axis=-1)
        grad = distil * (p - q)
    if predict:
        hot = mx.arange(logits.shape[-1])[None] == labels[:, None]
        grad = grad + predict * (p - hot.astype(mx.float32))
    agree = (logits.argmax(axis=-1) == best).astype(mx.float32)
    return (grad * weights[:, None]).astype(kind), mx.stack([divergence, entropy, agree], axis=-1)


def _head_kernel(
    logits: Any, wanted: Any, labels: Any, weights: Any, distil: float, predict: float
) -> tuple[Any, Any]:
    rows, size = logits.shape
    grad, figures = _kernel("head_rows", _HEAD)(
        inputs=[
            logits,
            logits if wanted is None else wanted,
            labels.astype(mx.int32),
            weights.astype(mx.float32),
            mx.array([distil, predict], mx.float32),
        ],
        template=[("V", size), ("TAUGHT", wanted is not None)],
        grid=(rows * 512, 1, 1),
        threadgroup=(512, 1, 1),
        output_shapes=[logits.shape, (rows, 4)],
        output_dtypes=[mx.bfloat16, mx.float32],
    )
    return grad, figures[:, :3]


def gated_swiglu(gate: Any, up: Any, share: Any) -> Any:
    """silu(gate) * up * share: gate and up [..., experts, size], share [..., experts] in float32, where 0
    means that the expert was not chosen. No gradient goes to the share of an expert that was not chosen."""
    if not _state["on"] or gate.dtype != mx.bfloat16 or gate.shape[-1] % 2:
        return plain_swiglu(gate, up, share)
    function: Any = mx.custom_function(_forward_kernel)

    def backward(primals: Any, cotangent: Any, _: Any) -> tuple[Any, ...]:
        gate, up, share = primals
        return _backward_kernel(gate, up, share, cotangent)

    function.vjp(backward)
    return function(gate, up, share)


def plain_swiglu(gate: Any, up: Any, share: Any) -> Any:
    """`gated_swiglu` in plain MLX."""
    return nn.silu(gate) * up * share[..., None].astype(gate.dtype)


def _forward_kernel(gate: Any, up: Any, share: Any) -> Any:
    return _kernel("swiglu_forward", _FORWARD)(
        inputs=[gate, up, share, mx.array([share.size], mx.int32)],
        template=[("M", gate.shape[-1])],
        grid=(_threads(share.size), 1, 1),
        threadgroup=(256, 1, 1),
        output_shapes=[gate.shape],
        output_dtypes=[gate.dtype],
    )[0]


def _backward_kernel(gate: Any, up: Any, share: Any, slope: Any) -> tuple[Any, ...]:
    return tuple(
        _kernel("swiglu_backward", _BACKWARD)(
            inputs=[gate, up, share, slope.astype(gate.dtype), mx.array([share.size], mx.int32)],
            template=[("M", gate.shape[-1])],
            grid=(_threads(share.size), 1, 1),
            threadgroup=(256, 1, 1),
            output_shapes=[gate.shape, gate.shape, share.shape],
            output_dtypes=[gate.dtype, gate.dtype, mx.float32],
        )
    )


def _threads(warps: int) -> int:
    """Threads for one warp each, in whole blocks of 256."""
    return (warps * 32 + 255) // 256 * 256


_ARGUMENTS = {
    "head_rows": (["student", "teacher", "labels", "weights", "factors"], ["grad", "figures"]),
    "swiglu_forward": (["gate", "up", "share", "total"], ["out"]),
    "swiglu_backward": (
        ["gate", "up", "share", "slope", "total"],
        ["gate_grad", "up_grad", "share_grad"],
    ),
}


@functools.cache
def _kernel(name: str, source: str) -> Any:
    inputs, outputs = _ARGUMENTS[name]
    return mx.fast.cuda_kernel(
        name=name, input_names=inputs, output_names=outputs, source=source, header=_HEADER
    )
