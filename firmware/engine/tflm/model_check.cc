/* SPDX-License-Identifier: Apache-2.0 */
#include "model_check.h"

#include "tensorflow/lite/schema/schema_generated.h"
#include "tensorflow/lite/schema/schema_utils.h"

namespace
{

constexpr uint32_t SCHEMA_VERSION = 3;
constexpr uint32_t MAX_TENSOR_BYTES = INT32_MAX; /* upstream multiplies dimensions in int */

using Indices = flatbuffers::Vector<int32_t>;

/* 0 for a type that none of the operators takes. */
uint32_t type_bytes(tflite::TensorType type)
{
    switch (type) {
    case tflite::TensorType_INT8:
    case tflite::TensorType_UINT8:
    case tflite::TensorType_BOOL:
        return 1;
    case tflite::TensorType_INT16:
        return 2;
    case tflite::TensorType_INT32:
    case tflite::TensorType_FLOAT32:
        return 4;
    case tflite::TensorType_INT64:
        return 8;
    default:
        return 0;
    }
}

/* Upstream looks up the dimension that has one scale for each of its elements. */
bool scales_hold(const tflite::Tensor &tensor)
{
    const auto *quantization = tensor.quantization();
    if (quantization == nullptr || quantization->scale() == nullptr || quantization->scale()->size() <= 1) {
        return true;
    }
    const int32_t dimension = quantization->quantized_dimension();
    const auto *shape = tensor.shape();
    return shape != nullptr && dimension >= 0 && static_cast<uint32_t>(dimension) < shape->size() &&
           quantization->scale()->size() == static_cast<uint32_t>(shape->Get(static_cast<uint32_t>(dimension)));
}

int check_tensor(const tflite::Model &model, const tflite::Tensor &tensor, unsigned number, engine_error *error)
{
    uint64_t bytes = type_bytes(tensor.type());
    if (bytes == 0) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "tensor %u: type %s", number,
                      tflite::EnumNameTensorType(tensor.type()));
    }
    if (tensor.sparsity() != nullptr) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "tensor %u: sparse", number);
    }
    if (tensor.shape() != nullptr) {
        for (const int32_t dimension : *tensor.shape()) {
            if (dimension <= 0) {
                return refuse(error, ENGINE_E_MODEL, "tensor %u: a dimension of %d", number,
                              static_cast<int>(dimension));
            }
            bytes *= static_cast<uint32_t>(dimension);
            if (bytes > MAX_TENSOR_BYTES) {
                return refuse(error, ENGINE_E_MODEL, "tensor %u: shape overflows", number);
            }
        }
    }
    if (!scales_hold(tensor)) {
        return refuse(error, ENGINE_E_MODEL, "tensor %u: its scales do not fit its shape", number);
    }
    if (tensor.buffer() >= model.buffers()->size()) {
        return refuse(error, ENGINE_E_MODEL, "tensor %u: no such buffer", number);
    }
    const auto *buffer = model.buffers()->Get(tensor.buffer());
    const auto *data = buffer->data();
    if (buffer->offset() > 1) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "tensor %u: data outside the model", number);
    }
    if (data != nullptr && data->size() > 0 && data->size() < bytes) {
        return refuse(error, ENGINE_E_MODEL, "tensor %u: %u bytes of data, want %u", number,
                      static_cast<unsigned>(data->size()), static_cast<unsigned>(bytes));
    }
    return ENGINE_OK;
}

bool indices_hold(const Indices *indices, int32_t tensors, int32_t least)
{
    if (indices == nullptr) {
        return false;
    }
    for (const int32_t index : *indices) {
        if (index < least || index >= tensors) {
            return false;
        }
    }
    return true;
}

int check_operator(const tflite::Model &model, const tflite::Operator &operation, int32_t tensors, unsigned number,
                   const tflite::MicroOpResolver &operators, engine_error *error)
{
    if (operation.opcode_index() >= model.operator_codes()->size()) {
        return refuse(error, ENGINE_E_MODEL, "operator %u: no such code", number);
    }
    const auto code = tflite::GetBuiltinCode(model.operator_codes()->Get(operation.opcode_index()));
    if (operators.FindOp(code) == nullptr) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "operator %u %s: not supported", number,
                      tflite::EnumNameBuiltinOperator(code));
    }
    constexpr int32_t LEFT_OUT = -1; /* an optional input */
    if (!indices_hold(operation.inputs(), tensors, LEFT_OUT) || !indices_hold(operation.outputs(), tensors, 0) ||
        (operation.intermediates() != nullptr && !indices_hold(operation.intermediates(), tensors, 0))) {
        return refuse(error, ENGINE_E_MODEL, "operator %u %s: no such tensor", number,
                      tflite::EnumNameBuiltinOperator(code));
    }
    return ENGINE_OK;
}

int check_graph(const tflite::Model &model, const tflite::SubGraph &graph, const tflite::MicroOpResolver &operators,
                engine_error *error)
{
    if (graph.tensors() == nullptr || graph.operators() == nullptr) {
        return refuse(error, ENGINE_E_MODEL, "no tensors or no operators");
    }
    const auto tensors = static_cast<int32_t>(graph.tensors()->size());
    if (!indices_hold(graph.inputs(), tensors, 0) || !indices_hold(graph.outputs(), tensors, 0)) {
        return refuse(error, ENGINE_E_MODEL, "inputs or outputs: no such tensor");
    }
    if (graph.inputs()->size() != 1 || graph.outputs()->size() != 1) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "%u inputs and %u outputs, want one of each",
                      static_cast<unsigned>(graph.inputs()->size()), static_cast<unsigned>(graph.outputs()->size()));
    }
    int status = ENGINE_OK;
    for (unsigned i = 0; status == ENGINE_OK && i < graph.tensors()->size(); i++) {
        status = check_tensor(model, *graph.tensors()->Get(i), i, error);
    }
    for (unsigned i = 0; status == ENGINE_OK && i < graph.operators()->size(); i++) {
        status = check_operator(model, *graph.operators()->Get(i), tensors, i, operators, error);
    }
    return status;
}

} // namespace

int model_check(const void *data, size_t bytes, const tflite::MicroOpResolver &operators, engine_error *error)
{
    flatbuffers::Verifier verifier(static_cast<const uint8_t *>(data), bytes);
    if (!tflite::VerifyModelBuffer(verifier)) {
        return refuse(error, ENGINE_E_MODEL, "no .tflite file, or a damaged one: an offset does not hold");
    }
    const tflite::Model &model = *tflite::GetModel(data);
    if (model.version() != SCHEMA_VERSION) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "schema version %u, want %u", static_cast<unsigned>(model.version()),
                      static_cast<unsigned>(SCHEMA_VERSION));
    }
    if (model.subgraphs() == nullptr || model.buffers() == nullptr || model.operator_codes() == nullptr) {
        return refuse(error, ENGINE_E_MODEL, "no subgraphs, buffers or operator codes");
    }
    if (model.subgraphs()->size() != 1) {
        return refuse(error, ENGINE_E_UNSUPPORTED, "%u subgraphs, want 1",
                      static_cast<unsigned>(model.subgraphs()->size()));
    }
    return check_graph(model, *model.subgraphs()->Get(0), operators, error);
}
