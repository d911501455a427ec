/* SPDX-License-Identifier: Apache-2.0 */
/* Visits the elements of a box of up to ENGINE_MAX_RANK dimensions, row after row, in two tensors where they lie with
 * steps of their own: a box cut out of a larger tensor, turned round, or stretched along some dimensions. */
#ifndef TJ_TFLITE_KERNELS_WALK_H
#define TJ_TFLITE_KERNELS_WALK_H

#include "../kernel.h"

enum { WALK_ROW = ENGINE_MAX_RANK - 1 }; /* the innermost dimension */

/* In elements. */
struct walk {
    uint32_t dims[ENGINE_MAX_RANK];    /* the outermost first; those that a tensor has not are 1 */
    int32_t steps[2][ENGINE_MAX_RANK]; /* from one element to the next; of no meaning where dims is 1 */
};

/* Where a row starts in each tensor; all 0 for the first one. */
struct walk_cursor {
    int32_t at[2];
    uint32_t index[WALK_ROW];
};

/* One row of `count` = 1 element, to be given dimensions with walk_set(). */
struct walk walk_make(void);

/* Dimension `axis` of `rank`, counted from the outermost. */
void walk_set(struct walk *walk, int32_t axis, int32_t rank, uint32_t dim, int32_t first_step, int32_t second_step);

/* Join dimensions that make one row in both tensors, for the longest rows there can be. */
void walk_merge(struct walk *walk);

/* On to the next row. False after the last one. */
bool walk_next(const struct walk *walk, struct walk_cursor *cursor);

/* The steps between neighbours along each dimension of a tensor that lies densely. */
void walk_steps(const struct tensor *tensor, int32_t steps[ENGINE_MAX_RANK]);

#endif
