/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h by interpreting a .tflite file. The arena, from its start:
 *
 *   struct engine | tensor area | steps, each with its tables in front of it
 *
 * Scratch memory is planned among the tensors. While loading, the plan lies in the tensor area, where no tensor holds
 * anything yet, and what has been read of the model is remembered at the arena's end as long as nothing else is there.
 */
#include <string.h>

#include "fault.h"
#include "kernel.h"
#include "schema.h"

struct engine {
    struct engine_tensor input, output;
    size_t used;
    uint32_t steps;
    const struct step *first;
};

static uint64_t round_up(uint64_t bytes)
{
    return (bytes + sizeof(void *) - 1) & ~(uint64_t)(sizeof(void *) - 1);
}

static int describe(struct load *load, uint32_t index, const char *what, struct engine_tensor *out)
{
    struct tensor tensor;
    int status = graph_tensor(&load->graph, index, &tensor);

    if (status != ENGINE_OK) {
        return status;
    }
    if (tensor.type != TYPE_INT8 && tensor.type != TYPE_FLOAT32) {
        return fault(load->graph.error, ENGINE_E_UNSUPPORTED, "%s tensor %u: type %s, want INT8 or FLOAT32", what,
                     index, graph_type_name(tensor.type));
    }
    out->data = load_target(load, &tensor);
    out->bytes = tensor.bytes;
    out->type = tensor.type == TYPE_INT8 ? ENGINE_INT8 : ENGINE_FLOAT32;
    out->scale = tensor.type == TYPE_INT8 ? tensor.scale : 0.0f;
    out->zero_point = tensor.zero_point;
    out->rank = tensor.rank;
    memset(out->dims, 0, sizeof out->dims);
    memcpy(out->dims, tensor.dims, (size_t)tensor.rank * sizeof tensor.dims[0]);
    return ENGINE_OK;
}

static int prepare_operators(struct load *load)
{
    for (uint32_t i = 0; i < load->graph.operators.count; i++) {
        int status = graph_operation(&load->graph, i, &load->operation);
        const struct kernel *kernel;

        if (status != ENGINE_OK) {
            return status;
        }
        kernel = kernel_find(load->operation.code); /* plan_live() has refused unknown ones */
        if (load->operation.options_type != OPTIONS_NONE && load->operation.options_type != kernel->options_type) {
            return load_refuse(load, ENGINE_E_MODEL, "options of another operator");
        }
        status = kernel->prepare(load);
        if (status != ENGINE_OK) {
            return status;
        }
    }
    return ENGINE_OK;
}

/* Let the graph remember what it reads at the end of the arena, while nothing else is there. */
static void use_cache(struct load *load, uint64_t used)
{
    const uint64_t bytes = graph_cache_bytes(&load->graph);

    if (used + bytes + sizeof(void *) <= load->capacity) {
        load->cache = (load->capacity - bytes) & ~(uint64_t)(sizeof(void *) - 1);
        graph_use_cache(&load->graph, (struct graph_cache *)(void *)(load->arena + load->cache));
    }
}

static int plan_tensors(struct load *load)
{
    uint64_t plan_bytes = plan_entries(&load->graph) * (uint64_t)sizeof(struct plan_entry);
    int status;

    load->tensors = round_up(sizeof(struct engine));
    if (load->tensors + plan_bytes > load->capacity) {
        return fault(load->graph.error, ENGINE_E_ARENA, "arena: %u bytes, at least %u needed", (uint32_t)load->capacity,
                     (uint32_t)(load->tensors + plan_bytes));
    }
    use_cache(load, load->tensors + plan_bytes);
    status = plan_live(&load->plan, &load->graph, (struct plan_entry *)(void *)(load->arena + load->tensors));
    if (status == ENGINE_OK) {
        status = prepare_operators(load);
    }
    if (status == ENGINE_OK) {
        status = plan_place(&load->plan, &load->graph);
    }
    load->placed = true;
    load->used = load->tensors + round_up(load->plan.bytes > plan_bytes ? load->plan.bytes : plan_bytes);
    return status;
}

static int load_all(struct load *load, struct engine *header)
{
    int status = plan_tensors(load);

    if (status == ENGINE_OK) {
        status = prepare_operators(load);
    }
    if (status == ENGINE_OK) {
        status = describe(load, load->graph.input, "input", &header->input);
    }
    if (status == ENGINE_OK) {
        status = describe(load, load->graph.output, "output", &header->output);
    }
    if (status == ENGINE_OK && load->used > load->capacity) {
        status = fault(load->graph.error, ENGINE_E_ARENA, "arena: %u bytes, %u needed", (uint32_t)load->capacity,
                       (uint32_t)(load->used > UINT32_MAX ? UINT32_MAX : load->used));
    }
    return status;
}

int engine_load(struct engine **engine, const void *model, size_t model_bytes, void *arena, size_t arena_bytes,
                struct engine_error *error)
{
    struct load load = {0};
    struct engine header = {0};
    int status;

