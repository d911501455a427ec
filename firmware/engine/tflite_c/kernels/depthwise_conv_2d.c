/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: int8 input and weights (1, row, column, output channel), int32 bias. Output channel c sees input
 * channel c / depth multiplier only. This is the plain way: what the operator means, and what
 * depthwise_conv_2d_channels.c is held against. */
#include "depthwise_conv_2d.h"
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

static void depthwise_conv_2d_run(const struct step *step);

int depthwise_conv_2d_prepare(struct load *load)
{
    static const struct window_options options = {.padding = OPTION_PADDING,
                                                  .stride_w = OPTION_STRIDE_W,
                                                  .stride_h = OPTION_STRIDE_H,
                                                  .activation = OPTION_ACTIVATION,
                                                  .dilation_w = OPTION_DILATION_W,
                                                  .dilation_h = OPTION_DILATION_H,
                                                  .channel_dimension = 3};
    const int32_t depth_multiplier =
        reader_i32(&load->graph.reader, &load->operation.options, OPTION_DEPTH_MULTIPLIER, 0);
    struct window_tensors tensors;
    struct depthwise_conv_2d conv = {.scratch = NULL};
    int status = window_prepare(load, &options, &tensors, &conv.window);

    if (status != ENGINE_OK) {
        return status;
    }
    if (tensors.weights.dims[0] != 1) {
        return load_refuse(load, ENGINE_E_MODEL, "weights' first dimension is not 1");
    }
    if (depth_multiplier < 1 || conv.window.out_channels % conv.window.in_channels != 0 ||
        conv.window.out_channels / conv.window.in_channels != depth_multiplier) {
        return load_refuse(load, ENGINE_E_MODEL, "output channels are not input channels * depth multiplier");
    }
    conv.depth_multiplier = (uint16_t)depth_multiplier;
    conv.window.step.run = depthwise_conv_2d_run;
    if (!depthwise_conv_2d_square_choose(load, &conv)) {
        (void)depthwise_conv_2d_channels_choose(load, &conv);
    }
    return load_keep(load, &conv.window.step, sizeof conv);
}

/* One output pixel: all its channels. */
static void run_pixel(const struct depthwise_conv_2d *record, const struct common_taps *y, const struct common_taps *x,
                      int8_t *output)
{
    const struct window *conv = &record->window;
    const int32_t in_channels = conv->in_channels;
    const int32_t out_channels = conv->out_channels;
    const int32_t input_step = conv->x.dilation * in_channels;
    const uint32_t input_row = (uint32_t)(conv->y.dilation * conv->x.in * in_channels);
    const uint32_t weight_row = (uint32_t)(conv->x.taps * out_channels);
    const int32_t columns = x->end - x->first;
    const int32_t zero_point = conv->input_zero_point;
    const int8_t *weights = conv->weights + (uint32_t)y->first * weight_row + x->first * out_channels;
    const int8_t *input = conv->input + (y->from * conv->x.in + x->from) * in_channels;
    uint32_t channel = 0;

    for (int32_t c = 0; c < in_channels; c++) {
        for (int32_t m = 0; m < record->depth_multiplier; m++) {
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
    const struct depthwise_conv_2d *record = (const struct depthwise_conv_2d *)(const void *)step;
    const struct window *conv = &record->window;
    int8_t *output = conv->output;

    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        struct common_taps y = common_taps_at(&conv->y, oy);

        for (int32_t ox = 0; ox < conv->x.out; ox++) {
            struct common_taps x = common_taps_at(&conv->x, ox);

            run_pixel(record, &y, &x, output);
            output += conv->out_channels;
        }
    }
}
