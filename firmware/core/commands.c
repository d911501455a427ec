/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of any MLPerf Tiny device, and who answers which. */
#include "commands.h"

#include "board.h"
#include "wire_table.h"

#include <stddef.h>

static bool with_laps(const struct device *device)
{
    return device->mode != WIRE_MODE_ENERGY;
}

static bool with_edges(const struct device *device)
{
    return device->mode != WIRE_MODE_PERFORMANCE;
}

/* m-lap-us is 32 bits wide, as in stock firmware, and wraps. */
static void say_clock(struct reply *reply, uint64_t clock_us)
{
    say_lap(reply, (uint32_t)clock_us);
}

void command_say_no_model(struct device *device)
{
    if (device->refusal != NULL) {
        say_error_model_refused(&device->reply, device->model->id, device->refusal);
    } else {
        say_error_model_none(&device->reply);
    }
}

/* Whether a whole input is there; says why not. */
static bool check_input(struct device *device)
{
    switch (device->input.state) {
    case INPUT_IDLE:
        say_error_input_none(&device->reply);
        return false;
    case INPUT_LOADING:
        say_error_input_short(&device->reply, device->input.count, device->input.size);
        return false;
    case INPUT_GROWING:
        say_error_input_open(&device->reply, device->input.count);
        return false;
    case INPUT_FAILED:
    case INPUT_SPOILT:
        say_error_load_failed(&device->reply);
        return false;
    case INPUT_WHOLE:
        break;
    }
    return true;
}

static void command_help(struct device *device)
{
    reply_text(&device->reply, WIRE_PROFILE);
    reply_line_end(&device->reply);
    for (size_t i = 0; i < sizeof wire_help / sizeof wire_help[0]; i++) {
        reply_text(&device->reply, wire_help[i]);
        reply_line_end(&device->reply);
    }
}

static void command_timestamp(struct device *device)
{
    const uint64_t clock_us = board_clock_us();
    if (with_edges(device)) {
        bench_pulse();
    }
    if (with_laps(device)) {
        say_clock(&device->reply, clock_us);
    }
}

static void command_profile(struct device *device)
{
    say_profile(&device->reply, WIRE_PROFILE);
    if (device->engine == NULL) {
        command_say_no_model(device);
    } else {
        say_model(&device->reply, device->model->id);
    }
}

static void command_db_load(struct device *device, const struct wire_command *command)
{
    struct reply *reply = &device->reply;
    uint32_t size = 0;
    /* Whatever comes of this command, what was loaded before it is of no use any more. */
    input_fail(&device->input);
    device->has_results = false;
    if (command->count == 0) {
        say_error_db_load_argument(reply);
        return;
    }
    const enum wire_number number = wire_parse_u32(command->arguments[0], &size);
    if (number == WIRE_NUMBER_BAD) {
        say_error_number(reply, command->arguments[0]);
    } else if (number == WIRE_NUMBER_NEGATIVE || size == 0) {
        say_error_db_load_zero(reply);
    } else if (input_begin(&device->input, size) < 0) {
        say_error_oversize(reply, size, device->input.capacity);
    } else {
        say_expecting(reply, size);
    }
}

static void command_db(struct device *device, const struct wire_command *command)
{
    struct reply *reply = &device->reply;
    const char *bad = NULL;
    if (command->count == 0) {
        say_error_db_subcommand(reply);
        return;
    }
    const bool failed = device->input.state == INPUT_FAILED || device->input.state == INPUT_SPOILT;
    switch ((enum input_status)input_add_hex(&device->input, command->arguments[0], &bad)) {
    case INPUT_DONE:
        say_load_done(reply);
        break;
    case INPUT_E_STATE:
        if (failed) {
            say_error_load_failed(reply);
        } else {
            say_error_data_before_load(reply);
        }
        break;
    case INPUT_E_HEX_COUNT:
        say_error_hex_count(reply);
        break;
    case INPUT_E_HEX_DIGIT: {
        const char pair[] = {bad[0], bad[1], '\0'};
        say_error_hex_digit(reply, pair);
        break;
    }
    case INPUT_OK:
    case INPUT_E_CAPACITY: /* of input_begin and of frames only */
    case INPUT_E_CRC:
    case INPUT_E_KEEP:
        break;
    }
}

