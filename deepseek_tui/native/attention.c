/* Attention over the cached keys, grouped-query or latent.

   Latent attention is computed "absorbed": the queries are mapped into the space of the latents, so that every
   head looks at the same short rows (DeepSeek-V2, arXiv 2405.04434). The keys are looked through in spans that
   do not depend on the number of threads; what the spans found is joined at the end (as in Flash-Decoding), so
   results do not depend on it either. */
#include <math.h>
#include <string.h>

#include "model.h"

typedef struct {
    int groups, repeat, rows, seen, spans, span, sizes[2], value_size;
    int64_t row_blocks;
} Plan;

static Plan plan(const Call *call) {
    const Shape *s = &call->model->shape;
    Plan p = {.groups = s->kv_heads, .repeat = s->heads / s->kv_heads, .seen = call->offset + call->tokens};
    p.rows = call->tokens * p.repeat;
    p.row_blocks = (p.rows + ROW_BLOCK - 1) / ROW_BLOCK;
    p.span = p.seen;
    if (call->tokens <= FEW) {
        p.span = (p.seen + MOST_SPANS * SPAN - 1) / (MOST_SPANS * SPAN) * SPAN;
    }
    p.spans = (p.seen + p.span - 1) / p.span;
    p.sizes[0] = s->key_size;
    p.sizes[1] = s->latent ? s->value_size : 0;
    p.value_size = s->latent ? s->key_size : s->value_size;
    return p;
}

/* Turns `size` numbers in place by the angles of a token. */
static void turn(const Model *model, float *x, int token) {
    int half = model->shape.rotated / 2;
    const float *cosines = model->cosines + (int64_t)token * half, *sines = model->sines + (int64_t)token * half;
    int apart = model->shape.interleaved ? 1 : half, step = model->shape.interleaved ? 2 : 1;
    for (int i = 0; i < half; i++) {
        float a = x[i * step], b = x[i * step + apart];
        x[i * step] = a * cosines[i] - b * sines[i];
        x[i * step + apart] = a * sines[i] + b * cosines[i];
    }
}

static void scaled_copy(float *to, const float *from, int size, float scale) {
    for (int i = 0; i < size; i++) to[i] = from[i] * scale;
}

/* Queries of one head, all tokens: normed, turned, scaled, mapped to the latents' space, and laid out by group. */
static void prepare_head(Call *call, Hand *hand, const Plan *p, int head) {
    Model *model = call->model;
    const Shape *s = &model->shape;
    const Layer *layer = call->layer;
    int size = s->nope + s->rotated, group = head / p->repeat, member = head % p->repeat;
    float *own = model->own[hand->thread];
    int64_t ordered = s->latent ? ordered_size(&layer->embed, 1) : 0;
    for (int t = 0; t < call->tokens; t++) {
        float *q = model->q + ((int64_t)t * s->heads + head) * size;
        int64_t row = ((int64_t)group * call->tokens + t) * p->repeat + member;
        if (layer->q_norm) norm_row(q, layer->q_norm, size, s->head_eps, q);
        turn(model, q + s->nope, t);
        if (s->latent) {
            scaled_copy(model->q2 + row * s->rotated, q + s->nope, s->rotated, s->scale);
            scaled_copy(q, q, s->nope, s->scale);
            order_row(&layer->embed, q, own + t * ordered, are_few(call->tokens));
        } else {
            scaled_copy(model->q1 + row * size, q, size, s->scale);
        }
    }
    if (!s->latent) return;
    int64_t first = (int64_t)head * s->key_size, last = first + s->key_size, stride = (int64_t)s->heads * s->key_size;
    float *out = model->q1 + first;
    rows_product(&layer->embed, first, last, own, ordered, call->tokens, own + call->tokens * ordered, out, stride, 0);
}

