/* What Python calls: making a model, running its layers, single products. */
#include "model.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>


#define PUBLIC __attribute__((visibility("default")))

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t widest_row(const Shape *s, const Layer *layers, const Matrix *others, int count) {
    int64_t widest = 0;
    for (int i = 0; i < count; i++) widest = most(widest, ordered_size(&others[i], 1));
    for (int i = 0; i < s->layers; i++) {
        const Layer *l = &layers[i];
        const Matrix *all[] = {&l->q_a, &l->q, &l->k, &l->v, &l->kv_a, &l->embed, &l->unembed, &l->o,
                               &l->gate, &l->up, &l->down, &l->expert_gate, &l->expert_up, &l->expert_down};
        for (size_t n = 0; n < sizeof all / sizeof *all; n++)
            if (all[n]->rows) widest = most(widest, ordered_size(all[n], 1));
    }
    return widest;
}

static int64_t lowest_rank(const Shape *s, const Layer *layers) {
    int64_t widest = 0;
    for (int i = 0; i < s->layers; i++) widest = most(widest, layers[i].q_a.rows);
    return widest;
}

/* Lays the buffers out one after another; with `at` NULL only counts. */
static float *reserve(float **at, int64_t *total, int64_t count) {
    float *found = *at;
    count = (count + 15) / 16 * 16;
    *total += count;
    if (*at) *at += count;
    return found;
}

static int64_t lay_out(Model *m, float *at) {
    const Shape *s = &m->shape;
    int64_t total = 0, heads = s->heads, tokens = CHUNK, value = s->latent ? s->key_size : s->value_size;
    int64_t inner = (int64_t)s->top_k * s->expert_size + s->mlp, rows = (s->experts ? s->top_k : 0) + 1;
    int64_t found = most(tokens, (int64_t)FEW * MOST_SPANS) * heads;
    m->x = reserve(&at, &total, tokens * s->hidden);
    m->given = reserve(&at, &total, tokens * m->ordered);
    m->normed = reserve(&at, &total, tokens * s->hidden);
    m->q_low = reserve(&at, &total, tokens * lowest_rank(s, m->layers));
    m->q = reserve(&at, &total, tokens * heads * (s->nope + s->rotated));
    m->latent = reserve(&at, &total, tokens * (s->key_size + s->value_size));
    m->k = reserve(&at, &total, tokens * s->kv_heads * s->key_size);
    m->v = reserve(&at, &total, tokens * s->kv_heads * s->value_size);
    m->q1 = reserve(&at, &total, tokens * heads * s->key_size);
    m->q2 = reserve(&at, &total, tokens * heads * s->rotated);
    m->attended = reserve(&at, &total, tokens * heads * s->out_size);
    m->partials = reserve(&at, &total, found * value);
    m->tops = reserve(&at, &total, found * 2);
    m->gates = reserve(&at, &total, tokens * inner);
    m->ups = reserve(&at, &total, tokens * inner);
    m->rows = reserve(&at, &total, tokens * most(rows, 4) * m->ordered);
    m->cosines = reserve(&at, &total, tokens * s->rotated / 2);
    m->sines = reserve(&at, &total, tokens * s->rotated / 2);
    m->slots = (Slot *)reserve(&at, &total, s->layers * (int64_t)(sizeof(Slot) / sizeof(float)));
    m->routes = (Route *)reserve(&at, &total, tokens * (int64_t)(sizeof(Route) / sizeof(float)));
    m->own_size = most(ROW_BLOCK * KEY_BLOCK, value + s->hidden + (tokens + 4 + TILE) * m->ordered);
    m->own_size = most(m->own_size, 2 * (MOST_CHOSEN + 1) * CHUNK + TILE * m->ordered + CHUNK * TILE);
    m->own_size = most(m->own_size, s->hidden + (MOST_CHOSEN + 1) * m->ordered);
    for (int i = 0; i < m->team.threads; i++) m->own[i] = reserve(&at, &total, m->own_size);
    return total;
}

/* A model over `layers` (which the caller keeps alive, with all they point at); NULL where memory is short.
   `others`: matrices that native_product will be given beside the layers' own. */
PUBLIC Model *native_make(const Shape *shape, const Layer *layers, const Matrix *others, int count, int threads) {
    Model *m = calloc(1, sizeof *m);
    if (!m) return NULL;
    m->shape = *shape;
    m->layers = layers;
    /* An odd number of cache lines: rows a power of two apart would push each other out of the cache. */
    m->ordered = (widest_row(shape, layers, others, count) + 31) / 32 * 32 + 16;
    if (team_start(&m->team, threads)) {
        free(m);
        return NULL;
    }
    m->space = calloc((size_t)lay_out(m, NULL) + 16, sizeof(float));
    if (!m->space) {
        team_stop(&m->team);
        free(m);
        return NULL;
    }
    lay_out(m, (float *)(((uintptr_t)m->space + 63) / 64 * 64));
    return m;
}

/* Sizes of the structures that Python fills in, for it to compare with its own. */
PUBLIC int64_t native_size(int which) {
    const int64_t sizes[] = {sizeof(Matrix), sizeof(Layer), sizeof(Shape), sizeof(Slot)};
    return which >= 0 && which < 4 ? sizes[which] : -1;
}

