/* SPDX-License-Identifier: Apache-2.0 */
/* PAD, with the value that means 0, and PADV2, with a constant. */
#include <string.h>

#include "common.h"
#include "kernels.h"
#include "operands.h"
#include "walk.h"

struct pad {
    struct step step;
    const int8_t *input;
    int8_t *output; /* from its start */
    uint32_t bytes;
    int32_t corner;   /* where in the output the input's first element goes */
    struct walk walk; /* the input's box, in input and output, in bytes */
    int8_t value;
};

static void pad_run(const struct step *step)
{
    const struct pad *pad = (const struct pad *)(const void *)step;
    const uint32_t count = pad->walk.dims[WALK_ROW];
    const int32_t to_next = pad->walk.steps[1][WALK_ROW];
    struct walk_cursor cursor = {.at = {0, 0}};

    memset(pad->output, pad->value, pad->bytes);
    do {
        const int8_t *input = pad->input + cursor.at[0];
        int8_t *output = pad->output + pad->corner + cursor.at[1];

        if (to_next == 1) {
            memcpy(output, input, count);
            continue;
        }
        for (uint32_t i = 0; i < count; i++) { /* single elements, with padding in between */
            *output = input[i];
            output += to_next;
        }
    } while (walk_next(&pad->walk, &cursor));
}

static int make_walk(struct load *load, const struct tensor *input, const struct tensor *output, struct pad *pad)
{
    struct operands_list paddings;
    int32_t in_steps[ENGINE_MAX_RANK], out_steps[ENGINE_MAX_RANK];
    int status = operands_read_list(load, 1, "paddings", &paddings);

    if (status != ENGINE_OK) {
        return status;
    }
    if (output->rank != input->rank || paddings.items.count != 2 * (uint32_t)input->rank) {
        return load_refuse(load, ENGINE_E_MODEL, "not one pair of paddings per dimension");
    }
    walk_steps(input, in_steps);
    walk_steps(output, out_steps);
    pad->walk = walk_make();
    pad->corner = 0;
    for (int32_t i = 0; i < input->rank; i++) {
        int32_t before = operands_item(load, &paddings, 2 * (uint32_t)i);
        int32_t after = operands_item(load, &paddings, 2 * (uint32_t)i + 1);

        if (before < 0 || after < 0 || (int64_t)input->dims[i] + before + after != output->dims[i]) {
            return load_refuse(load, ENGINE_E_MODEL, "output size does not follow from input and paddings");
        }
        walk_set(&pad->walk, i, input->rank, (uint32_t)input->dims[i], in_steps[i], out_steps[i]);
        pad->corner += before * out_steps[i];
    }
    walk_merge(&pad->walk);
    return ENGINE_OK;
}

static int prepare(struct load *load, struct pad *pad)
{
    struct tensor input, output;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_int8(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_int8(load, &output, "output")) != ENGINE_OK ||
        (status = operands_check_alike(load, &input, &output)) != ENGINE_OK ||
        (status = make_walk(load, &input, &output, pad)) != ENGINE_OK) {
        return status;
    }
    pad->input = load_source(load, &input);
    pad->output = load_target(load, &output);
    pad->bytes = output.bytes;
    return load_keep(load, &pad->step, sizeof *pad);
}

int pad_prepare(struct load *load)
{
    struct pad pad = {.step = {pad_run, 0, 0}};
    struct tensor output;
    int status = load_output(load, &output);

    if (status != ENGINE_OK) {
        return status;
    }
    pad.value = (int8_t)output.zero_point; /* prepare() checks that it is one */
    return prepare(load, &pad);
}

int padv2_prepare(struct load *load)
{
    struct pad pad = {.step = {pad_run, 0, 0}};
    struct tensor value, output;
    int status;

    if ((status = load_output(load, &output)) != ENGINE_OK ||
        (status = load_input(load, 2, "value", &value)) != ENGINE_OK ||
        (status = common_check_int8(load, &value, "value")) != ENGINE_OK ||
        (status = operands_check_alike(load, &value, &output)) != ENGINE_OK) {
        return status;
    }
    if (value.elements != 1 || value.constant == NULL) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "value is not one constant");
    }
    pad.value = (int8_t)value.constant[0];
    return prepare(load, &pad);
}
