/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

static int read_tensors(struct load *load, struct window_tensors *tensors)
{
    int status;

    if ((status = load_input(load, 0, "input", &tensors->input)) != ENGINE_OK ||
        (status = load_output(load, &tensors->output)) != ENGINE_OK ||
        (status = common_check_image(load, &tensors->input, "input")) != ENGINE_OK ||
        (status = common_check_image(load, &tensors->output, "output")) != ENGINE_OK ||
        (status = common_read_weights(load, 4, &tensors->weights)) != ENGINE_OK) {
        return status;
    }
    if (tensors->weights.elements / (uint32_t)tensors->output.dims[3] > COMMON_MAX_PRODUCTS) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "over 65535 products per output");
    }
    return ENGINE_OK;
}

int window_prepare(struct load *load, const struct window_options *options, struct window_tensors *tensors,
                   struct window *window)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *table = &load->operation.options;
    struct common_window sizes;
    int status = read_tensors(load, tensors);

    if (status != ENGINE_OK) {
        return status;
    }
    if (tensors->weights.dims[options->channel_dimension] != tensors->output.dims[3]) {
        return load_refuse(load, ENGINE_E_MODEL, "weights' output channels differ from the output's");
    }
    sizes.padding = reader_i8(reader, table, options->padding, PADDING_SAME);
    sizes.stride_h = reader_i32(reader, table, options->stride_h, 0);
    sizes.stride_w = reader_i32(reader, table, options->stride_w, 0);
    sizes.dilation_h = reader_i32(reader, table, options->dilation_h, 1);
    sizes.dilation_w = reader_i32(reader, table, options->dilation_w, 1);
    sizes.taps_h = tensors->weights.dims[1];
    sizes.taps_w = tensors->weights.dims[2];
    if ((status = common_make_axes(load, &sizes, &tensors->input, &tensors->output, &window->y, &window->x)) !=
            ENGINE_OK ||
        (status = common_make_output(
             load, &tensors->input, &tensors->weights, &tensors->output, options->channel_dimension,
             reader_i8(reader, table, options->activation, ACTIVATION_NONE), &window->out)) != ENGINE_OK) {
        return status;
    }
    window->input = load_source(load, &tensors->input);
    window->weights = load_source(load, &tensors->weights);
    window->output = load_target(load, &tensors->output);
    window->in_channels = (uint16_t)tensors->input.dims[3];
    window->out_channels = (uint16_t)tensors->output.dims[3];
    window->input_zero_point = (int16_t)tensors->input.zero_point;
    return ENGINE_OK;
}

static bool is_point(const struct common_axis *axis)
{
    return axis->taps == 1 && axis->stride == 1;
}

bool window_is_in_place(const struct window *window)
{
    /* Padding beyond the image would keep more rows than there are, and their bytes could overflow. */
    return window->y.stride == 1 && window->x.stride == 1 && window->y.in == window->y.out &&
           window->x.in == window->x.out && window->in_channels == window->out_channels && window->y.pad < window->y.in;
}

uint32_t window_kept_bytes(const struct window *window)
{
    if (is_point(&window->y) && is_point(&window->x)) {
        return 0;
    }
    return (uint32_t)(window->y.pad + 1) * window->x.in * window->in_channels;
}

void window_keep_row(const struct window *window, int32_t oy)
{
    const uint32_t bytes = (uint32_t)window->x.in * window->in_channels;

    if (window->kept != NULL) {
        common_copy(window->kept + (uint32_t)(oy % (window->y.pad + 1)) * bytes, window->input + (uint32_t)oy * bytes,
                    bytes);
    }
}
