/* SPDX-License-Identifier: Apache-2.0 */
/* What columns_*.c have in common. */
#include "columns.h"

bool columns_fit(const struct load *load, const struct tensor *weights, uint32_t depth)
{
    const uint32_t overread = depth % COLUMNS_PIECE != 0 ? COLUMNS_OVERREAD : 0;

    return depth <= REQUANTIZE_MAX_PRODUCTS && load_slack(load, weights) >= overread;
}

#if !CORE_MVE

void columns_start(struct columns_filters *filters, struct requantize *scales)
{
    filters->scales = scales;
    filters->quick = requantize_table(filters->out, filters->filters, scales);
}

#endif
