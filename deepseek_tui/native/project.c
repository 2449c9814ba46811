/* Products of a phase's matrices with its rows, their work shared out by rows of the matrices. */
#include "model.h"

enum { MOST_PRODUCTS = 4, PIECE = 16 };

static int same_order(const Product *a, const Product *b) {
    return a->x == b->x && a->matrix->kind == b->matrix->kind && a->matrix->group == b->matrix->group &&
           a->matrix->cols == b->matrix->cols;
}

/* out[t][i] (+)= row first + i of a matrix . x[t]; the rows of x ordered as `are_few(tokens)` says. `tile` has room
   for TILE rows. */
void rows_product(const Matrix *m, int64_t first, int64_t last, const float *ordered, int64_t stride, int tokens,
                  float *tile, float *out, int64_t out_stride, int add) {
    int64_t size = ordered_size(m, 0);
    for (int64_t row = first; row < last; row += TILE) {
        int rows = last - row < TILE ? (int)(last - row) : TILE;
        float *at = out + (row - first);
        if (are_few(tokens)) {
            float few[FEW * TILE], *to = add ? few : at;
            dot(m, row, row + rows, ordered, stride, tokens, to, add ? TILE : out_stride);
            for (int t = 0; add && t < tokens; t++)
                for (int r = 0; r < rows; r++) at[t * out_stride + r] += few[t * TILE + r];
            continue;
        }
        unpack(m, row, row + rows, tile);
        multiply(ordered, stride, tokens, tile, size, rows, (int)size, at, out_stride, add);
        for (int t = 0; m->bias && t < tokens; t++)
            for (int r = 0; r < rows; r++) at[t * out_stride + r] += m->bias[row + r];
    }
}

static void project_one(Call *call, Hand *hand, const Product *p, int count, int add) {
    Model *model = call->model;
    float *own = model->own[hand->thread], *ordered[MOST_PRODUCTS], out[PIECE * 4];
    int64_t total = 0;
    for (int i = 0; i < count; i++) {
        total += p[i].matrix->rows;
        if (i && same_order(&p[i], &p[i - 1])) {
            ordered[i] = ordered[i - 1];
            continue;
        }
        ordered[i] = own;
        own += model->ordered;
        order_row(p[i].matrix, p[i].x, ordered[i], 1);
    }
    /* Three pieces for each thread, so that one that is held up costs a third of its part. */
    int64_t piece = (total / (model->team.threads * 3) + PIECE) / PIECE * PIECE;
    for (int64_t first; (first = team_take(hand, total, piece)) >= 0;) {
        int64_t left = first + piece < total ? piece : total - first;
        for (int i = 0; i < count && left > 0; i++) {
            int64_t rows = p[i].matrix->rows;
            if (first >= rows) {
                first -= rows;
                continue;
            }
            int64_t last = first + left < rows ? first + left : rows;
            left -= last - first;
            if (!add) dot(p[i].matrix, first, last, ordered[i], 0, 1, p[i].out + first, 0);
            for (int64_t row = first; add && row < last; row += PIECE * 4) {
                int64_t end = row + PIECE * 4 < last ? row + PIECE * 4 : last;
                dot(p[i].matrix, row, end, ordered[i], 0, 1, out, 0);
                for (int64_t r = row; r < end; r++) p[i].out[r] += out[r - row];
            }
            first = 0;
        }
    }
    team_meet(hand);
}

/* All products; `add`: onto what `out` holds. Ends with a meeting. */
void project(Call *call, Hand *hand, const Product *products, int count, int add) {
    if (call->tokens == 1) {
        project_one(call, hand, products, count, add);
        return;
    }
    Model *model = call->model;
    int tokens = call->tokens;
    int64_t starts[MOST_PRODUCTS + 1] = {0}, total = 0;
    float *ordered[MOST_PRODUCTS];
    int fresh[MOST_PRODUCTS];
    for (int i = 0; i < count; i++) {
        ordered[i] = model->rows + i * CHUNK * model->ordered;
        fresh[i] = 1;
        for (int j = 0; j < i && fresh[i]; j++)
            if (same_order(&products[i], &products[j])) ordered[i] = ordered[j], fresh[i] = 0;
        total += (products[i].matrix->rows + PIECE - 1) / PIECE;
        starts[i + 1] = total;
    }
    for (int64_t t; (t = team_take(hand, tokens, 1)) >= 0;)
        for (int i = 0; i < count; i++)
            if (fresh[i])
                order_row(products[i].matrix, products[i].x + t * products[i].x_stride,
                                      ordered[i] + t * model->ordered, are_few(tokens));
    team_meet(hand);
    for (int64_t piece; (piece = team_take(hand, total, 1)) >= 0;) {
        int i = 0;
        while (piece >= starts[i + 1]) i++;
        const Product *p = &products[i];
        int64_t first = (piece - starts[i]) * PIECE, last = first + PIECE;
        if (last > p->matrix->rows) last = p->matrix->rows;
        rows_product(p->matrix, first, last, ordered[i], model->ordered, tokens,
                     model->own[hand->thread], p->out + first, p->out_stride, add);
    }
    team_meet(hand);
}
