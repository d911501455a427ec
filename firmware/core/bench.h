/* SPDX-License-Identifier: Apache-2.0 */
/* One measurement: fill the input tensor, warm up, time a window of inferences, show the outputs. */
#ifndef TJ_BENCH_H
#define TJ_BENCH_H

#include "engine.h"
#include "input.h"
#include "model.h"
#include "reply.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A timed window. */
struct bench_window {
    uint64_t start_us;
    uint64_t end_us;
    uint32_t cycles; /* of the core; holds something only with has_cycles */
    bool has_cycles; /* false on a core without a counter, or when the window is so long that it wrapped */
};

/* Bytes of one input on the wire. */
size_t bench_wire_bytes(const struct engine *engine, const struct model *model);

/* Turn the bytes of the wire into the model's input tensor. `input` is whole and has bench_wire_bytes(). A float is
 * quantised as the official firmware does it: divided by the scale in single precision, rounded half away from zero,
 * clamped; one that is no number becomes the zero point. */
void bench_fill(const struct engine *engine, const struct model *model, const struct input *input);

/* Run `runs` >= 0 inferences. Returns 0 or the engine's negative status. */
int bench_warm_up(struct engine *engine, uint32_t runs);

/* Time `runs` > 0 inferences; with `edges` the timing pin falls at the start and at the end. The first pulse lies
 * between the edges and not between the clock reads. Blocks; everything sent so far must have left the UART, or its
 * interrupts are measured too. Returns 0 or the engine's negative status; *window is filled in both cases. */
int bench_time(struct engine *engine, uint32_t runs, bool edges, struct bench_window *window);

/* Whether the cycle counter's 32 bits cannot have wrapped in so long a time, by the clock of the core. */
bool bench_cycles_fit(uint64_t duration_us);

/* How long the timing pin stays low: two samples of a power monitor whose logic input takes 100,000 in a second. */
enum { BENCH_PULSE_US = 25 };

/* A falling edge of the timing pin: low for at least BENCH_PULSE_US, then high again. Blocks meanwhile. */
void bench_pulse(void);

/* Values of the output tensor; and those of the m-results line. */
uint32_t bench_output_elements(const struct engine *engine);
uint32_t bench_results(const struct engine *engine, const struct model *model);

/* The m-output line: size and CRC-32 of the output tensor's bytes, as they lie in memory. */
void bench_say_output(const struct engine *engine, struct reply *reply);

/* m-raw lines: `count` bytes of the output tensor from `offset` on, fewer at its end. */
void bench_say_raw(const struct engine *engine, struct reply *reply, uint32_t offset, uint32_t count);

/* The m-results line: the output tensor, dequantised, or its error against `input`, which is what it was made of. */
void bench_say_results(const struct engine *engine, const struct model *model, const struct input *input,
                       struct reply *reply);

#endif
