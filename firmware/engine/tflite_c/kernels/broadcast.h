/* SPDX-License-Identifier: Apache-2.0 */
/* Two int8 inputs, one output, element by element; where one input has a dimension of 1 and the other has not, it is
 * stretched along it. */
#ifndef TJ_TFLITE_KERNELS_BROADCAST_H
#define TJ_TFLITE_KERNELS_BROADCAST_H

#include "walk.h"

struct broadcast {
    const int8_t *inputs[2];
    int8_t *output;
    uint32_t count;          /* of the output's elements */
    const struct walk *walk; /* NULL: both inputs have the output's shape */
};

/* Compute `count` elements of the output. Neighbours in inputs[i] are steps[i] apart: 1, or 0 where it is stretched. */
typedef void broadcast_row(const struct step *step, const int8_t *const *inputs, const int32_t *steps, int8_t *output,
                           uint32_t count);

/* Read both inputs and the output of the operator being prepared, check their types and shapes, and fill *broadcast.
 * Works in place where it can. Returns 0, or a negative status with the error written. */
int broadcast_prepare(struct load *load, struct tensor *inputs, struct tensor *output, struct broadcast *broadcast);

/* Call `row` for the whole output. */
void broadcast_run(const struct broadcast *broadcast, const struct step *step, broadcast_row *row);

#endif
