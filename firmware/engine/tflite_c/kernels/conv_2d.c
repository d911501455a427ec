/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D: int8 input and weights (output channel, row, column, input channel), int32 bias. */
#include "common.h"
#include "kernels.h"

enum { OPTION_PADDING = 0, OPTION_STRIDE_W, OPTION_STRIDE_H, OPTION_ACTIVATION, OPTION_DILATION_W, OPTION_DILATION_H };

struct conv_2d {
    struct step step;
    const int8_t *input;
    const int8_t *weights;
    int8_t *output;
    struct common_output out;
    struct common_axis y, x;
    uint16_t in_channels, out_channels;
    int16_t input_zero_point;
};

/* Sizes that input, weights and output must agree on; the axes are checked apart. */
static int check_shapes(struct load *load, const struct tensor *input, const struct tensor *weights,
                        const struct tensor *output)
{
    if (weights->dims[3] != input->dims[3]) {
        /* Grouped convolution: TFLM has it, no model of ours does. */
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "weights' input channels differ from the input's");
    }
    if (weights->dims[0] != output->dims[3]) {
        return load_refuse(load, ENGINE_E_MODEL, "weights' output channels differ from the output's");
    }
    if (weights->elements / (uint32_t)weights->dims[0] > COMMON_MAX_PRODUCTS) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "over 65535 products per output");
    }
    return ENGINE_OK;
}

static void conv_2d_run(const struct step *step);

int conv_2d_prepare(struct load *load)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *options = &load->operation.options;
    struct tensor input, weights, output;
    struct conv_2d conv = {.step = {NULL, 0, 0}};
    struct common_window window;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_image(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_image(load, &output, "output")) != ENGINE_OK ||
        (status = common_read_weights(load, 4, &weights)) != ENGINE_OK ||
        (status = check_shapes(load, &input, &weights, &output)) != ENGINE_OK) {
        return status;
    }
    window.padding = reader_i8(reader, options, OPTION_PADDING, PADDING_SAME);
    window.stride_h = reader_i32(reader, options, OPTION_STRIDE_H, 0);
    window.stride_w = reader_i32(reader, options, OPTION_STRIDE_W, 0);
    window.dilation_h = reader_i32(reader, options, OPTION_DILATION_H, 1);
    window.dilation_w = reader_i32(reader, options, OPTION_DILATION_W, 1);
    window.taps_h = weights.dims[1];
    window.taps_w = weights.dims[2];
    if ((status = common_make_axes(load, &window, &input, &output, &conv.y, &conv.x)) != ENGINE_OK ||
        (status = common_make_output(load, &input, &weights, &output, 0,
                                     reader_i8(reader, options, OPTION_ACTIVATION, ACTIVATION_NONE), &conv.out)) !=
            ENGINE_OK) {
        return status;
    }
    conv.input = load_source(load, &input);
    conv.weights = load_source(load, &weights);
    conv.output = load_target(load, &output);
    conv.in_channels = (uint16_t)input.dims[3];
    conv.out_channels = (uint16_t)output.dims[3];
    conv.input_zero_point = (int16_t)input.zero_point;
    conv.step.run = conv_2d_run;
    return load_keep(load, &conv.step, sizeof conv);
}

static int32_t dot(const int8_t *input, const int8_t *weights, int32_t count, int32_t zero_point)
{
    int32_t sum = 0;

    for (int32_t i = 0; i < count; i++) {
        sum += weights[i] * (input[i] - zero_point);
    }
    return sum;
}

/* One output pixel: all its channels. */
static void run_pixel(const struct conv_2d *conv, const struct common_taps *y, const struct common_taps *x,
                      int8_t *output)
{
    const int32_t channels = conv->in_channels;
    const uint32_t weight_row = (uint32_t)(conv->x.taps * channels);
    const uint32_t input_row = (uint32_t)(conv->y.dilation * conv->x.in * channels);
    /* Without dilation the taps of a row lie side by side in both input and weights: one long run. */
    const bool together = conv->x.dilation == 1;
    const int32_t run = together ? (x->end - x->first) * channels : channels;
    const int32_t runs = together ? 1 : x->end - x->first;
    const int8_t *input = conv->input + (y->from * conv->x.in + x->from) * channels;
    uint32_t weights = (uint32_t)y->first * weight_row + (uint32_t)(x->first * channels);

    for (uint32_t c = 0; c < conv->out_channels; c++) {
        uint32_t in_at = 0;
        uint32_t w_at = weights;
        int32_t sum = 0;

        for (int32_t k = y->first; k < y->end; k++) {
            for (int32_t i = 0; i < runs; i++) {
                sum += dot(input + in_at + i * conv->x.dilation * channels, conv->weights + w_at + i * channels, run,
                           conv->input_zero_point);
            }
            in_at += input_row;
            w_at += weight_row;
        }
        output[c] = common_requantize(&conv->out, sum, c);
        weights += conv->y.taps * weight_row;
    }
}

static void conv_2d_run(const struct step *step)
{
    const struct conv_2d *conv = (const struct conv_2d *)(const void *)step;
    int8_t *output = conv->output;

    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        struct common_taps y = common_taps_at(&conv->y, oy);

        for (int32_t ox = 0; ox < conv->x.out; ox++) {
            struct common_taps x = common_taps_at(&conv->x, ox);

            run_pixel(conv, &y, &x, output);
            output += conv->out_channels;
        }
    }
}