PUBLIC void native_free(Model *m) {
    if (!m) return;
    team_stop(&m->team);
    free(m->space);
    free(m);
}

PUBLIC int native_threads(const Model *m) { return m->team.threads; }

typedef struct {
    Model *model;
    int first, last, tokens, offset;
} Run;

static void run_layers(Hand *hand, const void *job) {
    const Run *run = job;
    Model *m = run->model;
    for (int i = run->first; i < run->last; i++) {
        Call call = {m, &m->layers[i], m->slots[i], m->x, run->tokens, run->offset};
        attend(&call, hand);
        feed_forward(&call, hand);
    }
}

static void fill_angles(Model *m, int tokens, int offset) {
    const Shape *s = &m->shape;
    int half = s->rotated / 2;
    for (int t = 0; t < tokens; t++)
        for (int i = 0; i < half; i++) {
            float angle = (float)(offset + t) * s->frequencies[i];
            m->cosines[t * half + i] = (float)cos(angle) * s->rope_factor;
            m->sines[t * half + i] = (float)sin(angle) * s->rope_factor;
        }
}

/* Layers [first, last) on x [tokens, hidden], in place; their keys and values go into slots[0..] from row
   `offset` on. 0, or EINVAL where the numbers do not fit the model or the slots. */
PUBLIC int native_run(Model *m, int first, int last, float *x, int tokens, int offset, const Slot *slots) {
    if (first < 0 || last > m->shape.layers || first > last || tokens < 0 || offset < 0) return EINVAL;
    for (int i = 0; i < last - first; i++)
        if (!slots[i].keys || !slots[i].values || slots[i].capacity < (int64_t)offset + tokens) return EINVAL;
    memcpy(m->slots + first, slots, (size_t)(last - first) * sizeof(Slot));
    for (int done = 0; done < tokens; done += CHUNK) {
        int count = tokens - done < CHUNK ? tokens - done : CHUNK;
        fill_angles(m, count, offset + done);
        float *part = x + (int64_t)done * m->shape.hidden;
        Run run = {m, first, last, count, offset + done};
        memcpy(m->x, part, (size_t)count * (size_t)m->shape.hidden * sizeof(float));
        team_run(&m->team, run_layers, &run, sizeof run);
        memcpy(part, m->x, (size_t)count * (size_t)m->shape.hidden * sizeof(float));
    }
    return 0;
}

typedef struct {
    Model *model;
    Matrix matrix;
    float *out;
    int tokens;
} Single;

_Static_assert(sizeof(Single) <= JOB_SIZE && sizeof(Run) <= JOB_SIZE, "a job is copied whole");

static void run_product(Hand *hand, const void *job) {
    const Single *single = job;
    Call call = {.model = single->model, .tokens = single->tokens};
    Product product = {&single->matrix, single->model->given, single->matrix.cols, single->out, single->matrix.rows};
    project(&call, hand, &product, 1, 0);
}

/* out [tokens, rows] = matrix . x [tokens, cols]; EINVAL for a matrix wider than any of the model's. */
PUBLIC int native_product(Model *m, const Matrix *matrix, const float *x, int tokens, float *out) {
    if (tokens < 0 || ordered_size(matrix, 1) > m->ordered) return EINVAL;
    for (int done = 0; done < tokens; done += CHUNK) {
        Single single = {m, *matrix, out + done * matrix->rows, tokens - done < CHUNK ? tokens - done : CHUNK};
        memcpy(m->given, x + (int64_t)done * matrix->cols, (size_t)(single.tokens * matrix->cols) * sizeof(float));
        team_run(&m->team, run_product, &single, sizeof single);
    }
    return 0;
}

PUBLIC void native_norm(const float *x, const float *weight, int rows, int size, float eps, float *out) {
    for (int i = 0; i < rows; i++)
        norm_row(x + (int64_t)i * size, weight, size, eps, out + (int64_t)i * size);
}

static void copy_row(const Matrix *table, int64_t index, float *out) {
    if (table->kind != PACKED4 && table->kind != PACKED8) {
        widen(table->weight, index * table->cols, table->cols, table->kind, out);
        return;
    }
    int bits = table->kind, groups = table->cols / table->group;
    float scales[MAX_GROUPS], biases[MAX_GROUPS];
    widen(table->scales, index * groups, groups, table->scale_kind, scales);
    widen(table->biases, index * groups, groups, table->scale_kind, biases);
    const uint8_t *bytes = (const uint8_t *)table->weight + index * table->cols * bits / 8;
    for (int i = 0; i < table->cols; i++) {
        int q = bits == 8 ? bytes[i] : bytes[i / 2] >> (i % 2 * 4) & 15;
        out[i] = (float)q * scales[i / table->group] + biases[i / table->group];
    }
}

/* Rows ids[0..count) of a table such as an embedding, as floats. EINVAL for an id outside of it. */
PUBLIC int native_rows(const Matrix *table, const int32_t *ids, int count, float *out) {
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= table->rows) return EINVAL;
    for (int i = 0; i < count; i++) copy_row(table, ids[i], out + (int64_t)i * table->cols);
    return 0;
}
