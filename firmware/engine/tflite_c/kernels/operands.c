/* SPDX-License-Identifier: Apache-2.0 */
#include "operands.h"

#include "../fault.h"
#include "../schema.h"
#include "common.h"

/* "operator 3 PAD: paddings is INT64, want INT32" */
static int refuse_type(struct load *load, const struct tensor *tensor, const char *what, const char *wanted)
{
    return fault(load->graph.error, ENGINE_E_UNSUPPORTED, "operator %u %s: %s is %s, want %s", load->operation.index,
                 graph_operator_name(load->operation.code), what, graph_type_name(tensor->type), wanted);
}

int operands_read_list(struct load *load, uint32_t slot, const char *what, struct operands_list *list)
{
    struct tensor tensor;
    int status = load_input(load, slot, what, &tensor);

    if (status != ENGINE_OK) {
        return status;
    }
    if (tensor.type != TYPE_INT32) {
        return refuse_type(load, &tensor, what, "INT32");
    }
    if (tensor.constant == NULL) {
        return fault(load->graph.error, ENGINE_E_UNSUPPORTED, "operator %u %s: %s is not constant",
                     load->operation.index, graph_operator_name(load->operation.code), what);
    }
    list->items.at = (uint32_t)(tensor.constant - load->graph.reader.bytes);
    list->items.count = tensor.elements;
    return ENGINE_OK;
}

int32_t operands_item(const struct load *load, const struct operands_list *list, uint32_t index)
{
    return reader_item_i32(&load->graph.reader, &list->items, index);
}

bool operands_same_shape(const struct tensor *a, const struct tensor *b)
{
    if (a->rank != b->rank) {
        return false;
    }
    for (int32_t i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    return true;
}

int operands_read_unary(struct load *load, struct tensor *input, struct tensor *output)
{
    int status;

    if ((status = load_input(load, 0, "input", input)) != ENGINE_OK ||
        (status = load_output(load, output)) != ENGINE_OK ||
        (status = common_check_int8(load, input, "input")) != ENGINE_OK ||
        (status = common_check_int8(load, output, "output")) != ENGINE_OK) {
        return status;
    }
    if (!operands_same_shape(input, output)) {
        return load_refuse(load, ENGINE_E_MODEL, "shapes of input and output differ");
    }
    return ENGINE_OK;
}

int operands_check_moved(struct load *load, const struct tensor *tensor, const char *what)
{
    if (tensor->type == TYPE_INT8) {
        return common_check_int8(load, tensor, what);
    }
    if (tensor->type != TYPE_INT32 && tensor->type != TYPE_FLOAT32) {
        return refuse_type(load, tensor, what, "INT8, INT32 or FLOAT32");
    }
    return ENGINE_OK;
}

int operands_check_alike(struct load *load, const struct tensor *input, const struct tensor *output)
{
    if (input->type != output->type) {
        return load_refuse(load, ENGINE_E_MODEL, "types of input and output differ");
    }
    if (input->type == TYPE_INT8 && (input->scale != output->scale || input->zero_point != output->zero_point)) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "quantization of input and output differs");
    }
    return ENGINE_OK;
}
