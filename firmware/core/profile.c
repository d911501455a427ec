/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include "bench.h"
#include "board.h"

#include <string.h>

static void profile_start_clocks(struct profile *profile)
{
    profile->last_us = board_clock_us();
    (void)board_cycles(&profile->last_cycle);
}

/* Time since the clocks were started. */
static void profile_stop_clocks(struct profile *profile, uint64_t *us, uint32_t *cycles)
{
    uint32_t cycle = 0;
    const bool counted = board_cycles(&cycle);
    *us = board_clock_us() - profile->last_us;
    *cycles = cycle - profile->last_cycle;
    profile->has_cycles = profile->has_cycles && counted && bench_cycles_fit(*us);
}

void profile_observe(void *context, uint32_t operator_index)
{
    struct profile *profile = context;
    uint64_t us;
    uint32_t cycles;
    profile_stop_clocks(profile, &us, &cycles);
    if (operator_index >= profile->capacity) {
        profile->too_many = true;
    } else {
        struct profile_operator *entry = &profile->operators[operator_index];
        entry->us += us;
        entry->cycles += cycles;
        entry->runs++;
        if (operator_index >= profile->count) {
            profile->count = operator_index + 1U;
        }
    }
    profile_start_clocks(profile);
}

/* One inference that nobody watches. */
static int profile_run_whole(struct engine *engine, struct profile *profile)
{
    uint64_t us;
    uint32_t cycles;
    profile_start_clocks(profile);
    const int status = engine_run(engine);
    profile_stop_clocks(profile, &us, &cycles);
    profile->whole_us += us;
    profile->whole_cycles += cycles;
    return status;
}

int profile_run(struct engine *engine, uint32_t runs, struct profile *profile)
{
    int status = ENGINE_OK;
    memset(profile->operators, 0, profile->capacity * sizeof *profile->operators);
    profile->count = 0;
    profile->too_many = false;
    profile->has_cycles = true;
    profile->runs = runs;
    profile->whole_us = 0;
    profile->whole_cycles = 0;
    for (uint32_t i = 0; i < runs && status == ENGINE_OK && !profile->too_many; i++) {
        status = profile_run_whole(engine, profile);
        if (status == ENGINE_OK) {
            profile_start_clocks(profile);
            status = engine_run_observed(engine, profile_observe, profile);
        }
    }
    return status;
}
