/* SPDX-License-Identifier: Apache-2.0 */
/* When each tensor is alive, and where in the tensor area it lives. */
#ifndef TJ_TFLITE_PLAN_H
#define TJ_TFLITE_PLAN_H

#include "graph.h"

enum { PLAN_ALIGN_BYTES = 4 }; /* of every tensor: what kernels may count on */

/* One per tensor of the model, then one per operator for its scratch memory. Steps count from 0 (the model's input is
 * there) over i + 1 (operator i runs) to one after the last operator (the model's output is read). */
struct plan_entry {
    uint32_t bytes;  /* rounded up to PLAN_ALIGN_BYTES; 0: does not live in the tensor area */
    uint32_t offset; /* in the tensor area */
    uint16_t first, last;
    uint16_t root; /* towards the entry whose bytes these are; itself, unless an operator works in place */
    uint16_t next; /* while planning: the next one placed, by offset; before, the next smaller one to place */
};

struct plan {
    struct plan_entry *entries; /* by tensor number, then by operator; the caller's memory */
    uint32_t tensors, count;    /* entries of tensors, and all of them */
    uint32_t bytes;             /* of the tensor area */
};

static inline uint32_t plan_entries(const struct graph *graph)
{
    return graph->tensors.count + graph->operators.count;
}

/* Check that every operator reads only tensors that are there by then and writes each tensor once, and note how long
 * each one lives. entries: plan_entries() of them, needed only while loading. An unknown operator is refused here.
 * The model's input stays alive to the end, because a run must leave it as it was. */
int plan_live(struct plan *plan, struct graph *graph, struct plan_entry *entries);

/* Between plan_live() and plan_place(): operator number `operator_index` needs `bytes` > 0 while it runs. */
void plan_scratch(struct plan *plan, uint32_t operator_index, uint32_t bytes);

/* Between plan_live() and plan_place(): put the operator's `output` over its `input` (tensor numbers), if nobody needs
 * the input afterwards and both have the same size. Returns whether that is so. */
bool plan_merge(struct plan *plan, uint32_t operator_index, uint32_t input, uint32_t output);

/* Give every entry its offset. */
int plan_place(struct plan *plan, const struct graph *graph);

/* The entry whose bytes entry `index` has. */
uint32_t plan_root(const struct plan *plan, uint32_t index);

#endif
