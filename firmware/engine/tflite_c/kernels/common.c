/* SPDX-License-Identifier: Apache-2.0 */
#include "common.h"

#include "../fault.h"

/* "operator 3 CONV_2D: <what> <why>" */
static int refuse_tensor(struct load *load, enum engine_status status, const char *what, const char *why)
{
    return fault(load->graph.error, status, "operator %u %s: %s %s", load->operation.index,
                 graph_operator_name(load->operation.code), what, why);
}

int common_check_int8(struct load *load, const struct tensor *tensor, const char *what)
{
    if (tensor->type != TYPE_INT8) {
        return fault(load->graph.error, ENGINE_E_UNSUPPORTED, "operator %u %s: %s is %s, want INT8",
                     load->operation.index, graph_operator_name(load->operation.code), what,
                     graph_type_name(tensor->type));
    }
    if (tensor->scales.count != 1 || tensor->scale <= 0.0f) {
        return refuse_tensor(load, ENGINE_E_MODEL, what, "has not one scale > 0");
    }
    if (tensor->zero_point < INT8_MIN || tensor->zero_point > INT8_MAX) {
        return refuse_tensor(load, ENGINE_E_MODEL, what, "has a zero point outside INT8");
    }
    return ENGINE_OK;
}

int common_check_image(struct load *load, const struct tensor *tensor, const char *what)
{
    int status = common_check_int8(load, tensor, what);

    if (status != ENGINE_OK) {
        return status;
    }
    if (tensor->rank != 4) {
        return refuse_tensor(load, ENGINE_E_UNSUPPORTED, what, "has not 4 dimensions");
    }
    if (tensor->dims[0] != 1) {
        return refuse_tensor(load, ENGINE_E_UNSUPPORTED, what, "has a batch other than 1");
    }
    for (int i = 1; i < 4; i++) {
        if (tensor->dims[i] > COMMON_MAX_SIZE) {
            return refuse_tensor(load, ENGINE_E_UNSUPPORTED, what, "has a dimension over 32767");
        }
    }
    return ENGINE_OK;
}

/* TFLM's ComputeOutSize and ComputePadding. */
static int make_axis(struct load *load, int32_t padding, int32_t in, int32_t out, int32_t taps, int32_t stride,
                     int32_t dilation, struct common_axis *axis)
{
    int64_t span, room, pad;

    if (taps < 1 || stride < 1 || dilation < 1 || taps > COMMON_MAX_SIZE || stride > COMMON_MAX_SIZE ||
        dilation > COMMON_MAX_SIZE) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "kernel, stride or dilation not in 1 to 32767");
    }
    span = ((int64_t)taps - 1) * dilation + 1;
    if (span > COMMON_MAX_SIZE) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "dilated kernel over 32767");
    }
    if (padding != PADDING_SAME && padding != PADDING_VALID) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "padding neither SAME nor VALID");
    }
    room = padding == PADDING_SAME ? (int64_t)in - 1 : in - span;
    if (room < 0 || room / stride + 1 != out) {
        return load_refuse(load, ENGINE_E_MODEL, "output size does not follow from input, kernel and stride");
    }
    pad = ((int64_t)out - 1) * stride + span - in;
    axis->in = (uint16_t)in;
    axis->out = (uint16_t)out;
    axis->taps = (uint16_t)taps;
    axis->stride = (uint16_t)stride;
    axis->dilation = (uint16_t)(taps > 1 ? dilation : 1);
    axis->pad = (uint16_t)(pad > 0 ? pad / 2 : 0);
    return ENGINE_OK;
}

int common_make_axes(struct load *load, const struct common_window *window, const struct tensor *input,
                     const struct tensor *output, struct common_axis *y, struct common_axis *x)
{
    int status = make_axis(load, window->padding, input->dims[1], output->dims[1], window->taps_h, window->stride_h,
                           window->dilation_h, y);

    if (status == ENGINE_OK) {
        status = make_axis(load, window->padding, input->dims[2], output->dims[2], window->taps_w, window->stride_w,
                           window->dilation_w, x);
    }
    if (status == ENGINE_OK && (uint64_t)y->dilation * x->in * (uint32_t)input->dims[3] > INT32_MAX) {
        /* Can only be far outside the image, and the step from tap to tap would overflow. */
        status = load_refuse(load, ENGINE_E_UNSUPPORTED, "dilation over 2 GB of input");
    }
    return status;
}

/* The quantized value of a small real; TFLM divides in float. */
static int8_t quantize_limit(float real, const struct tensor *tensor)
{
    return quantize_from_float(real / tensor->scale, tensor->zero_point);
}

