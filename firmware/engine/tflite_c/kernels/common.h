/* SPDX-License-Identifier: Apache-2.0 */
/* Checks and set-up that several kernels share. Every function returns 0, or a negative status with the error written
 * in the name of the operator being prepared. */
#ifndef TJ_TFLITE_KERNELS_COMMON_H
#define TJ_TFLITE_KERNELS_COMMON_H

#include "../kernel.h"
#include "../quantize.h"
#include "../schema.h"
#include "core.h"

#include <string.h>

/* Products in one accumulator, at most: this many of -128 * 255 still fit in 31 bits. */
enum { COMMON_MAX_PRODUCTS = 65535 };

/* The limits of a window's sizes, which leave every index computed from them far from overflowing int32_t. */
enum { COMMON_MAX_SIZE = 32767 };

/* One axis of a sliding window. Input index of tap k at output index o: o * stride - pad + k * dilation. */
struct common_axis {
    uint16_t in, out, taps, stride, dilation, pad;
};

/* Which taps of an axis lie inside the input at one output index: first <= k < end, the first at input index `from`.
 * None: all 0. */
struct common_taps {
    int32_t first, end, from;
};

/* How accumulators become int8. multipliers and shifts: one each, or one per channel. */
struct common_output {
    const int32_t *bias; /* NULL: none */
    const int32_t *multipliers;
    const int8_t *shifts;
    int16_t zero_point;
    int8_t low, high;
    uint8_t per_channel; /* 0 or 1: what a channel's number is multiplied by to index the tables */
};

static inline struct common_taps common_taps_at(const struct common_axis *axis, int32_t index)
{
    int32_t origin = index * axis->stride - axis->pad;
    int32_t room = axis->in - origin; /* > 0 */
    struct common_taps taps = {0, axis->taps, origin};

    if (axis->dilation == 1) { /* spares the divisions nearly always */
        taps.first = origin < 0 ? -origin : 0;
        taps.end = room < axis->taps ? room : axis->taps;
    } else {
        taps.first = origin < 0 ? (-origin + axis->dilation - 1) / axis->dilation : 0;
        room = (room + axis->dilation - 1) / axis->dilation;
        taps.end = room < axis->taps ? room : axis->taps;
    }
    taps.from = origin + taps.first * axis->dilation;
    if (taps.first >= taps.end) { /* the input lies between two dilated taps */
        taps.first = taps.end = taps.from = 0;
    }
    return taps;
}

/* memcpy() for a handful of bytes, or where the C library's is one for small code and goes byte by byte. */
static inline void common_copy(int8_t *to, const int8_t *from, uint32_t bytes)
{
#if CORE_MVE
    __asm volatile("wlstp.8 lr, %[bytes], 2f\n\t"
                   "1:\n\t"
                   "vldrb.8 q0, [%[from]], #16\n\t"
                   "vstrb.8 q0, [%[to]], #16\n\t"
                   "letp lr, 1b\n\t"
                   "2:\n\t"
                   : [from] "+r"(from), [to] "+r"(to)
                   : [bytes] "r"(bytes)
                   : "lr", "q0", "memory");
#else
    for (; bytes >= 4; bytes -= 4) {
        memcpy(to, from, 4); /* a load and a store */
        to += 4;
        from += 4;
    }
    for (; bytes != 0; bytes--) {
        *to++ = *from++;
    }
#endif
}

static inline int8_t common_requantize(const struct common_output *output, int32_t accumulator, uint32_t channel)
{
    uint32_t at = output->per_channel * channel;

    if (output->bias != NULL) {
        accumulator = (int32_t)((uint32_t)accumulator + (uint32_t)output->bias[channel]);
    }
    accumulator = quantize_multiply(accumulator, output->multipliers[at], output->shifts[at]);
    return quantize_to_int8(accumulator, output->zero_point, output->low, output->high);
}

/* Options shared by the windowed operators, as read from the model. */
struct common_window {
    int32_t padding, stride_h, stride_w, dilation_h, dilation_w, taps_h, taps_w;
};

/* Type int8 with one scale > 0 and a zero point in int8's range. `what` is "input", "output", ... */
int common_check_int8(struct load *load, const struct tensor *tensor, const char *what);
/* int8, four dimensions, batch 1, sizes within COMMON_MAX_SIZE. */
int common_check_image(struct load *load, const struct tensor *tensor, const char *what);
/* Compute both axes and check them against the shapes of input and output. */
int common_make_axes(struct load *load, const struct common_window *window, const struct tensor *input,
                     const struct tensor *output, struct common_axis *y, struct common_axis *x);
/* The int8 range that a fused activation leaves. */
int common_make_range(struct load *load, const struct tensor *output, int32_t activation, int8_t *low, int8_t *high);
/* Read the weights in input slot 1: a constant int8 tensor of `rank` dimensions. */
int common_read_weights(struct load *load, int32_t rank, struct tensor *weights);
/* Everything in common_output, for the output channels along the weights' dimension `dimension`; the bias is in input
 * slot 2. The scales and zero points of the weights, which must be 0, are looked at while there is room for their
 * table. */
int common_make_output(struct load *load, const struct tensor *input, const struct tensor *weights,
                       const struct tensor *output, int32_t dimension, int32_t activation, struct common_output *out);

#endif
