/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "board.h"
#include "crc.h"
#include "wire_table.h"

#include <string.h>

void bench_fill(const struct engine *engine, const struct model *model, const struct input *input)
{
    uint8_t *tensor = engine_input(engine)->data;
    switch (model->input) {
    case MODEL_INPUT_AS_IS:
        memcpy(tensor, input->bytes, input->size);
        break;
    case MODEL_INPUT_UINT8:
        for (uint32_t i = 0; i < input->size; i++) {
            tensor[i] = input->bytes[i] ^ 0x80U; /* minus 128, as the bits of an int8 */
        }
        break;
    }
}

int bench_warm_up(struct engine *engine, uint32_t runs)
{
    int status = ENGINE_OK;
    for (uint32_t i = 0; i < runs && status == ENGINE_OK; i++) {
        status = engine_run(engine);
    }
    return status;
}

void bench_pulse(void)
{
    board_timing_pin_set(false);
    const uint64_t start_us = board_clock_us();
    while (board_clock_us() - start_us < 2U) { /* two ticks are one whole microsecond at least */
    }
    board_timing_pin_set(true);
}

bool bench_cycles_fit(uint64_t duration_us)
{
    const uint64_t core_hz = board_core_hz();
    return core_hz > 0 && duration_us < ((uint64_t)UINT32_MAX * 1000000U) / core_hz;
}

int bench_time(struct engine *engine, uint32_t runs, bool edges, struct bench_window *window)
{
    int status = ENGINE_OK;
    uint32_t first_cycle = 0;
    uint32_t last_cycle = 0;
    if (edges) {
        bench_pulse();
    }
    const bool counted = board_cycles(&first_cycle);
    const uint64_t start_us = board_clock_us();
    for (uint32_t i = 0; i < runs && status == ENGINE_OK; i++) {
        status = engine_run(engine);
    }
    const uint64_t end_us = board_clock_us();
    (void)board_cycles(&last_cycle);
    if (edges) {
        bench_pulse();
    }
    window->start_us = start_us;
    window->end_us = end_us;
    window->cycles = last_cycle - first_cycle;
    window->has_cycles = counted && bench_cycles_fit(end_us - start_us);
    return status;
}

uint32_t bench_output_elements(const struct engine *engine)
{
    const struct engine_tensor *output = engine_output(engine);
    return (uint32_t)(output->type == ENGINE_FLOAT32 ? output->bytes / sizeof(float) : output->bytes);
}

void bench_say_output(const struct engine *engine, struct reply *reply)
{
    const struct engine_tensor *output = engine_output(engine);
    say_output(reply, (uint32_t)output->bytes, crc_add(0, output->data, output->bytes));
}

void bench_say_raw(const struct engine *engine, struct reply *reply, uint32_t offset, uint32_t count)
{
    const struct engine_tensor *output = engine_output(engine);
    const uint8_t *bytes = output->data;
    const size_t left = output->bytes > offset ? output->bytes - offset : 0;
    const size_t end = offset + (count < left ? count : left);
    for (size_t start = offset; start < end; start += WIRE_BUFFER_BYTES) {
        say_raw_begin(reply);
        for (size_t i = start; i < end && i < start + WIRE_BUFFER_BYTES; i++) {
            if (i > start) {
                reply_text(reply, "-");
            }
            reply_hex8(reply, bytes[i]);
        }
        say_raw_end(reply);
    }
}

static float bench_output_value(const struct engine_tensor *output, uint32_t index)
{
    if (output->type == ENGINE_FLOAT32) {
        float value;
        memcpy(&value, (const uint8_t *)output->data + index * sizeof value, sizeof value);
        return value;
    }
    int8_t quantised;
    memcpy(&quantised, (const uint8_t *)output->data + index, 1);
    return output->scale * (float)((int64_t)quantised - output->zero_point);
}

void bench_say_results(const struct engine *engine, struct reply *reply)
{
    const uint32_t count = bench_output_elements(engine);
    say_results_begin(reply);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            reply_text(reply, ",");
        }
        reply_float(reply, bench_output_value(engine_output(engine), i));
    }
    say_results_end(reply);
}
