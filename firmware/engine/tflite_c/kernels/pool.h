/* SPDX-License-Identifier: Apache-2.0 */
/* What AVERAGE_POOL_2D and MAX_POOL_2D share. Taps outside the image count for nothing. */
#ifndef TJ_TFLITE_KERNELS_POOL_H
#define TJ_TFLITE_KERNELS_POOL_H

#include "common.h"

struct pool {
    struct step step;
    const int8_t *input;
    int8_t *output;
    struct common_axis y, x;
    uint16_t channels;
    int8_t low, high;
};

/* Check the operator and fill in the record, but for its run. Returns 0, or a negative status with the error written.
 */
int pool_prepare(struct load *load, struct pool *pool);

/* Part of the image: the first value of channel 0, and sizes of at least 1 each: with SAME or VALID every window meets
 * the image. */
struct pool_window {
    const int8_t *input;
    int32_t rows, columns;
};

static inline struct pool_window pool_window_at(const struct pool *pool, int32_t oy, int32_t ox)
{
    struct common_taps y = common_taps_at(&pool->y, oy);
    struct common_taps x = common_taps_at(&pool->x, ox);
    struct pool_window window = {pool->input + (y.from * pool->x.in + x.from) * pool->channels, y.end - y.first,
                                 x.end - x.first};

    return window;
}

#endif
