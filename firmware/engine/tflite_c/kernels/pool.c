/* SPDX-License-Identifier: Apache-2.0 */
#include "pool.h"

enum { OPTION_PADDING = 0, OPTION_STRIDE_W, OPTION_STRIDE_H, OPTION_FILTER_W, OPTION_FILTER_H, OPTION_ACTIVATION };

enum { MAX_TAPS = 1 << 23 }; /* so many int8 values that their sum and its rounding fit in 31 bits */

static int32_t smaller(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static int check(struct load *load, const struct tensor *input, const struct tensor *output)
{
    float difference = input->scale - output->scale;

    if (input->dims[3] != output->dims[3]) {
        return load_refuse(load, ENGINE_E_MODEL, "channels of input and output differ");
    }
    if (input->zero_point != output->zero_point || difference > 1.0e-6f || difference < -1.0e-6f) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "quantization of input and output differs");
    }
    return ENGINE_OK;
}

int pool_prepare(struct load *load, struct pool *pool)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *options = &load->operation.options;
    struct tensor input, output;
    struct common_window window;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_image(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_image(load, &output, "output")) != ENGINE_OK ||
        (status = check(load, &input, &output)) != ENGINE_OK) {
        return status;
    }
    window.padding = reader_i8(reader, options, OPTION_PADDING, PADDING_SAME);
    window.stride_h = reader_i32(reader, options, OPTION_STRIDE_H, 0);
    window.stride_w = reader_i32(reader, options, OPTION_STRIDE_W, 0);
    window.dilation_h = 1;
    window.dilation_w = 1;
    window.taps_h = reader_i32(reader, options, OPTION_FILTER_H, 0);
    window.taps_w = reader_i32(reader, options, OPTION_FILTER_W, 0);
    if ((status = common_make_axes(load, &window, &input, &output, &pool->y, &pool->x)) != ENGINE_OK ||
        (status = common_make_range(load, &output, reader_i8(reader, options, OPTION_ACTIVATION, ACTIVATION_NONE),
                                    &pool->low, &pool->high)) != ENGINE_OK) {
        return status;
    }
    if (smaller(window.taps_h, input.dims[1]) * smaller(window.taps_w, input.dims[2]) > MAX_TAPS) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "window over 8388608 taps");
    }
    pool->input = load_source(load, &input);
    pool->output = load_target(load, &output);
    pool->channels = (uint16_t)input.dims[3];
    return ENGINE_OK;
}
