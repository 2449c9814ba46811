/* The arithmetic on rows, compiled for the processor at hand.

   Packed rows are never written out for a single token: eight words of eight 4-bit numbers are masked, turned
   into floats and multiplied where they lie. Number k of a word keeps its place in it, so it counts 16^k too
   much; the activation it meets has been divided by that, which is exact. What is left is
   scale * sum(q x) + bias * sum(x) for each group, and the second sum is the same for every row. */
#include "native.h"
#include "vector.h"

INLINE V load_kind(const void *at, int64_t i, int kind) {
    if (kind == FLOAT32) return load((const float *)at + i);
    return kind == FLOAT16 ? load_half((const uint16_t *)at + i) : load_bfloat((const uint16_t *)at + i);
}

INLINE float one_of_kind(const void *at, int64_t i, int kind) {
    if (kind == FLOAT32) return ((const float *)at)[i];
    uint16_t h = ((const uint16_t *)at)[i];
    return kind == FLOAT16 ? from_half(h) : from_bfloat(h);
}


/* Numbers of one kind, `count` of them from index `first` on, as floats. */
void widen(const void *at, int64_t first, int count, int kind, float *out) {
    int i = 0;
    if (kind == FLOAT32) {
        memcpy(out, (const float *)at + first, (size_t)count * sizeof(float));
        return;
    }
    if (kind == FLOAT16)
        for (; i + WIDTH <= count; i += WIDTH) store(out + i, load_half((const uint16_t *)at + first + i));
    else
        for (; i + WIDTH <= count; i += WIDTH) store(out + i, load_bfloat((const uint16_t *)at + first + i));
    for (; i < count; i++) out[i] = one_of_kind(at, first + i, kind);
}

INLINE U words_at(const uint32_t *at, int count) {
    if (count >= WIDTH) return load_words(at);
    U v = {0};
    memcpy(&v, at, (size_t)count * 4);
    return v;
}

static int group_shift(const Matrix *m, int columns) {
    /* chunk >> shift is the group of a chunk of `columns` numbers; -1: a chunk holds two groups. */
    int shift = 0;
    if (m->group < columns) return -1;
    while (columns << shift < m->group) shift++;
    return shift;
}

/* The scales of a chunk that holds two groups, each over the lanes of its words. */
INLINE V two_scales(const float *scales, int chunk) {
    double pair;
    memcpy(&pair, scales + 2 * chunk, sizeof pair);
    V both = (V)(D){pair, pair, pair, pair};
    return SHUFFLE(both, both, 0, 0, 0, 0, 5, 5, 5, 5);
}

INLINE V lanes(const float *scales, int chunk, int shift) {
    return shift < 0 ? two_scales(scales, chunk) : splat(scales[chunk >> shift]);
}

void order_row(const Matrix *m, const float *x, float *ordered, int factors) {
    int per_word = m->kind == PACKED4 ? 8 : m->kind == PACKED8 ? 4 : 0;
    if (!per_word) {
        memcpy(ordered, x, (size_t)m->cols * sizeof(float));
        for (int i = m->cols; i % WIDTH; i++) ordered[i] = 0;
        return;
    }
    int columns = per_word * WIDTH;
    float shrink = per_word == 8 ? 1.0f / 16 : 1.0f / 256;
    for (int start = 0; start < m->cols; start += columns) {
        float part[64] = {0};
        int count = m->cols - start < columns ? m->cols - start : columns;
        memcpy(part, x + start, (size_t)count * sizeof(float));
        float factor = 1;
        for (int k = 0; k < per_word; k++, factor *= shrink, ordered += WIDTH) {
            if (k == per_word / 2) factor = 1; /* the upper half of a word is shifted down first */
            for (int i = 0; i < WIDTH; i++) ordered[i] = part[i * per_word + k] * (factors ? factor : 1);
        }
    }
    if (!factors) return;
    int groups = m->cols / m->group;
    for (int g = 0; g < groups; g++) {
        V total = {0};
        for (int i = 0; i < m->group; i += WIDTH) total += load(x + (int64_t)g * m->group + i);
        ordered[g] = sum(total);
    }
    for (int g = groups; g % WIDTH; g++) ordered[g] = 0;
}

