/* SPDX-License-Identifier: Apache-2.0 */
#include "broadcast.h"

#include "common.h"
#include "operands.h"

/* Dimension `axis` of a tensor seen as one of `rank` dimensions: missing ones are 1, on the outside. */
static int32_t dim_at(const struct tensor *tensor, int32_t rank, int32_t axis)
{
    int32_t at = axis - (rank - tensor->rank);

    return at < 0 ? 1 : tensor->dims[at];
}

static int32_t step_at(const struct tensor *tensor, const int32_t *steps, int32_t rank, int32_t axis)
{
    return dim_at(tensor, rank, axis) == 1 ? 0 : steps[axis - (rank - tensor->rank)];
}

static int make_walk(struct load *load, const struct tensor *inputs, const struct tensor *output, struct walk *walk)
{
    int32_t rank = inputs[0].rank > inputs[1].rank ? inputs[0].rank : inputs[1].rank;
    int32_t steps[2][ENGINE_MAX_RANK];

    walk_steps(&inputs[0], steps[0]);
    walk_steps(&inputs[1], steps[1]);
    if (output->rank != rank) {
        return load_refuse(load, ENGINE_E_MODEL, "output has not the shape of both inputs together");
    }
    *walk = walk_make();
    for (int32_t i = 0; i < rank; i++) {
        int32_t a = dim_at(&inputs[0], rank, i);
        int32_t b = dim_at(&inputs[1], rank, i);

        if (a != b && a != 1 && b != 1) {
            return load_refuse(load, ENGINE_E_MODEL, "shapes of the inputs do not go together");
        }
        if (output->dims[i] != (a == 1 ? b : a)) {
            return load_refuse(load, ENGINE_E_MODEL, "output has not the shape of both inputs together");
        }
        walk_set(walk, i, rank, (uint32_t)output->dims[i], step_at(&inputs[0], steps[0], rank, i),
                 step_at(&inputs[1], steps[1], rank, i));
    }
    walk_merge(walk);
    return ENGINE_OK;
}

int broadcast_prepare(struct load *load, struct tensor *inputs, struct tensor *output, struct broadcast *broadcast)
{
    struct walk walk;
    int status;

    if ((status = load_input(load, 0, "first input", &inputs[0])) != ENGINE_OK ||
        (status = load_input(load, 1, "second input", &inputs[1])) != ENGINE_OK ||
        (status = load_output(load, output)) != ENGINE_OK ||
        (status = common_check_int8(load, &inputs[0], "first input")) != ENGINE_OK ||
        (status = common_check_int8(load, &inputs[1], "second input")) != ENGINE_OK ||
        (status = common_check_int8(load, output, "output")) != ENGINE_OK ||
        (status = make_walk(load, inputs, output, &walk)) != ENGINE_OK) {
        return status;
    }
    broadcast->walk = NULL;
    if (inputs[0].elements != output->elements || inputs[1].elements != output->elements) {
        struct walk *kept = load_reserve(load, sizeof walk);

        if (kept != NULL) {
            *kept = walk;
        }
        broadcast->walk = kept;
    }
    if (inputs[0].elements == output->elements) { /* one that is stretched is read again behind what is written */
        (void)load_in_place(load);
    }
    broadcast->count = output->elements;
    broadcast->inputs[0] = load_source(load, &inputs[0]);
    broadcast->inputs[1] = load_source(load, &inputs[1]);
    broadcast->output = load_target(load, output);
    return ENGINE_OK;
}

void broadcast_run(const struct broadcast *broadcast, const struct step *step, broadcast_row *row)
{
    const struct walk *walk = broadcast->walk;
    struct walk_cursor cursor = {.at = {0, 0}};
    int8_t *output = broadcast->output;

    if (walk == NULL) {
        row(step, broadcast->inputs, (const int32_t[]){1, 1}, output, broadcast->count);
        return;
    }
    do {
        const int8_t *inputs[2] = {broadcast->inputs[0] + cursor.at[0], broadcast->inputs[1] + cursor.at[1]};

        row(step, inputs, (const int32_t[]){walk->steps[0][WALK_ROW], walk->steps[1][WALK_ROW]}, output,
            walk->dims[WALK_ROW]);
        output += walk->dims[WALK_ROW];
    } while (walk_next(walk, &cursor));
}
