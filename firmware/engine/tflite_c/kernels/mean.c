/* SPDX-License-Identifier: Apache-2.0 */
/* MEAN of an int8 tensor along some of its dimensions. */
#include "common.h"
#include "kernels.h"
#include "operands.h"
#include "walk.h"

enum { MAX_AXES = 64 }; /* some may be the same; a small file could ask for the same long list thousands of times */
enum { MAX_COUNT = 1 << 23 }; /* so many int8 values, less their zero point, still add up in 31 bits */

struct mean {
    struct step step;
    const int8_t *input;
    int8_t *output;
    struct walk kept, reduced; /* dimensions of the input; only the first tensor has steps */
    int32_t multiplier;
    int32_t offset; /* of a whole sum: its elements times the zero point */
    int16_t zero_point;
    int8_t shift;
};

static int32_t sum(const struct walk *walk, const int8_t *input)
{
    const int32_t step = walk->steps[0][WALK_ROW];
    struct walk_cursor cursor = {.at = {0, 0}};
    int32_t result = 0;

    do {
        const int8_t *row = input + cursor.at[0];

        for (uint32_t i = 0; i < walk->dims[WALK_ROW]; i++) {
            result += row[(int32_t)i * step];
        }
    } while (walk_next(walk, &cursor));
    return result;
}

static void mean_run(const struct step *step)
{
    const struct mean *mean = (const struct mean *)(const void *)step;
    struct walk_cursor cursor = {.at = {0, 0}};
    int8_t *output = mean->output;

    do {
        const int8_t *row = mean->input + cursor.at[0];

        for (uint32_t i = 0; i < mean->kept.dims[WALK_ROW]; i++) {
            int32_t value = sum(&mean->reduced, row + (int32_t)i * mean->kept.steps[0][WALK_ROW]) - mean->offset;

            value = quantize_multiply(value, mean->multiplier, mean->shift);
            *output++ = quantize_to_int8(value, mean->zero_point, INT8_MIN, INT8_MAX);
        }
    } while (walk_next(&mean->kept, &cursor));
}

/* The dimensions to reduce, as bits. */
static int read_axes(struct load *load, int32_t rank, uint32_t *axes)
{
    struct operands_list list;
    int status = operands_read_list(load, 1, "axes", &list);

    *axes = 0;
    if (status == ENGINE_OK && list.items.count > MAX_AXES) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "over 64 axes");
    }
    for (uint32_t i = 0; status == ENGINE_OK && i < list.items.count; i++) {
        int32_t axis = operands_item(load, &list, i);

        if (axis < -rank || axis >= rank) {
            return load_refuse(load, ENGINE_E_MODEL, "axis is no dimension of the input");
        }
        *axes |= (uint32_t)1 << (axis < 0 ? axis + rank : axis);
    }
    return status;
}

/* Whether the output has the dimensions that are kept, and 1 or nothing for the others. */
static bool output_fits(const struct tensor *input, const struct tensor *output, uint32_t axes)
{
    int32_t at = 0;

    for (int32_t i = 0; i < input->rank; i++) {
        bool reduced = (axes >> i & 1) != 0;

        if (reduced && output->rank != input->rank) {
            continue;
        }
        if (at >= output->rank || output->dims[at++] != (reduced ? 1 : input->dims[i])) {
            return false;
        }
    }
    return at == output->rank;
}

/* The scale, with the division by `count` as TFLM puts it into the multiplier. */
static int make_scale(struct load *load, const struct tensor *input, const struct tensor *output, uint32_t count,
                      struct mean *mean)
{
    struct quantize_scale scale;
    int32_t shift = 0;

    if (!quantize_from_real((double)input->scale / (double)output->scale, &scale)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "scales of input and output are too far apart");
    }
    while (count >> (shift + 1) != 0 && shift < 31 + scale.shift) {
        shift++;
    }
    mean->multiplier = (int32_t)(((int64_t)scale.multiplier << shift) / count);
    mean->shift = (int8_t)(scale.shift - shift);
    mean->offset = input->zero_point * (int32_t)count;
    mean->zero_point = (int16_t)output->zero_point;
    return ENGINE_OK;
}

int mean_prepare(struct load *load)
{
    struct tensor input, output;
    struct mean mean = {.step = {mean_run, 0, 0}};
    int32_t steps[ENGINE_MAX_RANK];
    uint32_t axes;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_int8(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_int8(load, &output, "output")) != ENGINE_OK ||
        (status = read_axes(load, input.rank, &axes)) != ENGINE_OK) {
        return status;
    }
    if (!output_fits(&input, &output, axes)) {
        return load_refuse(load, ENGINE_E_MODEL, "output shape does not follow from input and axes");
    }
    if (input.elements / output.elements > MAX_COUNT) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "mean of over 8388608 values");
    }
    mean.kept = walk_make();
    mean.reduced = walk_make();
    walk_steps(&input, steps);
    for (int32_t i = 0; i < input.rank; i++) {
        struct walk *walk = (axes >> i & 1) != 0 ? &mean.reduced : &mean.kept;

        walk_set(walk, i, input.rank, (uint32_t)input.dims[i], steps[i], 0);
    }
    walk_merge(&mean.kept);
    walk_merge(&mean.reduced);
    mean.input = load_source(load, &input);
    mean.output = load_target(load, &output);
    status = make_scale(load, &input, &output, input.elements / output.elements, &mean);
    return status == ENGINE_OK ? load_keep(load, &mean.step, sizeof mean) : status;
}