/* Numbers as floats, by whole vectors: past `count` come those that follow in memory, or zeros at its end. */
INLINE V widen_some(const void *at, int64_t first, int64_t count, int64_t end, int kind) {
    if (first + WIDTH <= end) return load_kind(at, first, kind);
    V v = {0};
    for (int i = 0; i < WIDTH && i < count; i++) v[i] = one_of_kind(at, first + i, kind);
    return v;
}

/* The scales of some rows as floats, and each row's bias * sum(x) for each token. */
INLINE void begin_rows(const Matrix *m, int64_t first, int rows, const float *sums, int64_t stride, int tokens,
                       float *scales, V *total, int kind) {
    int64_t groups = m->cols / m->group, at = first * groups, end = m->rows * groups;
    for (int64_t i = 0; i < rows * groups; i += WIDTH)
        store(scales + i, widen_some(m->scales, at + i, rows * groups - i, end, kind));
    for (int r = 0; r < rows; r++, at += groups) {
        for (int t = 0; t < tokens; t++) total[r * tokens + t] = (V){0};
        /* Past the row's groups the sums are zeros, so the next row's biases do not count. */
        for (int64_t g = 0; g < groups; g += WIDTH) {
            V bias = widen_some(m->biases, at + g, groups - g, end, kind);
            for (int t = 0; t < tokens; t++) {
                V *of = total + r * tokens + t;
                *of = fused(bias, load(sums + t * stride + g), *of);
            }
        }
    }
}

static __attribute__((noinline)) void begin(const Matrix *m, int64_t first, int rows, const float *sums,
                                            int64_t stride, int tokens, float *scales, V *total) {
    if (m->scale_kind == FLOAT32) begin_rows(m, first, rows, sums, stride, tokens, scales, total, FLOAT32);
    else if (m->scale_kind == FLOAT16) begin_rows(m, first, rows, sums, stride, tokens, scales, total, FLOAT16);
    else begin_rows(m, first, rows, sums, stride, tokens, scales, total, BFLOAT16);
}

/* Vectors of words of a few rows times the activations of each token. Row by row the additions would wait for each
   other; side by side, and each half of the words for itself, there is always one that can be done. */
INLINE void dot_chunk(U *words, int rows, const float *x, int64_t stride, int tokens, int bits, const V *scale,
                      V *total) {
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        V part[8] = {{0}};
#pragma GCC unroll 4
        for (int k = 0; k < 16 / bits; k++, x += WIDTH) {
            uint32_t mask = (bits == 4 ? 0xfu : 0xffu) << (k * bits);
            V q[4];
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++) q[r] = to_float(words[r] & mask);
#pragma GCC unroll 4
            for (int t = 0; t < tokens; t++) {
                V y = rows > 1 ? load_once(x + t * stride) : load(x + t * stride);
#pragma GCC unroll 4
                for (int r = 0; r < rows; r++) part[r * tokens + t] = fused(q[r], y, part[r * tokens + t]);
            }
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++) {
            words[r] >>= 16;
#pragma GCC unroll 4
            for (int t = 0; t < tokens; t++)
                total[r * tokens + t] = fused(part[r * tokens + t], scale[r], total[r * tokens + t]);
        }
    }
}

