/* SPDX-License-Identifier: Apache-2.0 */
#include "cost.h"

#include "engine/tflite_c/graph.h"
#include "engine/tflite_c/schema.h"

enum { MAX_POOL_2D = 17 };
enum { CHEAP = 16 }; /* of any operator, per value read or written: requantization, exp() */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Products per value of the output, from the weights or the window. */
static uint64_t per_output(struct graph *graph, const struct operation *operation, const struct tensor *input,
                           const struct tensor *weights)
{
    switch (operation->code) {
    case BUILTIN_CONV_2D:
    case BUILTIN_FULLY_CONNECTED:
        return weights->elements / (uint64_t)weights->dims[0];
    case BUILTIN_DEPTHWISE_CONV_2D:
        return weights->elements / (uint64_t)weights->dims[weights->rank - 1];
    case BUILTIN_AVERAGE_POOL_2D:
    case MAX_POOL_2D: {
        uint64_t taps = (uint32_t)reader_i32(&graph->reader, &operation->options, 3, 0);

        taps *= (uint32_t)reader_i32(&graph->reader, &operation->options, 4, 0);
        return smaller(taps, input->elements);
    }
    default:
        return 1;
    }
}

uint64_t cost_products(const void *model, size_t model_bytes)
{
    struct engine_error error;
    struct graph graph = {.cache = NULL};
    uint64_t sum = 0;

    if (graph_open(&graph, model, model_bytes, &error) != ENGINE_OK) {
        return 0;
    }
    for (uint32_t i = 0; i < graph.operators.count; i++) {
        struct operation operation;
        struct tensor tensors[2] = {{0}}, output;
        uint64_t read = 0;

        if (graph_operation(&graph, i, &operation) != ENGINE_OK) {
            return 0;
        }
        for (uint32_t slot = 0; slot < operation.inputs.count; slot++) {
            int32_t number = reader_item_i32(&graph.reader, &operation.inputs, slot);
            struct tensor *tensor = &tensors[slot == 0 ? 0 : 1];

            if (number >= 0 && slot != 2 && graph_tensor(&graph, (uint32_t)number, tensor) == ENGINE_OK) {
                read += tensor->elements;
            }
        }
        if (graph_tensor(&graph, (uint32_t)reader_item_i32(&graph.reader, &operation.outputs, 0), &output) ==
            ENGINE_OK) {
            sum += CHEAP * (output.elements + read) +
                   output.elements * per_output(&graph, &operation, &tensors[0], &tensors[1]);
        }
    }
    return sum;
}
