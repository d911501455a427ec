/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of operands that operators without weights share. Every function that returns int returns 0, or a negative
 * status with the error written in the name of the operator being prepared. */
#ifndef TJ_TFLITE_KERNELS_OPERANDS_H
#define TJ_TFLITE_KERNELS_OPERANDS_H

#include "../kernel.h"

/* Constants that say how an operator works (axes, paddings, ...): a whole int32 tensor in the model. */
struct operands_list {
    struct reader_vector items;
};

/* Input `slot`: a constant int32 tensor. */
int operands_read_list(struct load *load, uint32_t slot, const char *what, struct operands_list *list);
/* Item `index` < list->items.count. */
int32_t operands_item(const struct load *load, const struct operands_list *list, uint32_t index);

/* The only input and the output, both int8 with one scale and of one shape. */
int operands_read_unary(struct load *load, struct tensor *input, struct tensor *output);

/* A type whose values are only moved, never looked at: INT8, INT32 or FLOAT32. */
int operands_check_moved(struct load *load, const struct tensor *tensor, const char *what);
/* The types are the same, and so is the quantization if they are INT8: bytes of one mean the same in the other. */
int operands_check_alike(struct load *load, const struct tensor *input, const struct tensor *output);

bool operands_same_shape(const struct tensor *a, const struct tensor *b);

/* Bytes of one element. */
static inline uint32_t operands_width(const struct tensor *tensor)
{
    return tensor->bytes / tensor->elements;
}

#endif
