/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include "board.h"
#include "crc.h"
#include "wire_table.h"

#include <string.h>

static size_t bench_elements(const struct engine_tensor *tensor)
{
    return tensor->type == ENGINE_FLOAT32 ? tensor->bytes / sizeof(float) : tensor->bytes;
}

size_t bench_wire_bytes(const struct engine *engine, const struct model *model)
{
    const struct engine_tensor *tensor = engine_input(engine);
    return model->input == MODEL_INPUT_FLOAT32 ? bench_elements(tensor) * sizeof(float) : tensor->bytes;
}

/* A float of the wire: the bytes have any alignment. */
static float bench_wire_float(const struct input *input, size_t index)
{
    float value;
    memcpy(&value, input->bytes + index * sizeof value, sizeof value);
    return value;
}

/* roundf(value / scale) + zero_point, clamped; without a call of libm, and defined for whatever the wire brings. */
static int8_t bench_quantise(float value, const struct engine_tensor *tensor)
{
    const float limit =
        1024.0F; /* beyond it all is clamped, as a zero point has 8 bits; within it a float has halves */
    float scaled = value / tensor->scale;
    if (!(scaled > -limit)) {
        scaled = scaled <= -limit ? -limit : 0.0F; /* the latter is no number */
    } else if (scaled > limit) {
        scaled = limit;
    }
    int32_t whole = (int32_t)scaled; /* towards zero */
    const float rest = scaled - (float)whole;
    whole += rest >= 0.5F ? 1 : rest <= -0.5F ? -1 : 0;
    whole += tensor->zero_point;
    return (int8_t)(whole < INT8_MIN ? INT8_MIN : whole > INT8_MAX ? INT8_MAX : whole);
}

static void bench_fill_float32(const struct engine_tensor *tensor, const struct input *input)
{
    if (tensor->type == ENGINE_FLOAT32) {
        memcpy(tensor->data, input->bytes, input->size);
        return;
    }
    for (size_t i = 0; i < tensor->bytes; i++) {
        const int8_t quantised = bench_quantise(bench_wire_float(input, i), tensor);
        memcpy((uint8_t *)tensor->data + i, &quantised, 1);
    }
}

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
    case MODEL_INPUT_FLOAT32:
        bench_fill_float32(engine_input(engine), input);
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
    while (board_clock_us() - start_us <= BENCH_PULSE_US) { /* one tick more: the first one may be short */
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
    return (uint32_t)bench_elements(engine_output(engine));
}

uint32_t bench_results(const struct engine *engine, const struct model *model)
{
    return model->result == MODEL_RESULT_MSE ? 1U : bench_output_elements(engine);
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

/* The official recipe, in single precision and from the first to the last. */
static float bench_mean_squared_error(const struct engine *engine, const struct input *input)
{
    const uint32_t count = bench_output_elements(engine);
    float sum = 0.0F;
    for (uint32_t i = 0; i < count; i++) {
        const float difference = bench_output_value(engine_output(engine), i) - bench_wire_float(input, i);
        const float square = difference * difference; /* -std=c99: not fused with the addition */
        sum += square;
    }
    return sum / (float)count;
}

void bench_say_results(const struct engine *engine, const struct model *model, const struct input *input,
                       struct reply *reply)
{
    const uint32_t count = bench_results(engine, model);
    say_results_begin(reply);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            reply_text(reply, ",");
        }
        reply_float(reply, model->result == MODEL_RESULT_MSE ? bench_mean_squared_error(engine, input)
                                                             : bench_output_value(engine_output(engine), i));
    }
    say_results_end(reply);
}
