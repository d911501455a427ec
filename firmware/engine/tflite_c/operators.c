/* SPDX-License-Identifier: Apache-2.0 */
/* The operators this engine has: one line each. */
#include "kernel.h"
#include "kernels/kernels.h"
#include "schema.h"

static const struct kernel kernels[] = {
    {BUILTIN_ADD, OPTIONS_ADD, false, add_prepare},
    {BUILTIN_AVERAGE_POOL_2D, OPTIONS_POOL_2D, false, average_pool_2d_prepare},
    {BUILTIN_CONCATENATION, OPTIONS_CONCATENATION, false, concatenation_prepare},
    {BUILTIN_CONV_2D, OPTIONS_CONV_2D, false, conv_2d_prepare},
    {BUILTIN_DEPTHWISE_CONV_2D, OPTIONS_DEPTHWISE_CONV_2D, false, depthwise_conv_2d_prepare},
    {BUILTIN_DEQUANTIZE, OPTIONS_DEQUANTIZE, false, dequantize_prepare},
    {BUILTIN_FULLY_CONNECTED, OPTIONS_FULLY_CONNECTED, false, fully_connected_prepare},
    {BUILTIN_LOGISTIC, OPTIONS_NONE, false, logistic_prepare},
    {BUILTIN_MAX_POOL_2D, OPTIONS_POOL_2D, false, max_pool_2d_prepare},
    {BUILTIN_MEAN, OPTIONS_REDUCER, false, mean_prepare},
    {BUILTIN_MUL, OPTIONS_MUL, false, mul_prepare},
    {BUILTIN_PACK, OPTIONS_PACK, false, pack_prepare},
    {BUILTIN_PAD, OPTIONS_PAD, false, pad_prepare},
    {BUILTIN_PADV2, OPTIONS_PADV2, false, padv2_prepare},
    {BUILTIN_QUANTIZE, OPTIONS_QUANTIZE, false, quantize_prepare},
    {BUILTIN_RELU, OPTIONS_NONE, false, relu_prepare},
    {BUILTIN_RELU6, OPTIONS_NONE, false, relu6_prepare},
    {BUILTIN_RESHAPE, OPTIONS_RESHAPE, true, reshape_prepare},
    {BUILTIN_SHAPE, OPTIONS_SHAPE, false, shape_prepare},
    {BUILTIN_SOFTMAX, OPTIONS_SOFTMAX, false, softmax_prepare},
    {BUILTIN_STRIDED_SLICE, OPTIONS_STRIDED_SLICE, false, strided_slice_prepare},
    {BUILTIN_SUB, OPTIONS_SUB, false, sub_prepare},
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
