/* SPDX-License-Identifier: Apache-2.0 */
/* ADD of two int8 tensors of one shape. Both are brought to a common scale with 20 more bits before they are added. */
#include "common.h"
#include "kernels.h"

enum { OPTION_ACTIVATION = 0, LEFT_SHIFT = 20 };

struct add_input {
    const int8_t *data;
    int32_t multiplier;
    int16_t zero_point;
    int8_t shift;
};

struct add {
    struct step step;
    int8_t *output;
    uint32_t count;
    struct add_input inputs[2];
    int32_t multiplier;
    int16_t zero_point;
    int8_t shift, low, high;
};

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    if (a->rank != b->rank) {
        return false;
    }
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    return true;
}

static int make_scales(struct load *load, const struct tensor *inputs, const struct tensor *output, struct add *add)
{
    float larger = inputs[0].scale > inputs[1].scale ? inputs[0].scale : inputs[1].scale;
    double twice = 2 * (double)larger;
    struct quantize_scale scale;

    for (int i = 0; i < 2; i++) {
        quantize_from_real((double)inputs[i].scale / twice, &scale); /* at most a half, so it always fits */
        add->inputs[i].multiplier = scale.multiplier;
        add->inputs[i].shift = scale.shift;
        add->inputs[i].zero_point = (int16_t)inputs[i].zero_point;
    }
    if (!quantize_from_real(twice / ((1 << LEFT_SHIFT) * (double)output->scale), &scale) || scale.shift > 0) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "scales of inputs and output are too far apart");
    }
    add->multiplier = scale.multiplier;
    add->shift = scale.shift;
    add->zero_point = (int16_t)output->zero_point;
    return ENGINE_OK;
}

static void add_run(const struct step *step);

int add_prepare(struct load *load)
{
    struct tensor inputs[2], output;
    struct add add = {.step = {NULL, 0, 0}};
    int status;

    if ((status = load_input(load, 0, "first input", &inputs[0])) != ENGINE_OK ||
        (status = load_input(load, 1, "second input", &inputs[1])) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_int8(load, &inputs[0], "first input")) != ENGINE_OK ||
        (status = common_check_int8(load, &inputs[1], "second input")) != ENGINE_OK ||
        (status = common_check_int8(load, &output, "output")) != ENGINE_OK) {
        return status;
    }
    if (!same_shape(&inputs[0], &inputs[1]) || !same_shape(&inputs[0], &output)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "shapes differ; broadcasting is not supported");
    }
    if ((status = make_scales(load, inputs, &output, &add)) != ENGINE_OK ||
        (status = common_make_range(
             load, &output,
             reader_i8(&load->graph.reader, &load->operation.options, OPTION_ACTIVATION, ACTIVATION_NONE), &add.low,
             &add.high)) != ENGINE_OK) {
        return status;
    }
    add.inputs[0].data = load_source(load, &inputs[0]);
    add.inputs[1].data = load_source(load, &inputs[1]);
    add.output = load_target(load, &output);
    add.count = output.elements;
    add.step.run = add_run;
    return load_keep(load, &add.step, sizeof add);
}

static inline int32_t rescale(const struct add_input *input, uint32_t i)
{
    int32_t value = (input->data[i] - input->zero_point) * (1 << LEFT_SHIFT);

    return quantize_shift_right(quantize_high_mul(value, input->multiplier), -input->shift);
}

static void add_run(const struct step *step)
{
    const struct add *add = (const struct add *)(const void *)step;
    int8_t *output = add->output;

    for (uint32_t i = 0; i < add->count; i++) {
        int32_t sum = rescale(&add->inputs[0], i) + rescale(&add->inputs[1], i);

        sum = quantize_shift_right(quantize_high_mul(sum, add->multiplier), -add->shift);
        output[i] = quantize_to_int8(sum, add->zero_point, add->low, add->high);
    }
}