int common_make_range(struct load *load, const struct tensor *output, int32_t activation, int8_t *low, int8_t *high)
{
    *low = INT8_MIN;
    *high = INT8_MAX;
    switch (activation) {
    case ACTIVATION_NONE:
        return ENGINE_OK;
    case ACTIVATION_RELU:
        *low = quantize_limit(0.0f, output);
        return ENGINE_OK;
    case ACTIVATION_RELU6:
        *low = quantize_limit(0.0f, output);
        *high = quantize_limit(6.0f, output);
        return ENGINE_OK;
    case ACTIVATION_RELU_N1_TO_1:
        *low = quantize_limit(-1.0f, output);
        *high = quantize_limit(1.0f, output);
        return ENGINE_OK;
    default:
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "fused activation not supported");
    }
}

int common_read_weights(struct load *load, int32_t rank, struct tensor *weights)
{
    int status = load_input(load, 1, "weights", weights);

    if (status != ENGINE_OK) {
        return status;
    }
    if (weights->type != TYPE_INT8) {
        return fault(load->graph.error, ENGINE_E_UNSUPPORTED, "operator %u %s: weights are %s, want INT8",
                     load->operation.index, graph_operator_name(load->operation.code), graph_type_name(weights->type));
    }
    if (weights->constant == NULL) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "weights are not constant");
    }
    if (weights->rank != rank) {
        return load_refuse(load, ENGINE_E_MODEL, "weights have the wrong number of dimensions");
    }
    return ENGINE_OK;
}

static int read_bias(struct load *load, int32_t channels, const int32_t **bias)
{
    struct tensor tensor;
    int status;

    *bias = NULL;
    if (!load_has_input(load, 2)) {
        return ENGINE_OK;
    }
    status = load_input(load, 2, "bias", &tensor);
    if (status != ENGINE_OK) {
        return status;
    }
    if (tensor.type != TYPE_INT32) {
        return fault(load->graph.error, ENGINE_E_UNSUPPORTED, "operator %u %s: bias is %s, want INT32",
                     load->operation.index, graph_operator_name(load->operation.code), graph_type_name(tensor.type));
    }
    if (tensor.constant == NULL || tensor.elements != (uint32_t)channels) {
        return load_refuse(load, ENGINE_E_MODEL, "bias is not one constant per output channel");
    }
    if ((uintptr_t)tensor.constant % sizeof(int32_t) != 0) {
        return load_refuse(load, ENGINE_E_MODEL, "bias is not aligned to 4 bytes in the file");
    }
    *bias = (const int32_t *)(const void *)tensor.constant;
    return ENGINE_OK;
}

int common_make_output(struct load *load, const struct tensor *input, const struct tensor *weights,
                       const struct tensor *output, int32_t dimension, int32_t activation, struct common_output *out)
{
    int32_t channels = weights->dims[dimension];
    uint32_t count = weights->scales.count;
    int32_t *multipliers;
    int8_t *shifts;
    int status;

    if (count != 1 && (count != (uint32_t)channels || weights->quantized_dimension != dimension)) {
        return load_refuse(load, ENGINE_E_MODEL, "weights have neither one scale nor one per output channel");
    }
    out->per_channel = count != 1;
    out->zero_point = (int16_t)output->zero_point;
    status = common_make_range(load, output, activation, &out->low, &out->high);
    if (status == ENGINE_OK) {
        status = read_bias(load, channels, &out->bias);
    }
    if (status != ENGINE_OK) {
        return status;
    }
    /* Five bytes a channel: the multipliers first, so that they are aligned, then the shifts. */
    multipliers = load_reserve(load, count * (uint64_t)(sizeof *multipliers + sizeof *shifts));
    shifts = multipliers != NULL ? (int8_t *)(multipliers + count) : NULL;
    out->multipliers = multipliers;
    out->shifts = shifts;
    /* Not without room: a small file could ask for the same long table thousands of times. */
    for (uint32_t i = 0; multipliers != NULL && i < count; i++) {
        float weight_scale = reader_item_f32(&load->graph.reader, &weights->scales, i);
        double real = quantize_ratio(input->scale, weight_scale, output->scale);
        struct quantize_scale scale;

        if (weights->zero_points.count != 0 && reader_item_i64(&load->graph.reader, &weights->zero_points, i) != 0) {
            return load_refuse(load, ENGINE_E_UNSUPPORTED, "weights have a zero point other than 0");
        }
        if (!quantize_from_real(real, &scale)) {
            return load_refuse(load, ENGINE_E_UNSUPPORTED,
                               "scales of input, weights and output are too far apart or none");
        }
        multipliers[i] = scale.multiplier;
        shifts[i] = scale.shift;
    }
    return ENGINE_OK;
}
