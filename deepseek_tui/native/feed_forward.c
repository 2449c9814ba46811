/* The feed-forward: down(silu(gate x) * up x), plain or as routed experts with a shared one beside them
   (DeepSeekMoE, arXiv 2401.06066; the choice without auxiliary loss, 2412.19437). */
#include <math.h>
#include <string.h>

#include "model.h"

enum { MOST_PARTS = 65, PIECE = 16 };

/* Tokens that go through the same three matrices. */
typedef struct {
    const Matrix *gate, *up, *down;
    int64_t gate_row, down_row; /* where the expert's rows begin */
    int size, count;            /* of the inner rows; of the tokens */
    int64_t start;              /* its first ordered row */
    int64_t inner;              /* its first number in gates and ups */
} Part;

static void keep_best_groups(const Shape *s, float *choice) {
    int size = s->experts / s->groups, alive = s->groups;
    float ranks[MOST_EXPERTS];
    for (int g = 0; g < s->groups; g++) {
        float first = -INFINITY, second = -INFINITY;
        for (int i = 0; i < size; i++) {
            float c = choice[g * size + i];
            if (c > first) second = first, first = c;
            else if (c > second) second = c;
        }
        ranks[g] = s->choice == NO_AUX && size > 1 ? first + second : first;
    }
    for (; alive > s->chosen_groups; alive--) {
        int worst = -1;
        for (int g = 0; g < s->groups; g++)
            if (ranks[g] != INFINITY && (worst < 0 || ranks[g] < ranks[worst])) worst = g;
        if (worst < 0) return;
        ranks[worst] = INFINITY;
        for (int i = 0; i < size; i++) choice[worst * size + i] = -INFINITY;
    }
}

static void route(const Model *model, const Layer *layer, const float *x, Route *chosen) {
    const Shape *s = &model->shape;
    float scores[MOST_EXPERTS], choice[MOST_EXPERTS], total = 0;
    multiply(x, s->hidden, 1, layer->router, s->hidden, s->experts, s->hidden, scores, s->experts, 0);
    if (s->scoring == SIGMOID) {
        for (int i = 0; i < s->experts; i++) scores[i] = 1 / (1 + expf(-scores[i]));
    } else {
        float top = scores[0];
        for (int i = 1; i < s->experts; i++) top = fmaxf(top, scores[i]);
        for (int i = 0; i < s->experts; i++) total += scores[i] = expf(scores[i] - top);
        for (int i = 0; i < s->experts; i++) scores[i] /= total;
    }
    for (int i = 0; i < s->experts; i++) choice[i] = scores[i] + (layer->router_bias ? layer->router_bias[i] : 0);
    if (s->choice != GREEDY && s->groups > 1) keep_best_groups(s, choice);
    total = 0;
    for (int k = 0; k < s->top_k; k++) {
        int best = -1;
        for (int i = 0; i < s->experts; i++)
            if (!isnan(choice[i]) && (best < 0 || choice[i] > choice[best])) best = i;
        if (best < 0) best = 0; /* a model whose numbers are no numbers still must not leave its memory */
        chosen->experts[k] = best;
        chosen->weights[k] = scores[best];
        total += scores[best];
        choice[best] = NAN;
    }
    float factor = s->routed_factor / (s->normalise ? total + 1e-20f : 1);
    for (int k = 0; k < s->top_k; k++) chosen->weights[k] *= factor;
    /* One token adds its experts in the same order as several do: by their number. */
    for (int k = 1; k < s->top_k; k++)
        for (int i = k; i > 0 && chosen->experts[i] < chosen->experts[i - 1]; i--) {
            int expert = chosen->experts[i];
            float weight = chosen->weights[i];
            chosen->experts[i] = chosen->experts[i - 1];
            chosen->weights[i] = chosen->weights[i - 1];
            chosen->experts[i - 1] = expert;
            chosen->weights[i - 1] = weight;
        }
}

static int plain_part(const Layer *layer, Part *part) {
    if (!layer->gate.rows) return 0;
    *part = (Part){&layer->gate, &layer->up, &layer->down, 0, 0, (int)layer->gate.rows, 1, 0, 0};
    return 1;
}

