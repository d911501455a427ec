/* SPDX-License-Identifier: Apache-2.0 */
#include "graph.h"

#include <string.h>

#include "fault.h"
#include "schema.h"

static int damaged(struct graph *graph, const char *where)
{
    return fault(graph->error, ENGINE_E_MODEL, "%s: an offset or count points outside the file", where);
}

static int check_header(struct graph *graph, const struct reader_table *model)
{
    int32_t version;

    if (graph->reader.size < 8 || memcmp(graph->reader.bytes + 4, "TFL3", 4) != 0) {
        return fault(graph->error, ENGINE_E_MODEL, "model: the file identifier is not TFL3");
    }
    version = reader_i32(&graph->reader, model, MODEL_VERSION, 0);
    if (!graph->reader.damaged && version != SCHEMA_VERSION) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "model: schema version %u, want %u", (uint32_t)version,
                     (uint32_t)SCHEMA_VERSION);
    }
    return ENGINE_OK;
}

/* The number of the only tensor in a list of the subgraph. */
static int only_tensor(struct graph *graph, const struct reader_table *subgraph, unsigned field, const char *what,
                       uint32_t *number)
{
    struct reader_vector list = reader_list(&graph->reader, subgraph, field, 4);
    int32_t index;

    if (graph->reader.damaged) {
        return damaged(graph, what);
    }
    if (list.count != 1) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "model: %u %s, want 1", list.count, what);
    }
    index = reader_item_i32(&graph->reader, &list, 0);
    if (index < 0 || (uint32_t)index >= graph->tensors.count) {
        return fault(graph->error, ENGINE_E_MODEL, "model: %s: no tensor %u", what, (uint32_t)index);
    }
    *number = (uint32_t)index;
    return ENGINE_OK;
}

int graph_open(struct graph *graph, const void *model, size_t model_bytes, struct engine_error *error)
{
    struct reader *reader = &graph->reader;
    struct reader_table root, subgraph;
    struct reader_vector subgraphs;
    int status;

    graph->error = error;
    if (model_bytes > INT32_MAX) {
        return fault(error, ENGINE_E_MODEL, "model: over 2 GB");
    }
    reader_open(reader, model, (uint32_t)model_bytes);
    root = reader_root(reader);
    status = check_header(graph, &root);
    if (status != ENGINE_OK) {
        return status;
    }
    graph->codes = reader_list(reader, &root, MODEL_CODES, 4);
    graph->buffers = reader_list(reader, &root, MODEL_BUFFERS, 4);
    subgraphs = reader_list(reader, &root, MODEL_SUBGRAPHS, 4);
    if (reader->damaged) {
        return damaged(graph, "model");
    }
    if (subgraphs.count != 1) {
        return fault(error, ENGINE_E_UNSUPPORTED, "model: %u subgraphs, want 1", subgraphs.count);
    }
    subgraph = reader_item_table(reader, &subgraphs, 0);
    graph->tensors = reader_list(reader, &subgraph, SUBGRAPH_TENSORS, 4);
    graph->operators = reader_list(reader, &subgraph, SUBGRAPH_OPERATORS, 4);
    if (reader->damaged) {
        return damaged(graph, "subgraph");
    }
    if (graph->tensors.count > GRAPH_MAX_TENSORS || graph->operators.count > GRAPH_MAX_TENSORS) {
        return fault(error, ENGINE_E_UNSUPPORTED, "model: %u tensors and %u operators, at most %u",
                     graph->tensors.count, graph->operators.count, (uint32_t)GRAPH_MAX_TENSORS);
    }
    status = only_tensor(graph, &subgraph, SUBGRAPH_INPUTS, "inputs", &graph->input);
    if (status != ENGINE_OK) {
        return status;
    }
    return only_tensor(graph, &subgraph, SUBGRAPH_OUTPUTS, "outputs", &graph->output);
}

static uint32_t type_bytes(int8_t type)
{
    switch (type) {
    case TYPE_INT8:
    case TYPE_UINT8:
    case TYPE_BOOL:
        return 1;
    case TYPE_INT16:
    case TYPE_FLOAT16:
        return 2;
    case TYPE_FLOAT32:
    case TYPE_INT32:
        return 4;
    case TYPE_INT64:
        return 8;
    default:
        return 0;
    }
}