INLINE void dot_packed(const Matrix *m, int64_t first, int rows, const float *x, int64_t stride, int tokens,
                       float *out, int64_t out_stride, int bits, int two) {
    int words = m->cols * bits / 32, groups = m->cols / m->group, columns = 256 / bits;
    const uint32_t *w = (const uint32_t *)m->weight + first * words;
    float scales[4 * MAX_GROUPS + WIDTH];
    V total[4 * 4];
    begin(m, first, rows, x + (words + WIDTH - 1) / WIDTH * columns, stride, tokens, scales, total);
    int whole = words / WIDTH, shift = two ? -1 : group_shift(m, columns);
    U v[4];
    V scale[4];
    for (int c = 0; c < whole; c++, x += columns) {
        for (int r = 0; r < rows; r++) {
            v[r] = load_words(w + (int64_t)r * words + c * WIDTH);
            scale[r] = two ? two_scales(scales + r * groups, c) : splat(scales[r * groups + (c >> shift)]);
        }
        dot_chunk(v, rows, x, stride, tokens, bits, scale, total);
    }
    if (two && words % WIDTH) {
        for (int r = 0; r < rows; r++) {
            v[r] = words_at(w + (int64_t)r * words + whole * WIDTH, words % WIDTH);
            scale[r] = two_scales(scales + r * groups, whole);
        }
        dot_chunk(v, rows, x, stride, tokens, bits, scale, total);
    }
    for (int t = 0; t < tokens; t++) {
        V found = sums(total[t], total[(rows > 1) * tokens + t], total[(rows > 2) * 2 * tokens + t],
                       total[(rows > 3) * 3 * tokens + t]);
        for (int r = 0; r < rows; r++) out[t * out_stride + r] = found[r] + (m->bias ? m->bias[first + r] : 0);
    }
}

INLINE void dot_plain(const Matrix *m, int64_t first, int rows, const float *x, float *out, int kind) {
    V total[4] = {{0}};
    int whole = m->cols / WIDTH * WIDTH;
    for (int c = 0; c < whole; c += WIDTH)
        for (int r = 0; r < rows; r++)
            total[r] = fused(load_kind(m->weight, (first + r) * m->cols + c, kind), load(x + c), total[r]);
    V found = sums(total[0], total[1], total[2], total[3]);
    for (int r = 0; r < rows; r++) {
        float rest = m->bias ? m->bias[first + r] : 0;
        for (int c = whole; c < m->cols; c++)
            rest += one_of_kind(m->weight, (first + r) * m->cols + c, kind) * x[c];
        out[r] = found[r] + rest;
    }
}

/* Four rows with one token, two rows with two to four, one row with one: each a loop of its own. */
#define PACKED(rows, tokens, bits, two)                                                                    \
    dot_packed(m, first, rows, x, stride, tokens, out, out_stride, bits, two)

#define PACKED_TOKENS(bits, two)                                                                           \
    do {                                                                                                   \
        if (rows == 1) PACKED(1, 1, bits, two);                                                            \
        else if (tokens == 1) PACKED(4, 1, bits, two);                                                     \
        else if (tokens == 2) PACKED(2, 2, bits, two);                                                     \
        else if (tokens == 3) PACKED(2, 3, bits, two);                                                     \
        else PACKED(2, 4, bits, two);                                                                      \
    } while (0)

#define PLAIN_TOKENS(kind)                                                                                 \
    do {                                                                                                   \
        for (int t = 0; t < tokens; t++, x += stride, out += out_stride) {                                 \
            if (rows == 1) dot_plain(m, first, 1, x, out, kind);                                           \
            else if (rows == 2) dot_plain(m, first, 2, x, out, kind);                                      \
            else dot_plain(m, first, 4, x, out, kind);                                                     \
        }                                                                                                  \
    } while (0)

static void dot_rows(const Matrix *m, int64_t first, int rows, const float *x, int64_t stride, int tokens, float *out,
                     int64_t out_stride) {
    if (m->kind == PACKED8) PACKED_TOKENS(8, 0);
    else if (m->kind == PACKED4 && m->group < 64) PACKED_TOKENS(4, 1);
    else if (m->kind == PACKED4) PACKED_TOKENS(4, 0);
    else if (m->kind == FLOAT32) PLAIN_TOKENS(FLOAT32);
    else if (m->kind == FLOAT16) PLAIN_TOKENS(FLOAT16);
    else PLAIN_TOKENS(BFLOAT16);
}

