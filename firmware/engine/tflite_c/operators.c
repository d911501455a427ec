/* SPDX-License-Identifier: Apache-2.0 */
/* The operators this engine has: one line each. */
#include "kernel.h"
#include "kernels/kernels.h"
#include "schema.h"

static const struct kernel kernels[] = {
    {BUILTIN_ADD, OPTIONS_ADD, false, add_prepare},
    {BUILTIN_AVERAGE_POOL_2D, OPTIONS_POOL_2D, false, average_pool_2d_prepare},
    {BUILTIN_CONV_2D, OPTIONS_CONV_2D, false, conv_2d_prepare},
    {BUILTIN_DEPTHWISE_CONV_2D, OPTIONS_DEPTHWISE_CONV_2D, false, depthwise_conv_2d_prepare},
    {BUILTIN_FULLY_CONNECTED, OPTIONS_FULLY_CONNECTED, false, fully_connected_prepare},
    {BUILTIN_RESHAPE, OPTIONS_RESHAPE, true, reshape_prepare},
    {BUILTIN_SOFTMAX, OPTIONS_SOFTMAX, false, softmax_prepare},
};

const struct kernel *kernel_find(int32_t code)
{
    for (size_t i = 0; i < sizeof kernels / sizeof kernels[0]; i++) {
        if (kernels[i].code == code) {
            return &kernels[i];
        }
    }
    return NULL;
}