    if (engine == NULL) {
        return fault(error, ENGINE_E_ARGUMENT, "engine: NULL");
    }
    *engine = NULL;
    if (model == NULL || arena == NULL || (uintptr_t)model % ENGINE_ALIGN_BYTES != 0 ||
        (uintptr_t)arena % ENGINE_ALIGN_BYTES != 0) {
        return fault(error, ENGINE_E_ARGUMENT, "model or arena: NULL or not aligned to %u bytes",
                     (uint32_t)ENGINE_ALIGN_BYTES);
    }
    load.arena = arena;
    load.capacity = arena_bytes > INT32_MAX ? INT32_MAX : arena_bytes;
    status = graph_open(&load.graph, model, model_bytes, error);
    if (status == ENGINE_OK) {
        status = load_all(&load, &header);
    }
    if (status != ENGINE_OK) {
        return status;
    }
    memset(load.arena + load.tensors, 0, load.plan.bytes); /* no remains of the plan in the tensors */
    header.used = (size_t)load.used;
    header.steps = load.steps;
    header.first = (const struct step *)(void *)(load.arena + load.first);
    memcpy(arena, &header, sizeof header);
    *engine = arena;
    return ENGINE_OK;
}

const struct engine_tensor *engine_input(const struct engine *engine)
{
    return &engine->input;
}

const struct engine_tensor *engine_output(const struct engine *engine)
{
    return &engine->output;
}

static const struct step *next(const struct step *step)
{
    return (const struct step *)(const void *)((const uint32_t *)(const void *)step + step->words);
}

int engine_run(struct engine *engine)
{
    const struct step *step = engine->first;

    for (uint32_t left = engine->steps; left != 0; left--) {
        step->run(step);
        step = next(step);
    }
    return ENGINE_OK;
}

int engine_run_observed(struct engine *engine, engine_observer *observer, void *context)
{
    const struct step *step = engine->first;

    for (uint32_t left = engine->steps; left != 0; left--) {
        step->run(step);
        observer(context, step->operator_index);
        step = next(step);
    }
    return ENGINE_OK;
}

size_t engine_arena_bytes(const struct engine *engine)
{
    return engine->used;
}

const char *engine_name(void)
{
    return "tflite_c 0.1.0";
}

int load_refuse(struct load *load, enum engine_status status, const char *what)
{
    return fault(load->graph.error, status, "operator %u %s: %s", load->operation.index,
                 graph_operator_name(load->operation.code), what);
}

bool load_has_input(const struct load *load, uint32_t slot)
{
    return slot < load->operation.inputs.count &&
           reader_item_i32(&load->graph.reader, &load->operation.inputs, slot) != -1;
}

int load_input(struct load *load, uint32_t slot, const char *what, struct tensor *tensor)
{
    if (!load_has_input(load, slot)) {
        return fault(load->graph.error, ENGINE_E_MODEL, "operator %u %s: no %s", load->operation.index,
                     graph_operator_name(load->operation.code), what);
    }
    return graph_tensor(&load->graph, (uint32_t)reader_item_i32(&load->graph.reader, &load->operation.inputs, slot),
                        tensor);
}

int load_output(struct load *load, struct tensor *tensor)
{
    /* The plan has checked that there is one output and that it is a tensor. */
    return graph_tensor(&load->graph, (uint32_t)reader_item_i32(&load->graph.reader, &load->operation.outputs, 0),
                        tensor);
}

/* When the tensors do not fit, loading goes on only to count: any address will do, and it is never used. */
static uint8_t *address(const struct load *load, uint32_t entry, uint32_t bytes)
{
    uint64_t at = load->tensors + load->plan.entries[entry].offset;

    return load->arena + (load->placed && at + bytes <= load->capacity ? at : 0);
}

int8_t *load_target(const struct load *load, const struct tensor *tensor)
{
    return (int8_t *)address(load, tensor->index, tensor->bytes);
}

const int8_t *load_source(const struct load *load, const struct tensor *tensor)
{
    return tensor->constant != NULL ? (const int8_t *)tensor->constant : load_target(load, tensor);
}

void *load_reserve(struct load *load, uint64_t bytes)
{
    uint64_t at = load->used;

    if (!load->placed) {
        return NULL;
    }
    load->used += round_up(bytes);
    if (load->used > load->cache) {
        load->graph.cache = NULL; /* the room is needed */
    }
    return load->used <= load->capacity ? load->arena + at : NULL;
}

void *load_scratch(struct load *load, uint32_t bytes)
{
    if (!load->placed) {
        plan_scratch(&load->plan, load->operation.index, bytes);
    }
    return address(load, load->plan.tensors + load->operation.index, bytes);
}

bool load_in_place(struct load *load)
{
    uint32_t input = (uint32_t)reader_item_i32(&load->graph.reader, &load->operation.inputs, 0);
    uint32_t output = (uint32_t)reader_item_i32(&load->graph.reader, &load->operation.outputs, 0);

    if (!load->placed) {
        return plan_merge(&load->plan, load->operation.index, input, output);
    }
    return plan_root(&load->plan, input) == plan_root(&load->plan, output);
}

uint32_t load_slack(const struct load *load, const struct tensor *constant)
{
    return load->graph.reader.size - (uint32_t)(constant->constant - load->graph.reader.bytes) - constant->bytes;
}

int load_keep(struct load *load, const struct step *record, uint32_t bytes)
{
    uint64_t at = load->used;
    uint64_t words = (at - load->last) / sizeof(uint32_t);
    struct step *kept;

    if (!load->placed) {
        return ENGINE_OK;
    }
    kept = load_reserve(load, bytes);
    if (load->steps++ == 0) {
        load->first = at;
    } else if (words > UINT16_MAX) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "too many channels");
    }
    if (kept != NULL) {
        memcpy(kept, record, bytes);
        kept->operator_index = (uint16_t)load->operation.index;
        if (load->steps > 1) {
            ((struct step *)(void *)(load->arena + load->last))->words = (uint16_t)words;
        }
    }
    load->last = at;
    return ENGINE_OK;
}