void dot(const Matrix *m, int64_t first, int64_t last, const float *x, int64_t stride, int tokens, float *out,
         int64_t out_stride) {
    for (int rows; first < last; first += rows, out += rows) {
        rows = last - first >= 4 ? 4 : 1;
        /* Five tokens as three and two: the second time the rows come from the cache. */
        for (int t = 0, some; t < tokens; t += some) {
            const float *from = x + t * stride;
            float *to = out + t * out_stride;
            some = rows == 1 ? 1 : tokens - t <= 4 ? tokens - t : tokens - t >= 6 ? 4 : 3;
            if (some == 1) {
                dot_rows(m, first, rows, from, stride, 1, to, out_stride);
                continue;
            }
            dot_rows(m, first, 2, from, stride, some, to, out_stride);
            dot_rows(m, first + 2, 2, from, stride, some, to + 2, out_stride);
        }
    }
}

/* Rows written out as floats, in the order of their words, for use with several tokens. */
INLINE void unpack_rows(const Matrix *m, int64_t first, int64_t last, float *tile, int bits) {
    int words = m->cols * bits / 32, groups = m->cols / m->group, per_word = 32 / bits;
    int shift = group_shift(m, per_word * WIDTH);
    float scales[MAX_GROUPS + WIDTH], biases[MAX_GROUPS + WIDTH];
    for (int64_t row = first; row < last; row++) {
        const uint32_t *w = (const uint32_t *)m->weight + row * words;
        widen(m->scales, row * groups, groups, m->scale_kind, scales);
        widen(m->biases, row * groups, groups, m->scale_kind, biases);
        scales[groups] = biases[groups] = 0; /* half a chunk looks one further */
        for (int at = 0, c = 0; at < words; at += WIDTH, c++, tile += per_word * WIDTH) {
            V scale = lanes(scales, c, shift), bias = lanes(biases, c, shift);
            U low = words_at(w + at, words - at), high = low >> 16;
            uint32_t mask = bits == 4 ? 0xf : 0xff;
            for (int k = 0; k < per_word / 2; k++, mask <<= bits, scale *= bits == 4 ? 1.0f / 16 : 1.0f / 256) {
                store(tile + k * WIDTH, fused(to_float(low & mask), scale, bias));
                store(tile + (k + per_word / 2) * WIDTH, fused(to_float(high & mask), scale, bias));
            }
        }
    }
}

void unpack(const Matrix *m, int64_t first, int64_t last, float *tile) {
    if (m->kind == PACKED4 || m->kind == PACKED8) {
        if (m->kind == PACKED4) unpack_rows(m, first, last, tile, 4);
        else unpack_rows(m, first, last, tile, 8);
        return;
    }
    int64_t padded = ordered_size(m, 0);
    for (int64_t row = first; row < last; row++, tile += padded) {
        widen(m->weight, row * m->cols, m->cols, m->kind, tile);
        for (int64_t i = m->cols; i < padded; i++) tile[i] = 0;
    }
}

INLINE void multiply_tile(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth,
                          float *c, int64_t ldc, int add) {
    V total[3][4] = {{{0}}};
    int whole = depth / WIDTH * WIDTH;
    for (int k = 0; k < whole; k += WIDTH) {
        V row[3];
        for (int i = 0; i < rows; i++) row[i] = load_once(a + i * lda + k);
        for (int j = 0; j < cols; j++) {
            V w = load_once(b + j * ldb + k);
            for (int i = 0; i < rows; i++) total[i][j] = fused(row[i], w, total[i][j]);
        }
    }
#pragma GCC unroll 3
    for (int i = 0; i < rows; i++) {
        V found = sums(total[i][0], total[i][1], total[i][2], total[i][3]);
        for (int k = whole; k < depth; k++)
            for (int j = 0; j < cols; j++) found[j] += a[i * lda + k] * b[j * ldb + k];
        for (int j = 0; j < cols; j++) c[i * ldc + j] = found[j] + (add ? c[i * ldc + j] : 0);
    }
}