/* Keys and values of one kv head, all tokens, into the cache. */
static void remember(Call *call, int group) {
    Model *model = call->model;
    const Shape *s = &model->shape;
    const Layer *layer = call->layer;
    for (int t = 0; t < call->tokens; t++) {
        int64_t at = group * call->slot.capacity + call->offset + t;
        float *keys = call->slot.keys + at * s->key_size, *values = call->slot.values + at * s->value_size;
        if (s->latent) {
            const float *both = model->latent + (int64_t)t * (s->key_size + s->value_size);
            norm_row(both, layer->kv_norm, s->key_size, s->latent_eps, keys);
            memcpy(values, both + s->key_size, (size_t)s->value_size * sizeof(float));
            turn(model, values, t);
            continue;
        }
        int64_t from = ((int64_t)t * s->kv_heads + group) * s->key_size;
        if (layer->k_norm) norm_row(model->k + from, layer->k_norm, s->key_size, s->head_eps, keys);
        else memcpy(keys, model->k + from, (size_t)s->key_size * sizeof(float));
        turn(model, keys, t);
        memcpy(values, model->v + from, (size_t)s->value_size * sizeof(float));
    }
}

/* Softmax of one block of scores against the best so far; the sums before it are scaled to the new best. */
static void soften(float *scores, int count, float *top, float *sum, float *found, int size) {
    float best = *top;
    for (int i = 0; i < count; i++) best = scores[i] > best ? scores[i] : best;
    if (best == -INFINITY) {
        memset(scores, 0, (size_t)count * sizeof(float));
        return;
    }
    float shrink = *top == -INFINITY ? 0 : expf(*top - best);
    if (shrink != 1)
        for (int i = 0; i < size; i++) found[i] *= shrink;
    *sum = *sum * shrink + exponentials(scores, count, best);
    *top = best;
}

/* One block of query rows over one span of keys. */
static void look(Call *call, Hand *hand, const Plan *p, int group, int64_t block, int span) {
    Model *model = call->model;
    int first = (int)block * ROW_BLOCK, rows = p->rows - first < ROW_BLOCK ? p->rows - first : ROW_BLOCK;
    int64_t row = (int64_t)group * p->rows + first, kept = group * call->slot.capacity;
    const float *second = model->shape.latent ? call->slot.values : NULL;
    const float *values = (second ? call->slot.keys : call->slot.values) + kept * p->value_size;
    float *found = model->partials + ((int64_t)span * p->groups * p->rows + row) * p->value_size;
    float *tops = model->tops + ((int64_t)span * p->groups * p->rows + row) * 2;
    float *scores = model->own[hand->thread];
    memset(found, 0, (size_t)rows * (size_t)p->value_size * sizeof(float));
    for (int i = 0; i < rows; i++) {
        tops[2 * i] = -INFINITY;
        tops[2 * i + 1] = 0;
    }
    int end = (span + 1) * p->span, visible = call->offset + (first + rows - 1) / p->repeat + 1;
    if (end > visible) end = visible;
    for (int key = span * p->span; key < end; key += KEY_BLOCK) {
        int keys = end - key < KEY_BLOCK ? end - key : KEY_BLOCK;
        const float *part = call->slot.keys + (kept + key) * p->sizes[0];
        multiply(model->q1 + row * p->sizes[0], p->sizes[0], rows, part, p->sizes[0], keys, p->sizes[0], scores,
                    KEY_BLOCK, 0);
        if (second)
            multiply(model->q2 + row * p->sizes[1], p->sizes[1], rows, second + (kept + key) * p->sizes[1],
                        p->sizes[1], keys, p->sizes[1], scores, KEY_BLOCK, 1);
        for (int i = 0; i < rows; i++) {
            float *mine = scores + i * KEY_BLOCK;
            for (int j = call->offset + (first + i) / p->repeat + 1 - key; j < keys; j++)
                if (j >= 0) mine[j] = -INFINITY;
            soften(mine, keys, &tops[2 * i], &tops[2 * i + 1], found + (int64_t)i * p->value_size, p->value_size);
        }
        accumulate(scores, KEY_BLOCK, rows, values + (int64_t)key * p->value_size, p->value_size, p->value_size,
                      keys, found, p->value_size);
    }
}

