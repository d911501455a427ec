/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include "board.h"
#include "frames.h"
#include "wire_table.h"

#include <string.h>

enum { DEVICE_READ_BYTES = 128 }; /* at a time */

void device_deselect(struct device *device)
{
    device->engine = NULL;
    device->model = NULL;
    device->refusal = NULL;
    device->has_results = false;
    device->has_window = false;
    input_drop(&device->input);
}

/* What the core cannot serve although the engine can. NULL: nothing. */
static const char *device_objection(const struct device *device)
{
    const struct engine_tensor *input = engine_input(device->engine);
    const struct engine_tensor *output = engine_output(device->engine);
    if (input->type != ENGINE_INT8 && input->type != ENGINE_FLOAT32) {
        return WIRE_REASON_INPUT_TYPE;
    }
    if (input->type != ENGINE_INT8 && device->model->input == MODEL_INPUT_UINT8) {
        return WIRE_REASON_INPUT_PIXELS;
    }
    if (output->type != ENGINE_INT8 && output->type != ENGINE_FLOAT32) {
        return WIRE_REASON_OUTPUT_TYPE;
    }
    if (device->model->result == MODEL_RESULT_MSE &&
        (device->model->input != MODEL_INPUT_FLOAT32 ||
         bench_output_elements(device->engine) != bench_wire_bytes(device->engine, device->model) / sizeof(float))) {
        return WIRE_REASON_RESULT_MSE;
    }
    return bench_wire_bytes(device->engine, device->model) > device->config.input_bytes ? WIRE_REASON_INPUT_LARGE
                                                                                        : NULL;
}

void device_select(struct device *device, const struct model *model)
{
    device_deselect(device);
    device->model = model;
    if (engine_load(&device->engine, model->data, model->bytes, device->config.arena, device->config.arena_bytes,
                    &device->error) < 0) {
        device->engine = NULL;
        device->refusal = device->error.text;
        return;
    }
    device->refusal = device_objection(device);
    if (device->refusal != NULL) {
        device->engine = NULL;
    }
}

void device_start(struct device *device, const struct device_config *config)
{
    memset(device, 0, sizeof *device);
    device->config = *config;
    device->mode = WIRE_MODE_PERFORMANCE;
    device->boot_baud = board_uart_baud();
    wire_reset(&device->wire);
    input_init(&device->input, config->input, config->input_bytes);
    device_deselect(device);
    if (model_count > 0) {
        device_select(device, &model_table[0]);
    }
    device_banner(device);
    say_ready(&device->reply);
}

/* A good command or frame has been answered: the host is there, and at this rate. */
static void device_was_good(struct device *device)
{
    if (board_uart_baud() != device->boot_baud) {
        device->good_us = board_clock_us();
    }
}

static void device_answer(struct device *device, enum wire_event event, const struct wire_command *command)
{
    struct reply *reply = &device->reply;
    switch (event) {
    case WIRE_EVENT_NONE:
        return;
    case WIRE_EVENT_COMMAND:
        device_command(device, command);
        break;
    case WIRE_EVENT_UNKNOWN:
        say_error_unknown_command(reply, command->word);
        break;
    case WIRE_EVENT_EMPTY:
        say_error_empty(reply);
        break;
    case WIRE_EVENT_TOO_MANY:
        if (command->id == WIRE_COMMAND_DB || command->id == WIRE_COMMAND_DB_LOAD) {
            input_fail(&device->input); /* data are missing or doubled: a terminator was lost */
            device->has_results = false;
        }
        say_error_too_many_arguments(reply, command->excess);
        break;
    case WIRE_EVENT_TOO_LONG:
        say_error_line_too_long(reply, command->length, WIRE_LINE_BYTES);
        break;
    case WIRE_EVENT_INVALID:
        say_error_invalid_byte(reply, command->byte);
        break;
    case WIRE_EVENT_OVERRUN:
        say_error_overrun(reply);
        break;
    }
    say_ready(reply);
    if (device->next_baud != 0) {
        board_uart_flush();
        (void)board_uart_set_baud(device->next_baud); /* possible: it was asked before */
        device->next_baud = 0;
    }
    if (event == WIRE_EVENT_COMMAND) {
        device_was_good(device);
    }
}

static void device_overrun(struct device *device)
{
    /* Answered at the next terminator, so that replies and commands stay in step. */
    wire_overrun(&device->wire);
    if (device->frames.on) {
        frame_spoil(&device->frames.reader);
    }
    if (device->input.state != INPUT_GROWING) { /* of which no frame can be missing: they have numbers */
        input_fail(&device->input);
    }
}

/* Whether the byte belongs to a frame, and the work on it. */
static bool device_feed_frame(struct device *device, uint8_t byte)
{
    struct frame frame;
    switch (frame_feed(&device->frames.reader, byte, &frame)) {
    case FRAME_EVENT_TEXT:
        return false;
    case FRAME_EVENT_NONE:
        break;
    case FRAME_EVENT_WHOLE:
        frames_take(device, &frame);
        device_was_good(device);
        break;
    case FRAME_EVENT_DAMAGED:
        frames_damaged(device);
        break;
    }
    return true;
}

/* What a silence of the host means that ended with the bytes just read. Whether they are to be dropped. */
static bool device_silence(struct device *device, uint64_t waited_us, uint64_t now_us)
{
    if (waited_us > WIRE_FRAME_PAUSE_MS * UINT64_C(1000)) {
        frame_drop(&device->frames.reader);
    }
    if (board_uart_baud() == device->boot_baud || now_us - device->good_us <= WIRE_BAUD_REVERT_MS * UINT64_C(1000)) {
        return false;
    }
    board_uart_flush();
    (void)board_uart_set_baud(device->boot_baud);
    wire_reset(&device->wire);
    frame_drop(&device->frames.reader);
    return true;
}

void device_poll(struct device *device)
{
    uint8_t bytes[DEVICE_READ_BYTES];
    /* The clock is of interest only then: what waits in the queue while the core is busy is no silence of the host. */
    const bool timed = frame_is_open(&device->frames.reader) || board_uart_baud() != device->boot_baud;
    const uint64_t before_us = timed ? board_clock_us() : 0;
    const int count = board_uart_read(bytes, sizeof bytes);
    if (count < 0) {
        device_overrun(device);
        return;
    }
    if (timed) {
        const uint64_t now_us = board_clock_us();
        if (device_silence(device, now_us - before_us, now_us)) {
            return;
        }
    }
    for (int i = 0; i < count; i++) {
        if (device->frames.on && device_feed_frame(device, bytes[i])) {
            continue;
        }
        struct wire_command command;
        const enum wire_event event = wire_feed(&device->wire, bytes[i], &command);
        device_answer(device, event, &command);
    }
}
