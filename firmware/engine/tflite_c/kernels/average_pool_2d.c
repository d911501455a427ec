/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, int8. Taps outside the image count neither in the sum nor in the divisor. */
#include "kernels.h"
#include "pool.h"

/* The sum of one channel. */
static int32_t sum_window(const struct pool *pool, const struct pool_window *window, int32_t channel)
{
    const int32_t channels = pool->channels;
    int32_t sum = 0;

    for (int32_t y = 0; y < window->rows; y++) {
        const int8_t *row = window->input + y * pool->x.in * channels + channel;

        for (int32_t x = 0; x < window->columns; x++) {
            sum += row[x * channels];
        }
    }
    return sum;
}

static void average_pool_2d_run(const struct step *step)
{
    const struct pool *pool = (const struct pool *)(const void *)step;
    int8_t *output = pool->output;

    for (int32_t oy = 0; oy < pool->y.out; oy++) {
        for (int32_t ox = 0; ox < pool->x.out; ox++) {
            struct pool_window window = pool_window_at(pool, oy, ox);
            int32_t count = window.rows * window.columns;

            for (int32_t c = 0; c < pool->channels; c++) {
                int32_t sum = sum_window(pool, &window, c);
                int32_t mean = (sum > 0 ? sum + count / 2 : sum - count / 2) / count;

                *output++ = quantize_to_int8(mean, 0, pool->low, pool->high);
            }
        }
    }
}

int average_pool_2d_prepare(struct load *load)
{
    struct pool pool = {.step = {average_pool_2d_run, 0, 0}};
    int status = pool_prepare(load, &pool);

    return status == ENGINE_OK ? load_keep(load, &pool.step, sizeof pool) : status;
}