static Part expert_part(const Shape *s, const Layer *layer, int expert) {
    return (Part){&layer->expert_gate, &layer->expert_up, &layer->expert_down, (int64_t)expert * s->expert_size,
                  (int64_t)expert * s->hidden, s->expert_size, 0, 0, 0};
}

/* One token: few meetings, every thread prepares for itself what is quicker made than waited for. */
static void one(Call *call, Hand *hand) {
    Model *model = call->model;
    const Shape *s = &model->shape;
    const Layer *layer = call->layer;
    float *own = model->own[hand->thread], *x = own, *ordered = own + s->hidden, out[PIECE * 4];
    Part parts[MOST_PARTS];
    float weights[MOST_PARTS];
    int count = 0;
    norm_row(call->x, layer->post_norm, s->hidden, s->eps, x);
    if (layer->router) {
        Route chosen;
        route(model, layer, x, &chosen);
        for (; count < s->top_k; count++) {
            parts[count] = expert_part(s, layer, chosen.experts[count]);
            parts[count].inner = (int64_t)count * s->expert_size;
            weights[count] = chosen.weights[count];
        }
    }
    if (plain_part(layer, &parts[count])) {
        parts[count].inner = layer->router ? (int64_t)s->top_k * s->expert_size : 0;
        weights[count++] = 1;
    }
    float *orders[MOST_PARTS];
    int64_t total = 0;
    for (int i = 0; i < count; i++) {
        total += parts[i].size;
        if (i && parts[i].gate == parts[i - 1].gate) orders[i] = orders[i - 1];
        else {
            orders[i] = ordered;
            ordered += model->ordered;
            order_row(parts[i].gate, x, orders[i], 1);
        }
    }
    int late = team_is_late(hand); /* then the experts above may be those of nobody */
    int64_t piece = (total / (model->team.threads * 3) + PIECE) / PIECE * PIECE;
    for (int64_t first; (first = team_take(hand, total, piece)) >= 0;) {
        int64_t left = first + piece < total ? piece : total - first;
        for (int i = 0; i < count && left > 0; i++) {
            const Part *p = &parts[i];
            if (first >= p->size) {
                first -= p->size;
                continue;
            }
            int64_t last = first + left < p->size ? first + left : p->size;
            left -= last - first;
            dot(p->gate, p->gate_row + first, p->gate_row + last, orders[i], 0, 1, model->gates + p->inner + first, 0);
            dot(p->up, p->gate_row + first, p->gate_row + last, orders[i], 0, 1, model->ups + p->inner + first, 0);
            swiglu(model->gates + p->inner + first, model->ups + p->inner + first, last - first);
            first = 0;
        }
    }
    team_meet(hand);
    for (int i = 0; i < count && !late; i++) {
        orders[i] = own + i * model->ordered;
        order_row(parts[i].down, model->gates + parts[i].inner, orders[i], 1);
    }
    for (int64_t first; !late && (first = team_take(hand, s->hidden, PIECE * 4)) >= 0;) {
        int64_t rows = s->hidden - first < PIECE * 4 ? s->hidden - first : PIECE * 4;
        for (int i = 0; i < count; i++) {
            int64_t row = parts[i].down_row + first;
            dot(parts[i].down, row, row + rows, orders[i], 0, 1, out, 0);
            for (int r = 0; r < rows; r++) call->x[first + r] += weights[i] * out[r];
        }
    }
    team_meet(hand);
}

/* Which token each ordered row is of, and with which weight it counts; parts in the order of their rows. */
static int sort_tokens(const Call *call, Part *parts, int *tokens, float *weights) {
    const Model *model = call->model;
    const Shape *s = &model->shape;
    int count = 0, row = 0;
    int64_t inner = 0;
    for (int e = 0; call->layer->router && e < s->experts; e++) {
        Part part = expert_part(s, call->layer, e);
        part.start = row;
        part.inner = inner;
        for (int t = 0; t < call->tokens; t++)
            for (int k = 0; k < s->top_k; k++)
                /* The count cannot run over unless this thread is late and the routes are the next layer's. */
                if (model->routes[t].experts[k] == e && row < call->tokens * s->top_k) {
                    tokens[row] = t;
                    weights[row++] = model->routes[t].weights[k];
                }
        part.count = row - (int)part.start;
        inner += (int64_t)part.count * part.size;
        if (part.count) parts[count++] = part;
    }
    if (plain_part(call->layer, &parts[count])) {
        Part *part = &parts[count++];
        part->start = row;
        part->inner = inner;
        part->count = call->tokens;
        for (int t = 0; t < call->tokens; t++) {
            tokens[row] = t;
            weights[row++] = 1;
        }
    }
    return count;
}

