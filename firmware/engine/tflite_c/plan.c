/* SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "fault.h"
#include "kernel.h"
#include "schema.h"

enum { NOBODY = 0xffff };

static uint32_t round_up(uint32_t bytes)
{
    return (bytes + PLAN_ALIGN_BYTES - 1) & ~(uint32_t)(PLAN_ALIGN_BYTES - 1);
}

uint32_t plan_root(const struct plan *plan, uint32_t index)
{
    while (plan->entries[index].root != index) {
        index = plan->entries[index].root;
    }
    return index;
}

static int size_entry(struct plan *plan, const struct graph *graph, const struct tensor *tensor, uint16_t step)
{
    struct plan_entry *entry = &plan->entries[tensor->index];

    if (tensor->constant != NULL || entry->bytes != 0) {
        return fault(graph->error, ENGINE_E_MODEL, "tensor %u: written twice, or a constant", tensor->index);
    }
    entry->bytes = round_up(tensor->bytes);
    entry->first = step;
    entry->last = step;
    return ENGINE_OK;
}

/* Tensor number `slot` of an operator's list; absent (-1) gives 0 with *there false. */
static int list_tensor(struct graph *graph, const struct operation *operation, const struct reader_vector *list,
                       uint32_t slot, struct tensor *tensor, bool *there)
{
    int32_t index = reader_item_i32(&graph->reader, list, slot);

    *there = index != -1;
    if (!*there) {
        return ENGINE_OK;
    }
    if (index < 0 || (uint32_t)index >= graph->tensors.count) {
        return fault(graph->error, ENGINE_E_MODEL, "operator %u %s: no tensor %u", operation->index,
                     graph_operator_name(operation->code), (uint32_t)index);
    }
    return graph_tensor(graph, (uint32_t)index, tensor);
}

static int use_inputs(struct plan *plan, struct graph *graph, const struct operation *operation, uint16_t step)
{
    for (uint32_t i = 0; i < operation->inputs.count; i++) {
        const uint32_t index = (uint32_t)reader_item_i32(&graph->reader, &operation->inputs, i);
        struct tensor tensor;
        bool there;
        int status;

        if (index < graph->tensors.count && plan->entries[index].bytes != 0) { /* computed by an operator before */
            plan->entries[plan_root(plan, index)].last = step;
            continue;
        }
        status = list_tensor(graph, operation, &operation->inputs, i, &tensor, &there);
        if (status == ENGINE_OK && there && tensor.constant == NULL) {
            status = fault(graph->error, ENGINE_E_MODEL, "operator %u %s: tensor %u is used before it is computed",
                           operation->index, graph_operator_name(operation->code), tensor.index);
        }
        if (status != ENGINE_OK) {
            return status;
        }
    }
    return ENGINE_OK;
}

/* Let the output share the bytes of input 0. */
static int share(struct plan *plan, struct graph *graph, const struct operation *operation, uint32_t output)
{
    int32_t input = operation->inputs.count > 0 ? reader_item_i32(&graph->reader, &operation->inputs, 0) : -1;

    if (input < 0 || plan->entries[input].bytes == 0) {
        return fault(graph->error, ENGINE_E_UNSUPPORTED, "operator %u %s: its input is a constant or missing",
                     operation->index, graph_operator_name(operation->code));
    }
    if (plan->entries[input].bytes != plan->entries[output].bytes) {
        return fault(graph->error, ENGINE_E_MODEL, "operator %u %s: input and output differ in size", operation->index,
                     graph_operator_name(operation->code));
    }
    plan->entries[output].root = (uint16_t)plan_root(plan, (uint32_t)input);
    return ENGINE_OK;
}

static int make_outputs(struct plan *plan, struct graph *graph, const struct operation *operation, uint16_t step,
                        bool alias)
{
    struct tensor tensor;
    bool there = false;
    int status = ENGINE_OK;

    if (operation->outputs.count == 1) {
        status = list_tensor(graph, operation, &operation->outputs, 0, &tensor, &there);
    }
    if (status == ENGINE_OK && !there) {
        status = fault(graph->error, ENGINE_E_UNSUPPORTED, "operator %u %s: %u outputs, want 1", operation->index,
                       graph_operator_name(operation->code), operation->outputs.count);
    }
    if (status == ENGINE_OK) {
        status = size_entry(plan, graph, &tensor, step);
    }
    if (status == ENGINE_OK && alias) {
        status = share(plan, graph, operation, tensor.index);
    }
    return status;
}

