/* SPDX-License-Identifier: Apache-2.0 */
/* A .tflite file seen as tensors and operators, read on demand and checked each time. Keeps nothing but positions. */
#ifndef TJ_TFLITE_GRAPH_H
#define TJ_TFLITE_GRAPH_H

#include "engine/engine.h"
#include "reader.h"

/* They keep loading short for any file: planning is quadratic in tensors, and every input is looked up. */
enum { GRAPH_MAX_TENSORS = 4096, GRAPH_MAX_OPERANDS = 64 };

struct graph {
    struct reader reader;
    struct engine_error *error;
    struct reader_vector codes, buffers, tensors, operators;
    uint32_t input, output;    /* tensor numbers */
    struct graph_cache *cache; /* NULL: none */
};

struct tensor {
    uint32_t index;
    int8_t type; /* TYPE_... */
    int32_t rank;
    int32_t dims[ENGINE_MAX_RANK];
    uint32_t elements, bytes;    /* 1 to INT32_MAX */
    const uint8_t *constant;     /* its `bytes` bytes in the model; NULL: computed while running, lives in the arena */
    struct reader_vector scales; /* float; one per tensor or one per slice of quantized_dimension */
    struct reader_vector zero_points; /* int64; as many as scales, or none */
    int32_t quantized_dimension;
    float scale;        /* the first, finite and >= 0; 0 if there are none. The others are not checked yet */
    int32_t zero_point; /* the first; 0 if there are none. The others are not checked yet */
};

struct operation {
    uint32_t index;
    int32_t code;                         /* BUILTIN_...; graph_operator_name() for a text */
    struct reader_vector inputs, outputs; /* tensor numbers, int32, not yet checked; few */
    uint8_t options_type;
    struct reader_table options;
};

/* Returns 0, or a negative status with graph->error written. The model must be aligned to ENGINE_ALIGN_BYTES. */
int graph_open(struct graph *graph, const void *model, size_t model_bytes, struct engine_error *error);
int graph_tensor(struct graph *graph, uint32_t index, struct tensor *tensor);

/* What has been read before: loading asks for everything several times. */
struct graph_cache {
    struct tensor *tensors;
    struct operation *operations;
};

/* The memory behind a struct graph_cache, in bytes, and the cache made in it. It is used until graph->cache is NULL. */
size_t graph_cache_bytes(const struct graph *graph);
void graph_use_cache(struct graph *graph, struct graph_cache *cache);
int graph_operation(struct graph *graph, uint32_t index, struct operation *operation);

/* "CONV_2D", "INT8"; a name even for values that the schema does not have. */
const char *graph_operator_name(int32_t code);
const char *graph_type_name(int8_t type);

#endif
