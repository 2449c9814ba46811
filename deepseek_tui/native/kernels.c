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

INLINE V lanes(const float *scales, int chunk, int shift) {
    if (shift >= 0) return splat(scales[chunk >> shift]);
    float a = scales[2 * chunk], b = scales[2 * chunk + 1];
    return (V){a, a, a, a, b, b, b, b};
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

/* The scales of some rows as floats, and each row's bias * sum(x). */
static void begin_rows(const Matrix *m, int64_t first, int rows, const float *sums, float *scales, V *total) {
    int groups = m->cols / m->group;
    float biases[MAX_GROUPS + WIDTH];
    widen(m->scales, first * groups, rows * groups, m->scale_kind, scales);
    for (int i = 0; i < WIDTH; i++) scales[rows * groups + i] = 0;
    for (int r = 0; r < rows; r++) {
        widen(m->biases, (first + r) * groups, groups, m->scale_kind, biases);
        for (int i = 0; i < WIDTH; i++) biases[groups + i] = 0;
        total[r] = (V){0};
        for (int g = 0; g < groups; g += WIDTH) total[r] += load(biases + g) * load(sums + g);
    }
}

INLINE V quarter_bytes(U w, const float *x) {
    U low = w, high = w >> 16;
    V p = to_float(low & 0xf) * load(x) + to_float(low & 0xf0) * load(x + 8);
    V q = to_float(high & 0xf) * load(x + 32) + to_float(high & 0xf0) * load(x + 40);
    p += to_float(low & 0xf00) * load(x + 16);
    q += to_float(high & 0xf00) * load(x + 48);
    p += to_float(low & 0xf000) * load(x + 24);
    q += to_float(high & 0xf000) * load(x + 56);
    return p + q;
}

INLINE V whole_bytes(U w, const float *x) {
    U low = w, high = w >> 16;
    V p = to_float(low & 0xff) * load(x) + to_float(low & 0xff00) * load(x + 8);
    V q = to_float(high & 0xff) * load(x + 16) + to_float(high & 0xff00) * load(x + 24);
    return p + q;
}

INLINE void dot_packed(const Matrix *m, int64_t first, int rows, const float *x, float *out, int bits, int two) {
    int words = m->cols * bits / 32, groups = m->cols / m->group, columns = 256 / bits;
    const uint32_t *w = (const uint32_t *)m->weight + first * words;
    float scales[4 * MAX_GROUPS + WIDTH];
    V total[4];
    begin_rows(m, first, rows, x + (words + WIDTH - 1) / WIDTH * columns, scales, total);
    int whole = words / WIDTH, shift = two ? -1 : group_shift(m, columns);
    for (int c = 0; c < whole; c++, x += columns)
        for (int r = 0; r < rows; r++) {
            U v = load_words(w + (int64_t)r * words + c * WIDTH);
            V part = bits == 4 ? quarter_bytes(v, x) : whole_bytes(v, x);
            total[r] += part * (two ? lanes(scales + r * groups, c, -1) : splat(scales[r * groups + (c >> shift)]));
        }
    if (two && words % WIDTH)
        for (int r = 0; r < rows; r++) {
            U v = words_at(w + (int64_t)r * words + whole * WIDTH, words % WIDTH);
            total[r] += quarter_bytes(v, x) * lanes(scales + r * groups, whole, -1);
        }
    for (int r = 0; r < rows; r++) out[r] = sum(total[r]) + (m->bias ? m->bias[first + r] : 0);
}

INLINE void dot_plain(const Matrix *m, int64_t first, int rows, const float *x, float *out, int kind) {
    V total[4] = {{0}};
    int whole = m->cols / WIDTH * WIDTH;
    for (int c = 0; c < whole; c += WIDTH)
        for (int r = 0; r < rows; r++)
            total[r] += load_kind(m->weight, (first + r) * m->cols + c, kind) * load(x + c);
    for (int r = 0; r < rows; r++) {
        float rest = m->bias ? m->bias[first + r] : 0;
        for (int c = whole; c < m->cols; c++)
            rest += one_of_kind(m->weight, (first + r) * m->cols + c, kind) * x[c];
        out[r] = sum(total[r]) + rest;
    }
}


#define ROWS_BY_FOUR(function, ...)                                                                        \
    do {                                                                                                   \
        for (; first + 4 <= last; first += 4, out += 4) function(m, first, 4, x, out, __VA_ARGS__);        \
        for (; first < last; first++, out++) function(m, first, 1, x, out, __VA_ARGS__);                   \
    } while (0)

void dot(const Matrix *m, int64_t first, int64_t last, const float *x, float *out) {
    if (m->kind == PACKED8) ROWS_BY_FOUR(dot_packed, 8, 0);
    else if (m->kind == PACKED4 && m->group < 64) ROWS_BY_FOUR(dot_packed, 4, 1);
    else if (m->kind == PACKED4) ROWS_BY_FOUR(dot_packed, 4, 0);
    else if (m->kind == FLOAT32) ROWS_BY_FOUR(dot_plain, FLOAT32);
    else if (m->kind == FLOAT16) ROWS_BY_FOUR(dot_plain, FLOAT16);
    else ROWS_BY_FOUR(dot_plain, BFLOAT16);
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
                store(tile + k * WIDTH, to_float(low & mask) * scale + bias);
                store(tile + (k + per_word / 2) * WIDTH, to_float(high & mask) * scale + bias);
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
        for (int i = 0; i < rows; i++) row[i] = load(a + i * lda + k);
        for (int j = 0; j < cols; j++) {
            V w = load(b + j * ldb + k);
            for (int i = 0; i < rows; i++) total[i][j] += row[i] * w;
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < cols; j++) {
            float rest = add ? c[i * ldc + j] : 0;
            for (int k = whole; k < depth; k++) rest += a[i * lda + k] * b[j * ldb + k];
            c[i * ldc + j] = sum(total[i][j]) + rest;
        }
}

void multiply(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth,
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

INLINE void accumulate_tile(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int vectors,
                            int depth, float *c, int64_t ldc) {
    V total[4][3];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) total[i][j] = load(c + i * ldc + j * WIDTH);
    for (int k = 0; k < depth; k++)
        for (int j = 0; j < vectors; j++) {
            V v = load(b + k * ldb + j * WIDTH);
            for (int i = 0; i < rows; i++) total[i][j] += v * splat(a[i * lda + k]);
        }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < vectors; j++) store(c + i * ldc + j * WIDTH, total[i][j]);
}

