/* SPDX-License-Identifier: Apache-2.0 */
/* What columns_*.c have in common. */
#include "columns.h"

bool columns_fit(const struct load *load, const struct tensor *weights, uint32_t depth)
{
    return depth <= REQUANTIZE_MAX_PRODUCTS &&
           (depth % COLUMNS_PIECE == 0 || load_slack(load, weights) >= COLUMNS_OVERREAD);
}
