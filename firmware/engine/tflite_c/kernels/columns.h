/* SPDX-License-Identifier: Apache-2.0 */
/* The inner part of CONV_2D and FULLY_CONNECTED: a few columns of inputs, widened once, against every filter.
 *
 * A column is the `depth` inputs that one output position sees, in the order of a filter's weights. How columns lie in
 * memory is the core's own: columns_dsp.c (Cortex-M4, M7, M33), columns_mve.c (M55) and columns_scalar.c (any other)
 * each implement all of this header, and the compiler's target picks one of them.
 */
#ifndef TJ_TFLITE_COLUMNS_H
#define TJ_TFLITE_COLUMNS_H

#include "core.h"
#include "requantize.h"

enum {
    COLUMNS_AT_ONCE = 4,               /* positions that share the loading of a weight */
    COLUMNS_PIECE = CORE_MVE ? 16 : 4, /* pieces of a column are a multiple of this, but for the last one */
    COLUMNS_OVERREAD = CORE_MVE ? 0
                                : 3 /* bytes behind the last weight that may be read when depth is no such multiple */
};

struct columns_filters {
    const int8_t *weights; /* filter after filter, `depth` each */
    const struct common_output *out;
    const struct requantize *scales; /* one for each filter; NULL, when each filter is used only once: `out` tells */
    uint32_t depth, filters;
    int32_t zero_point; /* of the inputs */
    bool quick;         /* whether all scales are such as the core likes them */
};

/* Once for each run, with all else set: fill the table of scales, what is in them being the core's own, and `quick`. */
void columns_start(struct columns_filters *filters, struct requantize *scales);

/* `lanes` columns side by side: 1 or COLUMNS_AT_ONCE. */
uint32_t columns_bytes(uint32_t depth, uint32_t lanes);

/* Fill a piece of column `lane` from index `at` on: with `count` inputs, or with zero points (the padding). The last
 * piece, up to `depth`, also fills what the core needs behind it. columns: aligned to 4 bytes. */
void columns_put(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 const int8_t *inputs, uint32_t count);
void columns_pad(const struct columns_filters *filters, void *columns, uint32_t lanes, uint32_t lane, uint32_t at,
                 uint32_t count);

/* Every filter with the first `count` <= lanes columns. Output: `count` rows of `filters` values, one row after the
 * other. With several lanes, count > 1 and scales must be there. */
void columns_multiply(const struct columns_filters *filters, const void *columns, uint32_t lanes, uint32_t count,
                      int8_t *output);

/* One row of `depth` inputs as they are, for a FULLY_CONNECTED: without a column, where that is as quick, or where its
 * memory would cost more than it is worth. Output: `filters` values. */
bool columns_row_is_direct(uint32_t depth);
void columns_multiply_row(const struct columns_filters *filters, const int8_t *inputs, int8_t *output);

/* While loading: whether these filters can be multiplied here. */
bool columns_fit(const struct load *load, const struct tensor *weights, uint32_t depth);

#endif
