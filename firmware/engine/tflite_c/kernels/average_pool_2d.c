/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, int8. Taps outside the image count neither in the sum nor in the divisor. */
#include "common.h"
#include "kernels.h"

enum { OPTION_PADDING = 0, OPTION_STRIDE_W, OPTION_STRIDE_H, OPTION_FILTER_W, OPTION_FILTER_H, OPTION_ACTIVATION };

enum { MAX_TAPS = 1 << 23 }; /* so many int8 values that their sum and its rounding fit in 31 bits */

struct average_pool_2d {
    struct step step;
    const int8_t *input;
    int8_t *output;
    struct common_axis y, x;
    uint16_t channels;
    int8_t low, high;
};

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

static void average_pool_2d_run(const struct step *step);

int average_pool_2d_prepare(struct load *load)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *options = &load->operation.options;
    struct tensor input, output;
    struct average_pool_2d pool = {.step = {NULL, 0, 0}};
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
    if ((status = common_make_axes(load, &window, &input, &output, &pool.y, &pool.x)) != ENGINE_OK ||
        (status = common_make_range(load, &output, reader_i8(reader, options, OPTION_ACTIVATION, ACTIVATION_NONE),
                                    &pool.low, &pool.high)) != ENGINE_OK) {
        return status;
    }
    if (smaller(window.taps_h, input.dims[1]) * smaller(window.taps_w, input.dims[2]) > MAX_TAPS) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "window over 8388608 taps");
    }
    pool.input = load_source(load, &input);
    pool.output = load_target(load, &output);
    pool.channels = (uint16_t)input.dims[3];
    pool.step.run = average_pool_2d_run;
    return load_keep(load, &pool.step, sizeof pool);
}

/* The sum of one channel; `input` is its first value in the window. */
static int32_t sum_window(const struct average_pool_2d *pool, int32_t rows, int32_t columns, const int8_t *input)
{
    const int32_t channels = pool->channels;
    int32_t sum = 0;

    for (int32_t y = 0; y < rows; y++) {
        const int8_t *row = input + y * pool->x.in * channels;

        for (int32_t x = 0; x < columns; x++) {
            sum += row[x * channels];
        }
    }
    return sum;
}

static void average_pool_2d_run(const struct step *step)
{
    const struct average_pool_2d *pool = (const struct average_pool_2d *)(const void *)step;
    int8_t *output = pool->output;

    for (int32_t oy = 0; oy < pool->y.out; oy++) {
        struct common_taps y = common_taps_at(&pool->y, oy);

        for (int32_t ox = 0; ox < pool->x.out; ox++) {
            struct common_taps x = common_taps_at(&pool->x, ox);
            /* At least 1 each: with SAME or VALID every window meets the image. */
            int32_t rows = y.end - y.first;
            int32_t columns = x.end - x.first;
            int32_t count = rows * columns;
            const int8_t *input = pool->input + (y.from * pool->x.in + x.from) * pool->channels;

            for (int32_t c = 0; c < pool->channels; c++) {
                int32_t sum = sum_window(pool, rows, columns, input + c);
                int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;

                *output++ = quantize_to_int8(mean, 0, pool->low, pool->high);
            }
        }
    }
}
