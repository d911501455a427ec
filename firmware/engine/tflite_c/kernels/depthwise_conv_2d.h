/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D's record, and the ways to run it. */
#ifndef TJ_TFLITE_DEPTHWISE_CONV_2D_H
#define TJ_TFLITE_DEPTHWISE_CONV_2D_H

#include "window.h"

struct depthwise_conv_2d {
    struct window window;
    void *scratch; /* depthwise_conv_2d_channels.c */
    uint16_t depth_multiplier;
};

/* While loading, with the record filled in: choose depthwise_conv_2d_channels_run() if it can do this operator. Returns
 * whether. */
bool depthwise_conv_2d_channels_choose(struct load *load, struct depthwise_conv_2d *conv);

void depthwise_conv_2d_channels_run(const struct step *step);

/* The same for 3 by 3 taps on a core with the DSP extension, the quickest way there. */
bool depthwise_conv_2d_square_choose(struct load *load, struct depthwise_conv_2d *conv);
void depthwise_conv_2d_square_run(const struct step *step);

#endif
