/* Eight floats at a time, written once for every processor: the compiler turns these types into AVX2, AVX-512,
   NEON or SSE instructions, whichever the file is compiled for. */
#ifndef VECTOR_H
#define VECTOR_H

#include <math.h>
#include <stdint.h>
#include <string.h>
#if defined(__F16C__) || defined(__FMA__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#define WIDTH 8
#define INLINE static inline __attribute__((always_inline))

typedef float V __attribute__((vector_size(32)));
typedef int32_t I __attribute__((vector_size(32)));
typedef uint32_t U __attribute__((vector_size(32)));
typedef double D __attribute__((vector_size(32)));
typedef uint16_t H __attribute__((vector_size(16)));

INLINE V load(const float *at) { V v; memcpy(&v, at, sizeof v); return v; }
INLINE void store(float *at, V v) { memcpy(at, &v, sizeof v); }
INLINE U load_words(const uint32_t *at) { U v; memcpy(&v, at, sizeof v); return v; }
INLINE V splat(float s) { return (V){s, s, s, s, s, s, s, s}; }
INLINE V to_float(U v) { return __builtin_convertvector((I)v, V); }

/* a * b + c in one step where the processor has one. Left to itself GCC does so in some loops and not in others,
   by what it knows of the processor, and the same row would have other bits in another loop. */
INLINE V fused(V a, V b, V c) {
#if defined(__FMA__)
    return (V)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

INLINE V vmax(V a, V b) {
    I more = a > b;
    return (V)(((I)a & more) | ((I)b & ~more));
}

/* A vector that stays in its register: GCC would rather load it again for every use. */
INLINE V load_once(const float *at) {
    V v = load(at);
#if defined(__AVX__)
    __asm__("" : "+x"(v));
#endif
    return v;
}

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (I){__VA_ARGS__})
#endif

/* The sums of four vectors: a's in lane 0, and so on; the upper lanes are of no use. */
INLINE V sums(V a, V b, V c, V d) {
    V ab = SHUFFLE(a, b, 0, 8, 2, 10, 4, 12, 6, 14) + SHUFFLE(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
    V cd = SHUFFLE(c, d, 0, 8, 2, 10, 4, 12, 6, 14) + SHUFFLE(c, d, 1, 9, 3, 11, 5, 13, 7, 15);
    V all = SHUFFLE(ab, cd, 0, 1, 8, 9, 4, 5, 12, 13) + SHUFFLE(ab, cd, 2, 3, 10, 11, 6, 7, 14, 15);
    return all + SHUFFLE(all, all, 4, 5, 6, 7, 0, 1, 2, 3);
}

INLINE float sum(V v) { return sums(v, v, v, v)[0]; }

/* A 16-bit float of either kind as a float. */
INLINE float from_bfloat(uint16_t h) {
    uint32_t bits = (uint32_t)h << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

INLINE float from_half(uint16_t h) {
#if defined(__F16C__)
    return _cvtsh_ss(h);
#else
    /* Shift exponent and mantissa into place, then correct the bias by a product, which makes denormals exact. */
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13, sign = (uint32_t)(h & 0x8000) << 16;
    float f;
    if (magnitude >= 0x0f800000) magnitude += 0x38000000 << 1; /* infinity and NaN */
    memcpy(&f, &magnitude, sizeof f);
    if (magnitude < 0x0f800000) f *= 0x1p112f;
    memcpy(&magnitude, &f, sizeof f);
    magnitude |= sign;
    memcpy(&f, &magnitude, sizeof f);
    return f;
#endif
}

INLINE V load_bfloat(const uint16_t *at) {
    H h;
    memcpy(&h, at, sizeof h);
    return (V)(__builtin_convertvector(h, U) << 16);
}

INLINE V load_half(const uint16_t *at) {
#if defined(__F16C__)
    return (V)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)at));
#else
    V v;
    for (int i = 0; i < WIDTH; i++) v[i] = from_half(at[i]);
    return v;
#endif
}

/* e^x to about 2 units in the last place (Cephes' polynomial); 0 below -87, the largest finite above 88. */
INLINE V vexp(V x) {
    V low = splat(-87.3f), high = splat(88.3f);
    I under = x < low;
    x = vmax(x, low);
    x = -vmax(-x, -high);
    V t = x * 1.44269504088896341f;
    V magic = splat(12582912.0f); /* adding it rounds to a whole number */
    V n = (t + magic) - magic;
    x = x - n * 0.693359375f;
    x = x + n * 2.12194440e-4f;
    V p = splat(1.9875691500e-4f);
    p = p * x + 1.3981999507e-3f;
    p = p * x + 8.3334519073e-3f;
    p = p * x + 4.1665795894e-2f;
    p = p * x + 1.6666665459e-1f;
    p = p * x + 5.0000001201e-1f;
    p = p * x * x + x + 1.0f;
    I power = (__builtin_convertvector(n, I) + 127) << 23;
    return (V)((I)(p * (V)power) & ~under);
}

#endif
