/* SPDX-License-Identifier: Apache-2.0 */
/* QUANTIZE, from float32, int32 or another int8 quantization to int8, and DEQUANTIZE, from int8 to float32. */
#include "common.h"
#include "kernels.h"
#include "operands.h"

struct conversion {
    struct step step;
    const void *input;
    void *output;
    uint32_t count;
    float scale;        /* of the int8 side, if the other one is float32 */
    int32_t multiplier; /* between two integer sides */
    int32_t input_zero_point;
    int16_t zero_point;
    int8_t shift;
};

/* As in TFLM, but for values that do not fit in its int32 and NaN, which are undefined there: they become the nearest
 * int8 and -128. */
static void quantize_run(const struct step *step)
{
    const struct conversion *conversion = (const struct conversion *)(const void *)step;
    const float *input = conversion->input;
    int8_t *output = conversion->output;

    for (uint32_t i = 0; i < conversion->count; i++) {
        output[i] = quantize_from_float(input[i] / conversion->scale, conversion->zero_point);
    }
}

static inline int8_t requantize(const struct conversion *conversion, int32_t q)
{
    int32_t value = (int32_t)((uint32_t)q - (uint32_t)conversion->input_zero_point);

    value = quantize_multiply(value, conversion->multiplier, conversion->shift);
    return quantize_to_int8(value, conversion->zero_point, INT8_MIN, INT8_MAX);
}

static void requantize_run(const struct step *step)
{
    const struct conversion *conversion = (const struct conversion *)(const void *)step;
    const int8_t *input = conversion->input;
    int8_t *output = conversion->output;

    for (uint32_t i = 0; i < conversion->count; i++) {
        output[i] = requantize(conversion, input[i]);
    }
}

static void requantize_int32_run(const struct step *step)
{
    const struct conversion *conversion = (const struct conversion *)(const void *)step;
    const int32_t *input = conversion->input;
    int8_t *output = conversion->output;

    for (uint32_t i = 0; i < conversion->count; i++) {
        output[i] = requantize(conversion, input[i]);
    }
}

/* TFLM multiplies in double, where the product is exact, and rounds it to float: so does one multiplication in float.
 */
static void dequantize_run(const struct step *step)
{
    const struct conversion *conversion = (const struct conversion *)(const void *)step;
    const int8_t *input = conversion->input;
    float *output = conversion->output;

    for (uint32_t i = 0; i < conversion->count; i++) {
        output[i] = conversion->scale * (float)(input[i] - conversion->zero_point);
    }
}

/* `quantized` is one of them. */
static int check(struct load *load, const struct tensor *input, const struct tensor *output,
                 const struct tensor *quantized, const char *what)
{
    int status = common_check_int8(load, quantized, what);

    if (status != ENGINE_OK) {
        return status;
    }
    if (!operands_same_shape(input, output)) {
        return load_refuse(load, ENGINE_E_MODEL, "shapes of input and output differ");
    }
    if (input->constant != NULL) { /* it need not be aligned in the file */
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "input is constant");
    }
    return ENGINE_OK;
}

static int keep(struct load *load, const struct tensor *input, const struct tensor *output, struct conversion *record)
{
    record->input = load_source(load, input);
    record->output = load_target(load, output);
    record->count = output->elements;
    return load_keep(load, &record->step, sizeof *record);
}

static int requantize_prepare(struct load *load, const struct tensor *input, const struct tensor *output,
                              struct conversion *record)
{
    struct quantize_scale scale;

    if (input->scales.count != 1 || input->scale <= 0.0f) {
        return load_refuse(load, ENGINE_E_MODEL, "input has not one scale > 0");
    }
    if (!quantize_from_real((double)input->scale / (double)output->scale, &scale)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "scales of input and output are too far apart");
    }
    (void)load_in_place(load);
    record->multiplier = scale.multiplier;
    record->shift = scale.shift;
    record->input_zero_point = input->zero_point;
    return keep(load, input, output, record);
}

int quantize_prepare(struct load *load)
{
    struct tensor input, output;
    struct conversion record = {.step = {NULL, 0, 0}};
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = check(load, &input, &output, &output, "output")) != ENGINE_OK) {
        return status;
    }
    record.scale = output.scale;
    record.zero_point = (int16_t)output.zero_point;
    switch (input.type) {
    case TYPE_FLOAT32:
        record.step.run = quantize_run;
        return keep(load, &input, &output, &record);
    case TYPE_INT32:
        record.step.run = requantize_int32_run;
        return requantize_prepare(load, &input, &output, &record);
    case TYPE_INT8:
        record.step.run = requantize_run;
        return requantize_prepare(load, &input, &output, &record);
    default:
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "input is neither FLOAT32, INT32 nor INT8");
    }
}

int dequantize_prepare(struct load *load)
{
    struct tensor input, output;
    struct conversion record = {.step = {dequantize_run, 0, 0}};
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK) {
        return status;
    }
    if (output.type != TYPE_FLOAT32) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "output is not FLOAT32");
    }
    if ((status = check(load, &input, &output, &input, "input")) != ENGINE_OK) {
        return status;
    }
    record.scale = input.scale;
    record.zero_point = (int16_t)input.zero_point;
    return keep(load, &input, &output, &record);
}
