/* SPDX-License-Identifier: Apache-2.0 */
/* Linked in place of the engine's choices (ld --wrap): every operator runs on its plain kernel, the specification. */
#include "engine/tflite_c/kernels/columns.h"
#include "engine/tflite_c/kernels/depthwise_conv_2d.h"

bool __wrap_columns_fit(const struct load *load, const struct tensor *weights, uint32_t depth);
bool __wrap_depthwise_conv_2d_square_choose(struct load *load, struct depthwise_conv_2d *conv);
bool __wrap_depthwise_conv_2d_channels_choose(struct load *load, struct depthwise_conv_2d *conv);

bool __wrap_columns_fit(const struct load *load, const struct tensor *weights, uint32_t depth)
{
    (void)load;
    (void)weights;
    (void)depth;
    return false;
}

bool __wrap_depthwise_conv_2d_square_choose(struct load *load, struct depthwise_conv_2d *conv)
{
    (void)load;
    (void)conv;
    return false;
}

bool __wrap_depthwise_conv_2d_channels_choose(struct load *load, struct depthwise_conv_2d *conv)
{
    (void)load;
    (void)conv;
    return false;
}