/* What one head found in all spans, for all tokens, mapped back from the latents' space. */
static void join(Call *call, Hand *hand, const Plan *p, int head) {
    Model *model = call->model;
    const Shape *s = &model->shape;
    const Matrix *unembed = &call->layer->unembed;
    int group = head / p->repeat, member = head % p->repeat, size = p->value_size;
    int64_t all = (int64_t)p->groups * p->rows, stride = (int64_t)s->heads * s->out_size;
    float *own = model->own[hand->thread], *ordered = own + size, *out = model->attended + (int64_t)head * s->out_size;
    int64_t step = s->latent ? ordered_size(unembed, 1) : 0;
    for (int t = 0; t < call->tokens; t++) {
        int64_t row = (int64_t)group * p->rows + (int64_t)t * p->repeat + member;
        float top = -INFINITY, total = 0, *into = s->latent ? own : out + t * stride;
        for (int i = 0; i < p->spans; i++) top = fmaxf(top, model->tops[(i * all + row) * 2]);
        memset(into, 0, (size_t)size * sizeof(float));
        for (int i = 0; i < p->spans; i++) {
            const float *tops = model->tops + (i * all + row) * 2, *found = model->partials + (i * all + row) * size;
            if (tops[0] == -INFINITY) continue;
            float weight = expf(tops[0] - top);
            total += weight * tops[1];
            for (int n = 0; n < size; n++) into[n] += weight * found[n];
        }
        for (int n = 0; n < size; n++) into[n] /= total;
        if (s->latent) order_row(unembed, own, ordered + t * step, are_few(call->tokens));
    }
    if (!s->latent) return;
    int64_t first = (int64_t)head * s->out_size, last = first + s->out_size;
    rows_product(unembed, first, last, ordered, step, call->tokens, ordered + call->tokens * step, out, stride, 0);
}

static void project_inputs(Call *call, Hand *hand) {
    Model *model = call->model;
    const Layer *layer = call->layer;
    const Shape *s = &model->shape;
    int64_t queries = (int64_t)s->heads * (s->nope + s->rotated), wide = s->key_size + s->value_size;
    Product low = {&layer->q_a, model->normed, s->hidden, model->q_low, layer->q_a.rows};
    Product q = {&layer->q, model->normed, s->hidden, model->q, queries};
    if (s->latent) {
        Product latent = {&layer->kv_a, model->normed, s->hidden, model->latent, wide};
        if (!layer->q_a.rows) {
            project(call, hand, (Product[]){q, latent}, 2, 0);
            return;
        }
        project(call, hand, (Product[]){low, latent}, 2, 0);
        for (int64_t t; (t = team_take(hand, call->tokens, 1)) >= 0;) {
            float *row = model->q_low + t * layer->q_a.rows;
            norm_row(row, layer->q_a_norm, (int)layer->q_a.rows, s->latent_eps, row);
        }
        team_meet(hand);
        q.x = model->q_low;
        q.x_stride = layer->q_a.rows;
        project(call, hand, &q, 1, 0);
        return;
    }
    int64_t keys = (int64_t)s->kv_heads * s->key_size;
    Product k = {&layer->k, model->normed, s->hidden, model->k, keys};
    Product v = {&layer->v, model->normed, s->hidden, model->v, keys};
    project(call, hand, (Product[]){q, k, v}, 3, 0);
}

/* x += o(attention(norm(x))), every thread calls it. */
void attend(Call *call, Hand *hand) {
    Model *model = call->model;
    const Shape *s = &model->shape;
    Plan p = plan(call);
    for (int64_t t; (t = team_take(hand, call->tokens, 1)) >= 0;)
        norm_row(call->x + t * s->hidden, call->layer->input_norm, s->hidden, s->eps,
                             model->normed + t * s->hidden);
    team_meet(hand);
    project_inputs(call, hand);
    for (int64_t i; (i = team_take(hand, s->heads + s->kv_heads, 1)) >= 0;) {
        if (i < s->heads) prepare_head(call, hand, &p, (int)i);
        else remember(call, (int)i - s->heads);
    }
    team_meet(hand);
    int64_t units = p.groups * p.row_blocks * p.spans;
    for (int64_t i; (i = team_take(hand, units, 1)) >= 0;)
        look(call, hand, &p, (int)(i / p.spans / p.row_blocks), i / p.spans % p.row_blocks, (int)(i % p.spans));
    team_meet(hand);
    for (int64_t i; (i = team_take(hand, s->heads, 1)) >= 0;) join(call, hand, &p, (int)i);
    team_meet(hand);
    int64_t width = (int64_t)s->heads * s->out_size;
    project(call, hand, &(Product){&call->layer->o, model->attended, width, call->x, s->hidden}, 1, 1);
}
