/* SPDX-License-Identifier: Apache-2.0 */
/* Where an inference's time goes: microseconds, and cycles where the core counts them, of each operator, beside those
 * of engine_run() alone. Nothing of this runs unless it is asked for: engine_run() has no hooks. */
#ifndef TJ_PROFILE_H
#define TJ_PROFILE_H

#include "engine.h"

#include <stdbool.h>
#include <stdint.h>

/* What one operator took in all runs together. */
struct profile_operator {
    uint64_t us;
    uint64_t cycles; /* of the core; holds something only with has_cycles */
    uint32_t runs;   /* how often it ran; 0 where the engine left it out, because it costs nothing */
};

struct profile {
    /* The caller's, before profile_run(). */
    struct profile_operator *operators; /* by the operator's index in the model */
    uint32_t capacity;                  /* of them */

    /* Filled by profile_run(). */
    uint32_t count;        /* operators up to the last one that ran */
    bool too_many;         /* the model has an operator that `operators` has no room for: nothing else holds */
    bool has_cycles;       /* false on a core without a counter, or when an inference is so long that it wrapped */
    uint32_t runs;         /* of the whole model, as often observed as not */
    uint64_t whole_us;     /* of engine_run() */
    uint64_t whole_cycles; /* of engine_run(); holds something only with has_cycles */

    /* Private: the clocks when the last operator was dealt with. */
    uint64_t last_us;
    uint32_t last_cycle;
};

/* Run the input tensor 2 * `runs` times (runs > 0): engine_run() and engine_run_observed() by turns, so that whatever
 * changes meanwhile (a temperature, a frequency) changes both. Blocks; everything sent so far must have left the UART.
 * Each operator's time has the resolution of board_clock_us(), 1 us, in each run, and holds what one call of the clock
 * takes; what is done with the time is in no operator's.
 * Returns 0 or the engine's negative status; look at too_many as well. */
int profile_run(struct engine *engine, uint32_t runs, struct profile *profile);

/* The engine_observer of profile_run(); `context` is its profile. Has a name because the emulator's instruction counter
 * looks for it: what it executes is no operator's. */
void profile_observe(void *context, uint32_t operator_index);

#endif