static int part_of_row(const Part *parts, int64_t row) {
    int i = 0;
    while (row >= parts[i].start + parts[i].count) i++;
    return i;
}

static void several(Call *call, Hand *hand) {
    Model *model = call->model;
    const Shape *s = &model->shape;
    Part parts[MOST_EXPERTS + 1];
    int *tokens = (int *)model->own[hand->thread];
    float *weights = model->own[hand->thread] + (MOST_CHOSEN + 1) * CHUNK, *tile = weights + (MOST_CHOSEN + 1) * CHUNK;
    for (int64_t t; (t = team_take(hand, call->tokens, 1)) >= 0;) {
        float *x = model->normed + t * s->hidden;
        norm_row(call->x + t * s->hidden, call->layer->post_norm, s->hidden, s->eps, x);
        if (call->layer->router) route(model, call->layer, x, &model->routes[t]);
    }
    team_meet(hand);
    int count = sort_tokens(call, parts, tokens, weights);
    int late = team_is_late(hand); /* then the order above may be that of nobody */
    int64_t rows = late ? 0 : parts[count - 1].start + parts[count - 1].count, pieces = 0;
    for (int64_t row; !late && (row = team_take(hand, rows, 1)) >= 0;)
        order_row(parts[part_of_row(parts, row)].gate, model->normed + (int64_t)tokens[row] * s->hidden,
                 model->rows + row * model->ordered, are_few(parts[part_of_row(parts, row)].count));
    team_meet(hand);
    for (int i = 0; i < count && !late; i++) pieces += (parts[i].size + PIECE - 1) / PIECE;
    for (int64_t piece; !late && (piece = team_take(hand, pieces, 1)) >= 0;) {
        int i = 0;
        for (; piece >= (parts[i].size + PIECE - 1) / PIECE; i++) piece -= (parts[i].size + PIECE - 1) / PIECE;
        const Part *p = &parts[i];
        int64_t first = piece * PIECE, last = first + PIECE < p->size ? first + PIECE : p->size;
        const float *x = model->rows + p->start * model->ordered;
        int64_t at = p->gate_row + first, end = p->gate_row + last, inner = p->inner + first;
        rows_product(p->gate, at, end, x, model->ordered, p->count, tile, model->gates + inner, p->size, 0);
        rows_product(p->up, at, end, x, model->ordered, p->count, tile, model->ups + inner, p->size, 0);
    }
    team_meet(hand);
    for (int64_t row; !late && (row = team_take(hand, rows, 1)) >= 0;) {
        const Part *p = &parts[part_of_row(parts, row)];
        int64_t inner = p->inner + (row - p->start) * p->size;
        swiglu(model->gates + inner, model->ups + inner, p->size);
        order_row(p->down, model->gates + inner, model->rows + row * model->ordered, are_few(p->count));
    }
    team_meet(hand);
    float *out = tile + TILE * model->ordered;
    for (int64_t first; !late && (first = team_take(hand, s->hidden, PIECE)) >= 0;) {
        int64_t last = first + PIECE < s->hidden ? first + PIECE : s->hidden;
        for (int i = 0; i < count; i++) {
            const Part *p = &parts[i];
            rows_product(p->down, p->down_row + first, p->down_row + last,
                         model->rows + p->start * model->ordered, model->ordered, p->count, tile, out, PIECE, 0);
            for (int n = 0; n < p->count; n++) {
                float *x = call->x + (int64_t)tokens[p->start + n] * s->hidden + first;
                for (int64_t r = 0; r < last - first; r++) x[r] += weights[p->start + n] * out[n * PIECE + r];
            }
        }
    }
    team_meet(hand);
}

/* x += feed-forward(norm(x)), every thread calls it. */
void feed_forward(Call *call, Hand *hand) {
    if (call->tokens == 1) one(call, hand);
    else several(call, hand);
}