static void command_db_print(struct device *device)
{
    const struct input *input = &device->input;
    for (uint32_t start = 0; start < input->count; start += WIRE_BUFFER_BYTES) {
        say_buffer_begin(&device->reply);
        for (uint32_t i = start; i < input->count && i < start + WIRE_BUFFER_BYTES; i++) {
            if (i > start) {
                reply_text(&device->reply, "-");
            }
            reply_hex8(&device->reply, input->bytes[i]);
        }
        say_buffer_end(&device->reply);
    }
}

static void command_db_crc(struct device *device)
{
    if (check_input(device)) {
        say_crc32(&device->reply, device->input.crc);
    }
}

/* The numbers of `infer`; says what is wrong with them. */
static bool parse_infer(struct device *device, const struct wire_command *command, uint32_t *runs, uint32_t *warmup)
{
    struct reply *reply = &device->reply;
    const enum wire_number first = command->count > 0 ? wire_parse_u32(command->arguments[0], runs) : WIRE_NUMBER_OK;
    if (first == WIRE_NUMBER_BAD) {
        say_error_number(reply, command->arguments[0]);
        return false;
    }
    if (first == WIRE_NUMBER_NEGATIVE || *runs == 0) {
        say_error_iterations(reply);
        return false;
    }
    const enum wire_number second = command->count > 1 ? wire_parse_u32(command->arguments[1], warmup) : WIRE_NUMBER_OK;
    if (second == WIRE_NUMBER_BAD) {
        say_error_number(reply, command->arguments[1]);
    } else if (second == WIRE_NUMBER_NEGATIVE) {
        say_error_warmup(reply);
    }
    return second == WIRE_NUMBER_OK;
}

bool command_check_infer(struct device *device)
{
    if (device->engine == NULL) {
        command_say_no_model(device);
        return false;
    }
    if (!check_input(device)) {
        return false;
    }
    const size_t needed = bench_wire_bytes(device->engine, device->model);
    if (device->input.size != needed) {
        say_error_input_size(&device->reply, device->input.size, device->model->id, (uint32_t)needed);
        return false;
    }
    return true;
}

static void say_outputs(struct device *device)
{
    bench_say_results(device->engine, device->model, &device->input, &device->reply);
}

static void say_outputs_crc(struct device *device)
{
    bench_say_output(device->engine, &device->reply);
}

/* `say` writes the outputs. */
static void command_infer(struct device *device, const struct wire_command *command, void (*say)(struct device *))
{
    struct reply *reply = &device->reply;
    uint32_t runs = WIRE_ITERATIONS;
    uint32_t warmup = WIRE_WARMUP;
    if (!parse_infer(device, command, &runs, &warmup) || !command_check_infer(device)) {
        return;
    }
    device->has_results = false;
    device->has_window = false;
    bench_fill(device->engine, device->model, &device->input);
    say_warmup_start(reply, warmup);
    int status = bench_warm_up(device->engine, warmup);
    if (status == ENGINE_OK) {
        say_warmup_done(reply);
        say_infer_start(reply, runs);
        board_uart_flush();
        status = bench_time(device->engine, runs, with_edges(device), &device->window);
    }
    if (status != ENGINE_OK) {
        say_error_engine_failed(reply, (uint32_t)-status);
        return;
    }
    device->has_window = true;
    device->has_results = true;
    if (with_laps(device)) {
        say_clock(reply, device->window.start_us);
        say_clock(reply, device->window.end_us);
    }
    say_infer_done(reply);
    say(device);
}

static void say_prof(const struct profile *profile, struct reply *reply)
{
    for (uint32_t i = 0; i < profile->count; i++) {
        const struct profile_operator *entry = &profile->operators[i];
        if (entry->runs > 0) {
            say_prof_operator(reply, i, entry->runs, entry->us, profile->has_cycles ? entry->cycles : 0);
        }
    }
    say_prof_whole(reply, profile->runs, profile->whole_us, profile->has_cycles ? profile->whole_cycles : 0);
}

