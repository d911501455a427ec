/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: int8 input and weights (1, row, column, output channel), int32 bias. Output channel c sees input
 * channel c / depth multiplier only. */
#include "common.h"
#include "kernels.h"

enum {
    OPTION_PADDING = 0,
    OPTION_STRIDE_W,
    OPTION_STRIDE_H,
    OPTION_DEPTH_MULTIPLIER,
    OPTION_ACTIVATION,
    OPTION_DILATION_W,
    OPTION_DILATION_H
};

struct depthwise_conv_2d {
    struct step step;
    const int8_t *input;
    const int8_t *weights;
    int8_t *output;
    struct common_output out;
    struct common_axis y, x;
    uint16_t in_channels, depth_multiplier;
    int16_t input_zero_point;
};

static int check_shapes(struct load *load, const struct tensor *input, const struct tensor *weights,
                        const struct tensor *output, int32_t depth_multiplier)
{
    if (weights->dims[0] != 1) {
        return load_refuse(load, ENGINE_E_MODEL, "weights' first dimension is not 1");
    }
    if (weights->dims[3] != output->dims[3]) {
        return load_refuse(load, ENGINE_E_MODEL, "weights' output channels differ from the output's");
    }
    if (depth_multiplier < 1 || output->dims[3] % input->dims[3] != 0 ||
        output->dims[3] / input->dims[3] != depth_multiplier) {
        return load_refuse(load, ENGINE_E_MODEL, "output channels are not input channels * depth multiplier");
    }
    if (weights->elements / (uint32_t)weights->dims[3] > COMMON_MAX_PRODUCTS) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "over 65535 products per output");
    }
    return ENGINE_OK;
}

static void depthwise_conv_2d_run(const struct step *step);

int depthwise_conv_2d_prepare(struct load *load)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *options = &load->operation.options;
    int32_t depth_multiplier = reader_i32(reader, options, OPTION_DEPTH_MULTIPLIER, 0);
    struct tensor input, weights, output;
    struct depthwise_conv_2d conv = {.step = {NULL, 0, 0}};
    struct common_window window;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_image(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_image(load, &output, "output")) != ENGINE_OK ||
        (status = common_read_weights(load, 4, &weights)) != ENGINE_OK ||
        (status = check_shapes(load, &input, &weights, &output, depth_multiplier)) != ENGINE_OK) {
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
        (status = common_make_output(load, &input, &weights, &output, 3,
                                     reader_i8(reader, options, OPTION_ACTIVATION, ACTIVATION_NONE), &conv.out)) !=
            ENGINE_OK) {
        return status;
    }
    conv.input = load_source(load, &input);
    conv.weights = load_source(load, &weights);
    conv.output = load_target(load, &output);
    conv.in_channels = (uint16_t)input.dims[3];
    conv.depth_multiplier = (uint16_t)depth_multiplier;
    conv.input_zero_point = (int16_t)input.zero_point;
    conv.step.run = depthwise_conv_2d_run;
    return load_keep(load, &conv.step, sizeof conv);
}

/* One output pixel: all its channels. */
static void run_pixel(const struct depthwise_conv_2d *conv, const struct common_taps *y, const struct common_taps *x,
                      int8_t *output)
{
    const int32_t in_channels = conv->in_channels;
    const int32_t out_channels = in_channels * conv->depth_multiplier;
    const int32_t input_step = conv->x.dilation * in_channels;
    const uint32_t input_row = (uint32_t)(conv->y.dilation * conv->x.in * in_channels);
    const uint32_t weight_row = (uint32_t)(conv->x.taps * out_channels);
    const int32_t columns = x->end - x->first;
    const int32_t zero_point = conv->input_zero_point;
    const int8_t *weights = conv->weights + (uint32_t)y->first * weight_row + x->first * out_channels;
    const int8_t *input = conv->input + (y->from * conv->x.in + x->from) * in_channels;
    uint32_t channel = 0;

    for (int32_t c = 0; c < in_channels; c++) {
        for (int32_t m = 0; m < conv->depth_multiplier; m++) {
            uint32_t in_at = (uint32_t)c;
            uint32_t w_at = channel;
            int32_t sum = 0;

            for (int32_t k = y->first; k < y->end; k++) {
                const int8_t *in = input + in_at;
                const int8_t *w = weights + w_at;

                for (int32_t i = 0; i < columns; i++) {
                    sum += w[i * out_channels] * (in[i * input_step] - zero_point);
                }
                in_at += input_row;
                w_at += weight_row;
            }
            output[channel] = common_requantize(&conv->out, sum, channel);
            channel++;
        }
    }
}

static void depthwise_conv_2d_run(const struct step *step)
{
    const struct depthwise_conv_2d *conv = (const struct depthwise_conv_2d *)(const void *)step;
    int8_t *output = conv->output;

    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        struct common_taps y = common_taps_at(&conv->y, oy);

        for (int32_t ox = 0; ox < conv->x.out; ox++) {
            struct common_taps x = common_taps_at(&conv->x, ox);

            run_pixel(conv, &y, &x, output);
            output += conv->in_channels * conv->depth_multiplier;
        }
    }
}
