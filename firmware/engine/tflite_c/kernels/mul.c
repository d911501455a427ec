/* SPDX-License-Identifier: Apache-2.0 */
/* MUL of two int8 tensors. */
#include "broadcast.h"
#include "common.h"
#include "kernels.h"

enum { OPTION_ACTIVATION = 0 };

struct mul {
    struct step step;
    struct broadcast io;
    int32_t multiplier;
    int16_t zero_points[2];
    int16_t zero_point;
    int8_t shift, low, high;
};

static void mul_row(const struct step *step, const int8_t *const *inputs, const int32_t *steps, int8_t *output,
                    uint32_t count)
{
    const struct mul *mul = (const struct mul *)(const void *)step;
    const int8_t *a = inputs[0];
    const int8_t *b = inputs[1];

    for (uint32_t i = 0; i < count; i++) {
        int32_t product = (*a - mul->zero_points[0]) * (*b - mul->zero_points[1]);

        product = quantize_multiply(product, mul->multiplier, mul->shift);
        output[i] = quantize_to_int8(product, mul->zero_point, mul->low, mul->high);
        a += steps[0];
        b += steps[1];
    }
}

static void mul_run(const struct step *step)
{
    broadcast_run(&((const struct mul *)(const void *)step)->io, step, mul_row);
}

int mul_prepare(struct load *load)
{
    struct reader *reader = &load->graph.reader;
    struct tensor inputs[2], output;
    struct mul mul = {.step = {mul_run, 0, 0}};
    struct quantize_scale scale;
    int status;

    if ((status = broadcast_prepare(load, inputs, &output, &mul.io)) != ENGINE_OK ||
        (status = common_make_range(load, &output,
                                    reader_i8(reader, &load->operation.options, OPTION_ACTIVATION, ACTIVATION_NONE),
                                    &mul.low, &mul.high)) != ENGINE_OK) {
        return status;
    }
    if (!quantize_from_real((double)inputs[0].scale * (double)inputs[1].scale / (double)output.scale, &scale)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "scales of inputs and output are too far apart");
    }
    mul.multiplier = scale.multiplier;
    mul.shift = scale.shift;
    mul.zero_points[0] = (int16_t)inputs[0].zero_point;
    mul.zero_points[1] = (int16_t)inputs[1].zero_point;
    mul.zero_point = (int16_t)output.zero_point;
    return load_keep(load, &mul.step, sizeof mul);
}