static int read_shape(struct graph *graph, const struct reader_table *table, struct tensor *tensor)
{
    struct reader_vector shape = reader_list(&graph->reader, table, TENSOR_SHAPE, 4);
    uint64_t elements = 1;
    uint32_t width = type_bytes(tensor->type);

    if (shape.count > ENGINE_MAX_RANK) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "tensor %u: %u dimensions, at most %u", tensor->index,
                     shape.count, (uint32_t)ENGINE_MAX_RANK);
    }
    if (width == 0) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "tensor %u: type %s not supported", tensor->index,
                     graph_type_name(tensor->type));
    }
    tensor->rank = (int32_t)shape.count;
    for (uint32_t i = 0; i < shape.count; i++) {
        tensor->dims[i] = reader_item_i32(&graph->reader, &shape, i);
        if (tensor->dims[i] < 1) {
            return fault(graph->error, ENGINE_E_UNSUPPORTED, "tensor %u: dimension %u is not positive", tensor->index,
                         i);
        }
        elements *= (uint32_t)tensor->dims[i];
        if (elements * width > INT32_MAX) {
            return fault(graph->error, ENGINE_E_MODEL, "tensor %u: shape overflows", tensor->index);
        }
    }
    tensor->elements = (uint32_t)elements;
    tensor->bytes = (uint32_t)elements * width;
    return ENGINE_OK;
}

static int read_buffer(struct graph *graph, const struct reader_table *table, struct tensor *tensor)
{
    struct reader *reader = &graph->reader;
    uint32_t number = (uint32_t)reader_i32(reader, table, TENSOR_BUFFER, 0);
    struct reader_table buffer;
    struct reader_vector data;

    tensor->constant = NULL;
    if (reader->damaged || number == 0) { /* buffer 0 is empty by convention */
        return ENGINE_OK;
    }
    if (number >= graph->buffers.count) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: no buffer %u", tensor->index, number);
    }
    buffer = reader_item_table(reader, &graph->buffers, number);
    if (reader_has(reader, &buffer, BUFFER_OFFSET) || reader_has(reader, &buffer, BUFFER_SIZE)) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "tensor %u: data outside the flatbuffer", tensor->index);
    }
    data = reader_list(reader, &buffer, BUFFER_DATA, 1);
    if (data.count == 0) {
        return ENGINE_OK;
    }
    if (data.count != tensor->bytes) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: %u bytes of data, its shape wants %u", tensor->index,
                     data.count, tensor->bytes);
    }
    tensor->constant = reader->bytes + data.at;
    return ENGINE_OK;
}

/* Finite and not negative; a NaN fails every comparison. */
static bool scale_holds(float scale)
{
    return scale >= 0.0f && scale <= 3.4e38f;
}

static int read_quantization(struct graph *graph, const struct reader_table *table, struct tensor *tensor)
{
    struct reader *reader = &graph->reader;
    struct reader_table quantization = reader_child(reader, table, TENSOR_QUANTIZATION);
    int64_t zero_point = 0;

    tensor->scales = reader_list(reader, &quantization, QUANTIZATION_SCALE, 4);
    tensor->zero_points = reader_list(reader, &quantization, QUANTIZATION_ZERO_POINT, 8);
    tensor->quantized_dimension = reader_i32(reader, &quantization, QUANTIZATION_DIMENSION, 0);
    tensor->scale = 0.0f;
    tensor->zero_point = 0;
    if (reader_i8(reader, &quantization, QUANTIZATION_DETAILS_TYPE, 0) != 0) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "tensor %u: custom quantization", tensor->index);
    }
    if (tensor->scales.count == 0) {
        return ENGINE_OK;
    }
    tensor->scale = reader_item_f32(reader, &tensor->scales, 0);
    if (!scale_holds(tensor->scale)) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: scale is not a number >= 0", tensor->index);
    }
    if (tensor->zero_points.count != 0) {
        zero_point = reader_item_i64(reader, &tensor->zero_points, 0);
    }
    if (tensor->zero_points.count != 0 && tensor->zero_points.count != tensor->scales.count) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: %u scales but %u zero points", tensor->index,
                     tensor->scales.count, tensor->zero_points.count);
    }
    if (zero_point < INT32_MIN || zero_point > INT32_MAX) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: zero point over 32 bits", tensor->index);
    }
    tensor->zero_point = (int32_t)zero_point;
    return ENGINE_OK;
}

static int read_tensor(struct graph *graph, uint32_t index, struct tensor *tensor)
{
    struct reader *reader = &graph->reader;
    struct reader_table table;
    int status;

    if (index >= graph->tensors.count) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: there are only %u", index, graph->tensors.count);
    }
    table = reader_item_table(reader, &graph->tensors, index);
    tensor->index = index;
    tensor->type = reader_i8(reader, &table, TENSOR_TYPE, TYPE_FLOAT32);
    if (reader_i8(reader, &table, TENSOR_IS_VARIABLE, 0) != 0 || reader_has(reader, &table, TENSOR_SPARSITY)) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "tensor %u: variable or sparse", index);
    }
    status = read_shape(graph, &table, tensor);
    if (status == ENGINE_OK) {
        status = read_buffer(graph, &table, tensor);
    }
    if (status == ENGINE_OK) {
        status = read_quantization(graph, &table, tensor);
    }
    if (status == ENGINE_OK && reader->damaged) {
        status = fault(graph->error, ENGINE_E_MODEL, "tensor %u: an offset or count points outside the file", index);
    }
    return status;
}

