/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D's record, and the two ways to run it. */
#ifndef TJ_TFLITE_CONV_2D_H
#define TJ_TFLITE_CONV_2D_H

#include "window.h"

struct conv_2d {
    struct window window;
    void *scratch; /* conv_2d_columns.c */
};

/* While loading, with the record filled in: choose conv_2d_columns_run() if it can do this operator. Returns whether.
 */
bool conv_2d_columns_choose(struct load *load, const struct tensor *weights, struct conv_2d *conv);

void conv_2d_columns_run(const struct step *step);

#endif
