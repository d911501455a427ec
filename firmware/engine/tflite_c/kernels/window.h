/* SPDX-License-Identifier: Apache-2.0 */
/* What CONV_2D and DEPTHWISE_CONV_2D share: an int8 image under a sliding window, and how to read it while the output
 * is being written over it. */
#ifndef TJ_TFLITE_WINDOW_H
#define TJ_TFLITE_WINDOW_H

#include "common.h"

struct window {
    struct step step;
    const int8_t *input;
    const int8_t *weights;
    int8_t *output;
    /* Not NULL: the output lies over the input, and the rows that are still needed are kept here. */
    int8_t *kept;
    struct common_output out;
    struct common_axis y, x;
    uint16_t in_channels, out_channels;
    int16_t input_zero_point;
};

/* The tensors of an operator with a window. */
struct window_tensors {
    struct tensor input, weights, output;
};

/* Where an operator's options are, and which dimension of its weights are the output channels. */
struct window_options {
    uint8_t padding, stride_w, stride_h, activation, dilation_w, dilation_h;
    int8_t channel_dimension;
};

/* Everything but the weights' shape, which differs. Reads the tensors, checks them and fills in the record. */
int window_prepare(struct load *load, const struct window_options *options, struct window_tensors *tensors,
                   struct window *window);

/* Bytes of `kept` for an output written over the input; 0 if no row needs to be kept. */
uint32_t window_kept_bytes(const struct window *window);

/* Whether the output has the input's shape and position (x, y) needs nothing of input rows further up than the padding:
 * then it may be written over the input. */
bool window_is_in_place(const struct window *window);

/* Before output row `oy` is computed: keep the input row that it is about to overwrite. */
void window_keep_row(const struct window *window, int32_t oy);

/* Values that the window sees beyond the end of an axis; dilation 1. */
static inline uint32_t window_pad_behind(const struct common_axis *axis)
{
    const int32_t seen = (axis->out - 1) * axis->stride + axis->taps - axis->pad;

    return seen > axis->in ? (uint32_t)(seen - axis->in) : 0;
}

/* Bytes of an input row with its padding, at most, to make copies of: far more than any board has, and a few times as
 * much is still far from overflowing. */
enum { WINDOW_MAX_ROW_BYTES = 1 << 24 };

/* A row with its padding; dilation 1. */
static inline uint32_t window_padded_width(const struct window *window)
{
    return window->x.pad + window->x.in + window_pad_behind(&window->x);
}

/* Input row `iy`, while output row `oy` is being computed. */
static inline const int8_t *window_row(const struct window *window, int32_t iy, int32_t oy)
{
    const int32_t bytes = window->x.in * window->in_channels;

    if (window->kept != NULL && iy <= oy) {
        return window->kept + iy % (window->y.pad + 1) * bytes;
    }
    return window->input + iy * bytes;
}

#endif