size_t graph_cache_bytes(const struct graph *graph)
{
    return sizeof(struct graph_cache) + graph->tensors.count * sizeof(struct tensor) +
           graph->operators.count * sizeof(struct operation);
}

void graph_use_cache(struct graph *graph, struct graph_cache *cache)
{
    graph->cache = cache;
    cache->tensors = (struct tensor *)(void *)(cache + 1);
    cache->operations = (struct operation *)(void *)(cache->tensors + graph->tensors.count);
    for (uint32_t i = 0; i < graph->tensors.count; i++) {
        cache->tensors[i].index = UINT32_MAX; /* not known yet */
    }
    for (uint32_t i = 0; i < graph->operators.count; i++) {
        cache->operations[i].index = UINT32_MAX;
    }
}

/* Not for a file in which something damaged has been met since, in an operator's options: whoever asks next is told. */
static inline bool has_cache(const struct graph *graph)
{
    return graph->cache != NULL && !graph->reader.damaged;
}

/* In two halves, each so short that it is no call. */
static void copy_tensor(struct tensor *to, const struct tensor *from)
{
    enum { HALF = sizeof(struct tensor) / 8 * 4 };

    memcpy(to, from, HALF);
    memcpy((uint8_t *)to + HALF, (const uint8_t *)from + HALF, sizeof *to - HALF);
}

int graph_tensor(struct graph *graph, uint32_t index, struct tensor *tensor)
{
    int status;

    if (has_cache(graph) && index < graph->tensors.count && graph->cache->tensors[index].index == index) {
        copy_tensor(tensor, &graph->cache->tensors[index]);
        return ENGINE_OK;
    }
    status = read_tensor(graph, index, tensor);
    if (status == ENGINE_OK && graph->cache != NULL) {
        copy_tensor(&graph->cache->tensors[index], tensor);
    }
    return status;
}

static int read_code(struct graph *graph, const struct reader_table *table, struct operation *operation)
{
    struct reader *reader = &graph->reader;
    uint32_t number = (uint32_t)reader_i32(reader, table, OPERATOR_CODE, 0);
    struct reader_table code;
    int32_t old;

    if (!reader->damaged && number >= graph->codes.count) {
        return fault(graph->error, ENGINE_E_MODEL, "operator %u: no operator code %u", operation->index, number);
    }
    code = reader_item_table(reader, &graph->codes, number);
    /* The 8-bit field came first; newer codes are only in the 32-bit one, with 127 left in the old. */
    old = reader_i8(reader, &code, CODE_DEPRECATED_BUILTIN, 0);
    operation->code = reader_i32(reader, &code, CODE_BUILTIN, 0);
    if (operation->code < old) {
        operation->code = old;
    }
    return ENGINE_OK;
}

static int read_operation(struct graph *graph, uint32_t index, struct operation *operation)
{
    struct reader *reader = &graph->reader;
    struct reader_table table = reader_item_table(reader, &graph->operators, index);
    int status;

    operation->index = index;
    status = read_code(graph, &table, operation);
    if (status != ENGINE_OK) {
        return status;
    }
    operation->inputs = reader_list(reader, &table, OPERATOR_INPUTS, 4);
    operation->outputs = reader_list(reader, &table, OPERATOR_OUTPUTS, 4);
    operation->options_type = (uint8_t)reader_i8(reader, &table, OPERATOR_OPTIONS_TYPE, OPTIONS_NONE);
    operation->options = reader_child(reader, &table, OPERATOR_OPTIONS);
    if (reader->damaged) {
        return fault(graph->error, ENGINE_E_MODEL, "operator %u: an offset or count points outside the file", index);
    }
    if (operation->inputs.count > GRAPH_MAX_OPERANDS) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "operator %u %s: %u inputs, at most %u", index,
                     graph_operator_name(operation->code), operation->inputs.count, (uint32_t)GRAPH_MAX_OPERANDS);
    }
    return ENGINE_OK;
}

int graph_operation(struct graph *graph, uint32_t index, struct operation *operation)
{
    int status;

    if (has_cache(graph) && graph->cache->operations[index].index == index) {
        *operation = graph->cache->operations[index];
        return ENGINE_OK;
    }
    status = read_operation(graph, index, operation);
    if (status == ENGINE_OK && graph->cache != NULL) {
        graph->cache->operations[index] = *operation;
    }
    return status;
}
