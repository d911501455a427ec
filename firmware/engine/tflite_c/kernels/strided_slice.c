/* SPDX-License-Identifier: Apache-2.0 */
/* STRIDED_SLICE: every stride-th element of a box, forwards or backwards. Bytes are copied as they are. */
#include <string.h>

#include "common.h"
#include "kernels.h"
#include "operands.h"
#include "walk.h"

enum {
    OPTION_BEGIN_MASK = 0,
    OPTION_END_MASK,
    OPTION_ELLIPSIS_MASK,
    OPTION_NEW_AXIS_MASK,
    OPTION_SHRINK_MASK,
    OPTION_OFFSET
};
enum { INPUT_BEGIN = 1, INPUT_END, INPUT_STRIDES };

struct strided_slice {
    struct step step;
    const int8_t *input; /* from the first element taken */
    int8_t *output;
    struct walk walk; /* in elements; only the first tensor, the input, has steps */
    uint32_t width;   /* bytes of an element */
};

static void strided_slice_run(const struct step *step)
{
    const struct strided_slice *slice = (const struct strided_slice *)(const void *)step;
    const int32_t width = (int32_t)slice->width;
    const int32_t stride = slice->walk.steps[0][WALK_ROW] * width;
    struct walk_cursor cursor = {.at = {0, 0}};
    int8_t *output = slice->output;

    do {
        const int8_t *input = slice->input + cursor.at[0] * width;

        for (uint32_t i = 0; i < slice->walk.dims[WALK_ROW]; i++) {
            memcpy(output, input, slice->width);
            input += stride;
            output += width;
        }
    } while (walk_next(&slice->walk, &cursor));
}

/* Everything that says what to take. */
struct bounds {
    struct operands_list begin, end, strides;
    uint32_t begin_mask, end_mask, shrink_mask;
};

static int read_bounds(struct load *load, int32_t rank, struct bounds *bounds)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *options = &load->operation.options;
    int status;

    if (reader_i32(reader, options, OPTION_ELLIPSIS_MASK, 0) != 0 ||
        reader_i32(reader, options, OPTION_NEW_AXIS_MASK, 0) != 0 ||
        reader_i8(reader, options, OPTION_OFFSET, 0) != 0) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "ellipsis, new axis or offset not supported");
    }
    bounds->begin_mask = (uint32_t)reader_i32(reader, options, OPTION_BEGIN_MASK, 0);
    bounds->end_mask = (uint32_t)reader_i32(reader, options, OPTION_END_MASK, 0);
    bounds->shrink_mask = (uint32_t)reader_i32(reader, options, OPTION_SHRINK_MASK, 0);
    if ((status = operands_read_list(load, INPUT_BEGIN, "begin", &bounds->begin)) != ENGINE_OK ||
        (status = operands_read_list(load, INPUT_END, "end", &bounds->end)) != ENGINE_OK ||
        (status = operands_read_list(load, INPUT_STRIDES, "strides", &bounds->strides)) != ENGINE_OK) {
        return status;
    }
    if (bounds->begin.items.count != (uint32_t)rank || bounds->end.items.count != (uint32_t)rank ||
        bounds->strides.items.count != (uint32_t)rank) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "begin, end or strides not one per dimension");
    }
    return ENGINE_OK;
}

/* An index given from the front, or below 0 from the end, kept within low to high. */
static int64_t index_within(int32_t given, int32_t size, int64_t low, int64_t high)
{
    int64_t index = given < 0 ? (int64_t)given + size : given;

    index = index < low ? low : index;
    return index > high ? high : index;
}

/* What is taken along one dimension: how many elements, > 0 unless the model is at fault, and the first of them. */
static int64_t count_along(const struct load *load, const struct bounds *bounds, uint32_t axis, int32_t size,
                           int32_t stride, int64_t *first)
{
    const uint32_t bit = (uint32_t)1 << axis;
    const int64_t low = stride > 0 ? 0 : -1;
    const int64_t high = stride > 0 ? size : size - 1;
    int64_t last;

    *first = index_within(operands_item(load, &bounds->begin, axis), size, low, high);
    last = index_within(operands_item(load, &bounds->end, axis), size, low, high);
    if ((bounds->begin_mask & bit) != 0) {
        *first = stride > 0 ? low : high;
    }
    if ((bounds->end_mask & bit) != 0) {
        last = stride > 0 ? high : low;
    }
    if ((bounds->shrink_mask & bit) != 0) {
        return *first >= 0 && *first < size ? 1 : 0;
    }
    if (stride > 0) {
        return last > *first ? (last - *first + stride - 1) / stride : 0;
    }
    return last < *first ? (*first - last - (int64_t)stride - 1) / -(int64_t)stride : 0;
}

static int make_walk(struct load *load, const struct bounds *bounds, const struct tensor *input,
                     const struct tensor *output, struct strided_slice *slice)
{
    int32_t steps[ENGINE_MAX_RANK];
    int64_t corner = 0;
    int32_t kept = 0; /* dimensions of the output */

    walk_steps(input, steps);
    slice->walk = walk_make();
    for (int32_t i = 0; i < input->rank; i++) {
        int32_t stride = operands_item(load, &bounds->strides, (uint32_t)i);
        int64_t first = 0;
        int64_t count = stride != 0 ? count_along(load, bounds, (uint32_t)i, input->dims[i], stride, &first) : 0;

        if (count < 1) {
            return load_refuse(load, ENGINE_E_MODEL, "nothing is taken along a dimension");
        }
        if ((bounds->shrink_mask >> i & 1) == 0 && (kept >= output->rank || output->dims[kept++] != count)) {
            return load_refuse(load, ENGINE_E_MODEL, "output shape does not follow from begin, end and strides");
        }
        corner += first * steps[i];
        walk_set(&slice->walk, i, input->rank, (uint32_t)count, count > 1 ? stride * steps[i] : 0, 0);
    }
    if (kept != output->rank) {
        return load_refuse(load, ENGINE_E_MODEL, "output shape does not follow from begin, end and strides");
    }
    walk_merge(&slice->walk);
    slice->input = load_source(load, input) + corner * slice->width;
    return ENGINE_OK;
}

int strided_slice_prepare(struct load *load)
{
    struct tensor input, output;
    struct strided_slice slice = {.step = {strided_slice_run, 0, 0}};
    struct bounds bounds;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = operands_check_moved(load, &input, "input")) != ENGINE_OK ||
        (status = operands_check_moved(load, &output, "output")) != ENGINE_OK ||
        (status = operands_check_alike(load, &input, &output)) != ENGINE_OK ||
        (status = read_bounds(load, input.rank, &bounds)) != ENGINE_OK) {
        return status;
    }
    slice.width = operands_width(&input);
    if ((status = make_walk(load, &bounds, &input, &output, &slice)) != ENGINE_OK) {
        return status;
    }
    slice.output = load_target(load, &output);
    return load_keep(load, &slice.step, sizeof slice);
}