static void multiply_block(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth,
                           float *c, int64_t ldc, int add) {
    for (int j = 0; j < cols; j += 4) {
        const float *bj = b + j * ldb;
        int wide = cols - j < 4 ? cols - j : 4, i = 0;
        for (; i + 3 <= rows && wide == 4; i += 3)
            multiply_tile(a + i * lda, lda, 3, bj, ldb, 4, depth, c + i * ldc + j, ldc, add);
        if (i + 2 == rows && wide == 4) {
            multiply_tile(a + i * lda, lda, 2, bj, ldb, 4, depth, c + i * ldc + j, ldc, add);
            i += 2;
        }
        for (; i < rows; i++) {
            if (wide == 4) multiply_tile(a + i * lda, lda, 1, bj, ldb, 4, depth, c + i * ldc + j, ldc, add);
            else
                for (int n = 0; n < wide; n++)
                    multiply_tile(a + i * lda, lda, 1, bj + n * ldb, ldb, 1, depth, c + i * ldc + j + n, ldc, add);
        }
    }
}

/* A dozen rows at a time, which stay in the nearest cache while the others pass by. */
void multiply(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth, float *c,
              int64_t ldc, int add) {
    for (int i = 0; i < rows; i += 12)
        multiply_block(a + i * lda, lda, rows - i < 12 ? rows - i : 12, b, ldb, cols, depth, c + i * ldc, ldc, add);
}

INLINE void accumulate_tile(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int vectors,
                            int depth, float *c, int64_t ldc) {
    V total[3][4];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) total[i][j] = load(c + i * ldc + j * WIDTH);
    for (int k = 0; k < depth; k++) {
        V factor[3];
        for (int i = 0; i < rows; i++) factor[i] = splat(a[i * lda + k]);
        for (int j = 0; j < vectors; j++) {
            V v = load_once(b + k * ldb + j * WIDTH);
            for (int i = 0; i < rows; i++) total[i][j] = fused(v, factor[i], total[i][j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) store(c + i * ldc + j * WIDTH, total[i][j]);
}

void accumulate(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth, float *c,
                int64_t ldc) {
    int j = 0;
    while (j + WIDTH <= cols) {
        int vectors = cols - j >= 4 * WIDTH ? 4 : 1, i = 0;
        for (; i + 3 <= rows; i += 3) {
            if (vectors == 4) accumulate_tile(a + i * lda, lda, 3, b + j, ldb, 4, depth, c + i * ldc + j, ldc);
            else accumulate_tile(a + i * lda, lda, 3, b + j, ldb, 1, depth, c + i * ldc + j, ldc);
        }
        for (; i < rows; i++) {
            if (vectors == 4) accumulate_tile(a + i * lda, lda, 1, b + j, ldb, 4, depth, c + i * ldc + j, ldc);
            else accumulate_tile(a + i * lda, lda, 1, b + j, ldb, 1, depth, c + i * ldc + j, ldc);
        }
        j += vectors * WIDTH;
    }
    for (; j < cols; j++)
        for (int i = 0; i < rows; i++)
            for (int k = 0; k < depth; k++) c[i * ldc + j] += a[i * lda + k] * b[k * ldb + j];
}

void norm_row(const float *x, const float *weight, int size, float eps, float *out) {
    V squares = {0};
    float total = 0;
    int i = 0;
    for (; i + WIDTH <= size; i += WIDTH) squares += load(x + i) * load(x + i);
    for (; i < size; i++) total += x[i] * x[i];
    float scale = 1.0f / sqrtf((sum(squares) + total) / (float)size + eps);
    for (i = 0; i < size; i++) out[i] = x[i] * scale * weight[i];
}

/* Rests of a vector are computed as whole ones, so that a number does not depend on where a part ends. */
void swiglu(float *gate, const float *up, int64_t size) {
    for (int64_t i = 0; i < size; i += WIDTH) {
        size_t bytes = (size_t)(size - i < WIDTH ? size - i : WIDTH) * sizeof(float);
        V g = {0}, u = {0};
        memcpy(&g, gate + i, bytes);
        memcpy(&u, up + i, bytes);
        g = g / (1.0f + vexp(-g)) * u;
        memcpy(gate + i, &g, bytes);
    }
}

float exponentials(float *scores, int count, float highest) {
    V total = {0};
    for (int i = count; i % WIDTH; i++) scores[i] = -INFINITY;
    for (int i = 0; i < count; i += WIDTH) {
        V e = vexp(load(scores + i) - highest);
        total += e;
        store(scores + i, e);
    }
    return sum(total);
}
