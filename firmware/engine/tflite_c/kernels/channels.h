/* SPDX-License-Identifier: Apache-2.0 */
/* The inner part of DEPTHWISE_CONV_2D with one filter for each channel: all channels of one output position.
 *
 * channels_dsp.c, channels_mve.c and channels_scalar.c each implement all of this header; the compiler's target picks
 * one of them.
 */
#ifndef TJ_TFLITE_CHANNELS_H
#define TJ_TFLITE_CHANNELS_H

#include "requantize.h"
#include "window.h"

enum { CHANNELS_MAX_ROWS = 16 }; /* of taps */

/* An output row being computed. */
struct channels_row {
    const struct window *conv;
    void *scratch;                         /* channels_scratch_bytes(), filled by channels_start() */
    const int8_t *rows[CHANNELS_MAX_ROWS]; /* the input row under each row of taps that lies inside the image */
    uint32_t count;                        /* of them; 0 is possible */
    uint32_t first;                        /* the first one's row of taps */
    bool quick;                            /* the scales of all channels: see requantize.h */
};

/* While loading: whether this core can do it quickly. */
bool channels_fit(const struct window *conv);

/* Whether positions at the edge are so much slower than others that padded copies of the rows are worth their memory:
 * then every tap is inside. */
bool channels_want_padding(const struct window *conv);

/* Aligned to 4 bytes; may be 0. */
uint32_t channels_scratch_bytes(const struct window *conv);

/* Once for each run: prepare the scratch memory. Returns what goes to channels_row.quick. */
bool channels_start(const struct window *conv, void *scratch);

/* One position: `x` are its taps along a row. Output: a value for each channel. */
void channels_compute(const struct channels_row *row, const struct common_taps *x, int8_t *output);

#endif
