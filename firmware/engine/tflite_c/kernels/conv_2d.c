/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D: int8 input and weights (output channel, row, column, input channel), int32 bias. This is the plain way: what
 * the operator means, and what conv_2d_columns.c is held against. */
#include "conv_2d.h"
#include "kernels.h"

enum { OPTION_PADDING = 0, OPTION_STRIDE_W, OPTION_STRIDE_H, OPTION_ACTIVATION, OPTION_DILATION_W, OPTION_DILATION_H };

static void conv_2d_run(const struct step *step);

int conv_2d_prepare(struct load *load)
{
    static const struct window_options options = {.padding = OPTION_PADDING,
                                                  .stride_w = OPTION_STRIDE_W,
                                                  .stride_h = OPTION_STRIDE_H,
                                                  .activation = OPTION_ACTIVATION,
                                                  .dilation_w = OPTION_DILATION_W,
                                                  .dilation_h = OPTION_DILATION_H,
                                                  .channel_dimension = 0};
    struct window_tensors tensors;
    struct conv_2d conv = {.scratch = NULL};
    int status = window_prepare(load, &options, &tensors, &conv.window);

    if (status != ENGINE_OK) {
        return status;
    }
    if (tensors.weights.dims[3] != tensors.input.dims[3]) {
        /* Grouped convolution: TFLM has it, no model of ours does. */
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "weights' input channels differ from the input's");
    }
    conv.window.step.run = conv_2d_run;
    if (!conv_2d_columns_choose(load, &tensors.weights, &conv)) {
        conv.window.kept = NULL;
    }
    return load_keep(load, &conv.window.step, sizeof conv);
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
static void run_pixel(const struct window *conv, const struct common_taps *y, const struct common_taps *x,
                      int8_t *output)
{
    const int32_t channels = conv->in_channels;
    const int32_t input_row = conv->y.dilation * conv->x.in * channels;
    const int32_t input_tap = conv->x.dilation * channels;
    const int8_t *corner = conv->input + (y->from * conv->x.in + x->from) * channels;

    for (uint32_t c = 0; c < conv->out_channels; c++) {
        int32_t sum = 0;

        for (int32_t k = y->first; k < y->end; k++) {
            const int8_t *input = corner + (k - y->first) * input_row;
            const int8_t *weights =
                conv->weights + (((int32_t)c * conv->y.taps + k) * conv->x.taps + x->first) * channels;

            for (int32_t i = 0; i < x->end - x->first; i++) {
                sum += dot(input + i * input_tap, weights + i * channels, channels, conv->input_zero_point);
            }
        }
        output[c] = common_requantize(&conv->out, sum, c);
    }
}

static void conv_2d_run(const struct step *step)
{
    const struct window *conv = (const struct window *)(const void *)step;
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
