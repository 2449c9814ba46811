/* What the parts share, and what Python fills in. library.py mirrors the structures field by field. */
#ifndef NATIVE_H
#define NATIVE_H

#include <stddef.h>
#include <stdint.h>

enum { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2, PACKED4 = 4, PACKED8 = 8 };

/* y = W x + bias. `kind` is how W [rows, cols] is stored; packed ones as MLX packs them: little-endian words,
   a scale and a bias (FLOAT32, FLOAT16 or BFLOAT16) for each `group` of columns. rows == 0: absent. */
typedef struct {
    const void *weight, *scales, *biases;
    const float *bias;
    int64_t rows;
    int32_t cols, kind, group, scale_kind;
} Matrix;

enum { CHUNK = 64, MAX_GROUPS = 512 };

/* The arithmetic on rows. An "ordered" row is a row of activations in the order in which the matrix's columns
   come out of its words, padded with zeros; `factors`: as `dot` wants it, else as it meets unpacked rows. */
void order_row(const Matrix *m, const float *x, float *ordered, int factors);

/* out[t][i] = row first + i of the matrix . x[t], for a few tokens' ordered rows (with factors). A token's numbers
   do not depend on how many it comes with. */
void dot(const Matrix *m, int64_t first, int64_t last, const float *ordered, int64_t stride, int tokens, float *out,
         int64_t out_stride);

/* Rows [first, last) as floats in that order, one after another. */
void unpack(const Matrix *m, int64_t first, int64_t last, float *tile);

/* c[i][j] = (add ? c[i][j] : 0) + sum over k of a[i][k] b[j][k] */
void multiply(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth, float *c,
              int64_t ldc, int add);

/* c[i][j] += sum over k of a[i][k] b[k][j] */
void accumulate(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth, float *c,
                int64_t ldc);

/* out = weight * x / sqrt(mean(x^2) + eps); out may be x. */
void norm_row(const float *x, const float *weight, int size, float eps, float *out);

/* gate = silu(gate) * up */
void swiglu(float *gate, const float *up, int64_t size);

/* Scores become exp(score - highest); returns their sum. There is room up to the next whole vector. */
float exponentials(float *scores, int count, float highest);

/* Numbers of one kind, `count` of them from index `first` on, as floats. */
void widen(const void *at, int64_t first, int count, int kind, float *out);

/* Floats an ordered row of `m` takes. */
static inline int64_t ordered_size(const Matrix *m, int factors) {
    int64_t columns = m->kind == PACKED4 ? 64 : m->kind == PACKED8 ? 32 : 8;
    int64_t size = (m->cols + columns - 1) / columns * columns;
    return size + (factors && columns > 8 ? (m->cols / m->group + 7) / 8 * 8 : 0);
}

#endif
