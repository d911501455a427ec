/* SPDX-License-Identifier: Apache-2.0 */
/* The operators this engine has: one line each. */
#include "kernel.h"
#include "kernels/kernels.h"
#include "schema.h"

static const struct kernel kernels[] = {
    {BUILTIN_ADD, OPTIONS_ADD, add_prepare, add_run},
    {BUILTIN_AVERAGE_POOL_2D, OPTIONS_POOL_2D, average_pool_2d_prepare, average_pool_2d_run},
    {BUILTIN_CONV_2D, OPTIONS_CONV_2D, conv_2d_prepare, conv_2d_run},
    {BUILTIN_DEPTHWISE_CONV_2D, OPTIONS_DEPTHWISE_CONV_2D, depthwise_conv_2d_prepare, depthwise_conv_2d_run},
    {BUILTIN_FULLY_CONNECTED, OPTIONS_FULLY_CONNECTED, fully_connected_prepare, fully_connected_run},
    {BUILTIN_RESHAPE, OPTIONS_RESHAPE, reshape_prepare, NULL},
    {BUILTIN_SOFTMAX, OPTIONS_SOFTMAX, softmax_prepare, softmax_run},
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

uint32_t kernel_number(const struct kernel *kernel)
{
    return (uint32_t)(kernel - kernels);
}

void kernel_run(const struct step *step)
{
    kernels[step->link & 0xff].run(step);
}