static int find_lives(struct plan *plan, struct graph *graph)
{
    uint16_t end = (uint16_t)(graph->operators.count + 1);
    struct tensor tensor;
    int status = graph_tensor(graph, graph->input, &tensor);

    if (status == ENGINE_OK) {
        status = size_entry(plan, graph, &tensor, 0);
    }
    for (uint32_t i = 0; status == ENGINE_OK && i < graph->operators.count; i++) {
        struct operation operation;
        const struct kernel *kernel;

        status = graph_operation(graph, i, &operation);
        if (status != ENGINE_OK) {
            break;
        }
        kernel = kernel_find(operation.code);
        if (kernel == NULL) {
            return fault(graph->error, ENGINE_E_UNSUPPORTED, "operator %u %s: not supported", i,
                         graph_operator_name(operation.code));
        }
        status = use_inputs(plan, graph, &operation, (uint16_t)(i + 1));
        if (status == ENGINE_OK) {
            status = make_outputs(plan, graph, &operation, (uint16_t)(i + 1), kernel->alias);
        }
    }
    if (status != ENGINE_OK) {
        return status;
    }
    if (plan->entries[graph->output].bytes == 0) {
        return fault(graph->error, ENGINE_E_MODEL, "model: no operator computes the output, tensor %u", graph->output);
    }
    plan->entries[graph->input].last = end;
    plan->entries[plan_root(plan, graph->output)].last = end;
    return ENGINE_OK;
}

/* Put the tensor at the lowest offset where it meets no tensor that is alive at the same time. The placed tensors are
 * a list by offset, so one walk finds both the gap and the place in the list. */
static int place(struct plan *plan, const struct graph *graph, uint16_t *head, uint16_t number)
{
    struct plan_entry *entry = &plan->entries[number];
    uint64_t offset = 0;
    uint16_t *link = head;

    for (uint16_t i = *head; i != NOBODY; i = plan->entries[i].next) {
        const struct plan_entry *other = &plan->entries[i];
        uint64_t other_end = (uint64_t)other->offset + other->bytes;

        if (other->first > entry->last || other->last < entry->first) {
            continue;
        }
        if (offset + entry->bytes <= other->offset) {
            break;
        }
        offset = other_end > offset ? other_end : offset;
    }
    if (offset + entry->bytes > INT32_MAX) {
        return fault(graph->error, ENGINE_E_ARENA, "arena: tensors need over 2 GB");
    }
    entry->offset = (uint32_t)offset;
    while (*link != NOBODY && plan->entries[*link].offset < entry->offset) {
        link = &plan->entries[*link].next;
    }
    entry->next = *link;
    *link = number;
    if (entry->offset + entry->bytes > plan->bytes) {
        plan->bytes = entry->offset + entry->bytes;
    }
    return ENGINE_OK;
}

int plan_live(struct plan *plan, struct graph *graph, struct plan_entry *entries)
{
    plan->entries = entries;
    plan->tensors = graph->tensors.count;
    plan->count = plan_entries(graph);
    plan->bytes = 0;
    for (uint32_t i = 0; i < plan->count; i++) {
        entries[i] = (struct plan_entry){.root = (uint16_t)i, .next = NOBODY};
    }
    return find_lives(plan, graph);
}

void plan_scratch(struct plan *plan, uint32_t operator_index, uint32_t bytes)
{
    struct plan_entry *entry = &plan->entries[plan->tensors + operator_index];

    entry->bytes = round_up(bytes);
    entry->first = entry->last = (uint16_t)(operator_index + 1);
}

bool plan_merge(struct plan *plan, uint32_t operator_index, uint32_t input, uint32_t output)
{
    uint32_t root = plan_root(plan, input);
    struct plan_entry *from = &plan->entries[root];
    struct plan_entry *to = &plan->entries[output];

    if (from->last != operator_index + 1 || from->bytes != to->bytes || plan_root(plan, output) != output) {
        return false;
    }
    from->last = to->last;
    to->root = (uint16_t)root;
    return true;
}

/* A list of what is to be placed, the largest first, of equals the one with the lower number. */
static uint16_t sort_by_size(struct plan *plan)
{
    uint16_t head = NOBODY;

    for (uint16_t i = 0; i < plan->count; i++) {
        struct plan_entry *entry = &plan->entries[i];
        uint16_t *link = &head;

        if (entry->bytes == 0 || entry->root != i) {
            continue;
        }
        while (*link != NOBODY && plan->entries[*link].bytes >= entry->bytes) {
            link = &plan->entries[*link].next;
        }
        entry->next = *link;
        *link = i;
    }
    return head;
}

int plan_place(struct plan *plan, const struct graph *graph)
{
    uint16_t waiting = sort_by_size(plan);
    uint16_t placed = NOBODY;
    int status = ENGINE_OK;

    while (status == ENGINE_OK && waiting != NOBODY) {
        uint16_t number = waiting;

        waiting = plan->entries[number].next;
        status = place(plan, graph, &placed, number);
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        plan->entries[i].offset = plan->entries[plan_root(plan, i)].offset;
    }
    return status;
}