void accumulate(const float *a, int64_t lda, int rows, const float *b, int64_t ldb, int cols, int depth,
                       float *c, int64_t ldc) {
    int j = 0;
    while (j + WIDTH <= cols) {
        int vectors = cols - j >= 3 * WIDTH ? 3 : 1, i = 0;
        for (; i + 4 <= rows; i += 4) {
            if (vectors == 3) accumulate_tile(a + i * lda, lda, 4, b + j, ldb, 3, depth, c + i * ldc + j, ldc);
            else accumulate_tile(a + i * lda, lda, 4, b + j, ldb, 1, depth, c + i * ldc + j, ldc);
        }
        for (; i < rows; i++) {
            if (vectors == 3) accumulate_tile(a + i * lda, lda, 1, b + j, ldb, 3, depth, c + i * ldc + j, ldc);
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

void swiglu(float *gate, const float *up, int64_t size) {
    int64_t i = 0;
    for (; i + WIDTH <= size; i += WIDTH) {
        V g = load(gate + i);
        store(gate + i, g / (1.0f + vexp(-g)) * load(up + i));
    }
    for (; i < size; i++) gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

float exponentials(float *scores, int count, float highest) {
    V total = {0};
    float rest = 0;
    int i = 0;
    for (; i + WIDTH <= count; i += WIDTH) {
        V e = vexp(load(scores + i) - highest);
        total += e;
        store(scores + i, e);
    }
    for (; i < count; i++) rest += scores[i] = expf(scores[i] - highest);
    return sum(total) + rest;
}
