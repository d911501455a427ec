/* SPDX-License-Identifier: Apache-2.0 */
#include "requantize.h"

bool requantize_table(const struct common_output *out, uint32_t channels, struct requantize *table)
{
    bool quick = true;

    for (uint32_t i = 0; i < channels; i++) {
        table[i] = requantize_for(out, i);
        quick = quick && table[i].shift != 0;
    }
    return quick;
}
