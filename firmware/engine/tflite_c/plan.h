/* SPDX-License-Identifier: Apache-2.0 */
/* When each tensor is alive, and where in the tensor area it lives. */
#ifndef TJ_TFLITE_PLAN_H
#define TJ_TFLITE_PLAN_H

#include "graph.h"

enum { PLAN_ALIGN_BYTES = 4 }; /* of every tensor: what kernels may count on */

/* One per tensor of the model. Steps count from 0 (the model's input is there) over i + 1 (operator i runs) to one
 * after the last operator (the model's output is read). */
struct plan_entry {
    uint32_t bytes;  /* rounded up to PLAN_ALIGN_BYTES; 0: does not live in the tensor area */
    uint32_t offset; /* in the tensor area */
    uint16_t first, last;
    uint16_t root; /* the tensor whose bytes these are: itself, unless an operator works in place */
    uint16_t next; /* while planning: the next placed tensor, by offset */
};

struct plan {
    struct plan_entry *entries; /* by tensor number; the caller's memory */
    uint32_t bytes;             /* of the tensor area */
};

/* Check that every operator reads only tensors that are there by then and writes each tensor once, then place them.
 * entries: graph->tensors.count of them, needed only while loading. An unknown operator is refused here.
 * The model's input stays alive to the end, because a run must leave it as it was. */
int plan_make(struct plan *plan, struct graph *graph, struct plan_entry *entries);

#endif
