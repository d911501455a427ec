/* SPDX-License-Identifier: Apache-2.0 */
/* MAX_POOL_2D, int8. */
#include "kernels.h"
#include "pool.h"

static int8_t largest(const struct pool *pool, const struct pool_window *window, int32_t channel)
{
    int8_t result = pool->low;

    for (int32_t y = 0; y < window->rows; y++) {
        const int8_t *row = window->input + y * pool->x.in * pool->channels + channel;

        for (int32_t x = 0; x < window->columns; x++) {
            int8_t value = row[x * pool->channels];

            result = value > result ? value : result;
        }
    }
    return result < pool->high ? result : pool->high;
}

static void max_pool_2d_run(const struct step *step)
{
    const struct pool *pool = (const struct pool *)(const void *)step;
    int8_t *output = pool->output;

    for (int32_t oy = 0; oy < pool->y.out; oy++) {
        for (int32_t ox = 0; ox < pool->x.out; ox++) {
            struct pool_window window = pool_window_at(pool, oy, ox);

            for (int32_t c = 0; c < pool->channels; c++) {
                *output++ = largest(pool, &window, c);
            }
        }
    }
}

int max_pool_2d_prepare(struct load *load)
{
    struct pool pool = {.step = {max_pool_2d_run, 0, 0}};
    int status = pool_prepare(load, &pool);

    return status == ENGINE_OK ? load_keep(load, &pool.step, sizeof pool) : status;
}
