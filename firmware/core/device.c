/* SPDX-License-Identifier: Apache-2.0 */
#include "device.h"

#include "board.h"
#include "wire_table.h"

#include <string.h>

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
    return input->bytes > device->config.input_bytes ? WIRE_REASON_INPUT_LARGE : NULL;
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
    wire_reset(&device->wire);
    input_init(&device->input, config->input, config->input_bytes);
    device_deselect(device);
    if (model_count > 0) {
        device_select(device, &model_table[0]);
    }
    device_banner(device);
    say_ready(&device->reply);
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
}

void device_poll(struct device *device)
{
    uint8_t bytes[WIRE_LINE_BYTES];
    const int count = board_uart_read(bytes, sizeof bytes);
    if (count < 0) {
        /* Answered at the next terminator, so that replies and commands stay in step. */
        wire_overrun(&device->wire);
        input_fail(&device->input);
        return;
    }
    for (int i = 0; i < count; i++) {
        struct wire_command command;
        const enum wire_event event = wire_feed(&device->wire, bytes[i], &command);
        device_answer(device, event, &command);
    }
}