static void command_prof(struct device *device, const struct wire_command *command)
{
    struct reply *reply = &device->reply;
    struct profile profile = {.operators = device->config.operators, .capacity = device->config.operators_capacity};
    uint32_t runs = WIRE_ITERATIONS;
    uint32_t warmup = WIRE_WARMUP;
    if (!parse_infer(device, command, &runs, &warmup) || !command_check_infer(device)) {
        return;
    }
    device->has_results = false;
    bench_fill(device->engine, device->model, &device->input);
    board_uart_flush();
    int status = bench_warm_up(device->engine, warmup);
    if (status == ENGINE_OK) {
        status = profile_run(device->engine, runs, &profile);
    }
    if (status != ENGINE_OK) {
        say_error_engine_failed(reply, (uint32_t)-status);
        return;
    }
    if (profile.too_many) {
        say_error_prof_operators(reply, device->model->id, profile.capacity);
        return;
    }
    device->has_results = true;
    say_prof(&profile, reply);
    bench_say_output(device->engine, reply);
}

static void command_results(struct device *device)
{
    if (device->has_results) {
        say_outputs(device);
    } else {
        say_error_results_none(&device->reply);
    }
}

static void command_results_raw(struct device *device, const struct wire_command *command)
{
    uint32_t numbers[] = {0, UINT32_MAX}; /* offset and count */
    if (!device->has_results) {
        say_error_results_none(&device->reply);
        return;
    }
    for (unsigned i = 0; i < command->count; i++) {
        if (wire_parse_u32(command->arguments[i], &numbers[i]) != WIRE_NUMBER_OK) {
            say_error_number(&device->reply, command->arguments[i]);
            return;
        }
    }
    const uint32_t size = (uint32_t)engine_output(device->engine)->bytes;
    if (numbers[0] >= size) {
        say_error_output_range(&device->reply, size, numbers[0]);
    } else {
        bench_say_raw(device->engine, &device->reply, numbers[0], numbers[1]);
    }
}

void device_banner(struct device *device)
{
    say_timestamp_mode(&device->reply, wire_modes[device->mode]);
    command_timestamp(device);
    say_init_done(&device->reply);
}

void device_command(struct device *device, const struct wire_command *command)
{
    switch (command->id) {
    case WIRE_COMMAND_HELP:
        command_help(device);
        break;
    case WIRE_COMMAND_NAME:
        say_name(&device->reply, WIRE_VENDOR);
        break;
    case WIRE_COMMAND_TIMESTAMP:
        command_timestamp(device);
        break;
    case WIRE_COMMAND_PROFILE:
        command_profile(device);
        break;
    case WIRE_COMMAND_DB_LOAD:
        command_db_load(device, command);
        break;
    case WIRE_COMMAND_DB_PRINT:
        command_db_print(device);
        break;
    case WIRE_COMMAND_DB_CRC:
        command_db_crc(device);
        break;
    case WIRE_COMMAND_DB:
        command_db(device, command);
        break;
    case WIRE_COMMAND_INFER:
        command_infer(device, command, say_outputs);
        break;
    case WIRE_COMMAND_INFER_CRC:
        command_infer(device, command, say_outputs_crc);
        break;
    case WIRE_COMMAND_RESULTS_RAW:
        command_results_raw(device, command);
        break;
    case WIRE_COMMAND_PROF:
        command_prof(device, command);
        break;
    case WIRE_COMMAND_RESULTS:
        command_results(device);
        break;
    case WIRE_COMMAND_MODEL:
        command_model(device, command);
        break;
    case WIRE_COMMAND_MODE:
        command_mode(device, command);
        break;
    case WIRE_COMMAND_INFO:
        command_info(device);
        break;
    case WIRE_COMMAND_FRAMES:
        command_frames(device, command);
        break;
    case WIRE_COMMAND_BAUD:
        command_baud(device, command);
        break;
    case WIRE_COMMAND_COUNT:
        break;
    }
}
