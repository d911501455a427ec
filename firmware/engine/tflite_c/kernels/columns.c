/* SPDX-License-Identifier: Apache-2.0 */
/* What columns_*.c have in common. */
#include "columns.h"

bool columns_fit(const struct load *load, const struct tensor *weights, uint32_t depth, uint32_t filters,
                 const struct common_output *out)
{
    const int32_t limit = 1 << 29;

    if (depth > COLUMNS_MAX_DEPTH || (depth % COLUMNS_PIECE != 0 && load_slack(load, weights) < COLUMNS_OVERREAD)) {
        return false;
    }
    for (uint32_t i = 0; out->bias != NULL && i < filters; i++) {
        if (out->bias[i] >= limit || out->bias[i] <= -limit) {
            return false;
        }
    }
    return true;
}
