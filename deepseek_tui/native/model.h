/* A model and the space it computes in. Layouts: x [tokens, hidden]; a cache slot's keys and values
   [kv_heads, capacity, size], of latent attention the latents and the rotated keys with kv_heads = 1. */
#ifndef MODEL_H
#define MODEL_H

#include "native.h"
#include "team.h"

enum { SIGMOID = 0, SOFTMAX = 1 };
enum { GREEDY = 0, GROUP_MAX = 1, NO_AUX = 2 };
enum { MOST_EXPERTS = 512, MOST_CHOSEN = 64 };
enum { TILE = 16 };
enum { SPAN = 128, MOST_SPANS = 32, FEW = 8, ROW_BLOCK = 24, KEY_BLOCK = 128 };

typedef struct {
    Matrix q_a, q, k, v, kv_a, embed, unembed, o;
    Matrix gate, up, down;
    Matrix expert_gate, expert_up, expert_down;
    const float *input_norm, *post_norm, *q_a_norm, *q_norm, *k_norm, *kv_norm;
    const float *router, *router_bias;
} Layer;

typedef struct {
    int32_t hidden, heads, kv_heads;
    int32_t latent;                    /* whether attention is latent */
    int32_t key_size, value_size;      /* cached, per kv head: head_dim twice, or rank and rotated */
    int32_t nope, rotated, out_size;   /* of a query head: plain numbers, turned ones; of its result */
    int32_t interleaved;
    float scale, eps, latent_eps, head_eps, rope_factor;
    const float *frequencies;          /* rotated / 2 */
    int32_t mlp, experts, expert_size, top_k, groups, chosen_groups, scoring, choice, normalise;
    float routed_factor;
    int32_t layers;
} Shape;

typedef struct {
    float *keys, *values;
    int64_t capacity;
} Slot;

typedef struct {
    int32_t experts[MOST_CHOSEN];
    float weights[MOST_CHOSEN];
} Route;

typedef struct {
    Shape shape;
    const Layer *layers;
    Team team;
    int64_t ordered; /* floats of the widest ordered row */
    float *normed, *q_low, *q, *latent, *k, *v, *q1, *q2, *attended, *partials, *tops, *joined;
    float *gates, *ups, *rows, *x, *given, *cosines, *sines;
    Route *routes;
    Slot *slots; /* of each layer, as the running call was given them */
    float *own[MOST_THREADS]; /* of one thread: ordered rows, tiles, scores */
    int64_t own_size;
    void *space;
} Model;

/* One layer at work on model->x. A thread that comes late may see another layer's or another call's x there,
   but then it gets no piece to write. */
typedef struct {
    Model *model;
    const Layer *layer;
    Slot slot;
    float *x;
    int tokens, offset;
} Call;

/* One product of a phase: out[t][row] (+)= matrix rows . x[t]. */
typedef struct {
    const Matrix *matrix;
    const float *x;
    int64_t x_stride;
    float *out;
    int64_t out_stride;
} Product;

/* Whether rows are multiplied as they are stored, or written out first, which pays for many tokens. */
static inline int are_few(int tokens) { return tokens <= FEW; }

void project(Call *call, Hand *hand, const Product *products, int count, int add);
void attend(Call *call, Hand *hand);
void feed_forward(Call *call, Hand *hand);
void rows_product(const Matrix *m, int64_t first, int64_t last, const float *ordered, int64_t stride, int tokens,
                  float *tile, float *out, int64_t out_stride, int add);

#endif
