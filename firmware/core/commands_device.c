/* SPDX-License-Identifier: Apache-2.0 */
/* The commands about the device itself: its models, its mode, what it is, its line. Ours only. */
#include "commands.h"

#include "board.h"
#include "frames.h"

#include <stdbool.h>

void command_model(struct device *device, const struct wire_command *command)
{
    if (command->count > 0) {
        const struct model *found = NULL;
        for (uint32_t i = 0; i < model_count && found == NULL; i++) {
            found = wire_same(model_table[i].id, command->arguments[0]) ? &model_table[i] : NULL;
        }
        if (found == NULL) {
            device_deselect(device);
            say_error_model_unknown(&device->reply, command->arguments[0]);
            return;
        }
        device_select(device, found);
    }
    if (device->engine == NULL) {
        command_say_no_model(device);
    } else {
        say_model(&device->reply, device->model->id);
    }
}

void command_mode(struct device *device, const struct wire_command *command)
{
    if (command->count > 0) {
        unsigned mode = 0;
        while (mode < (unsigned)WIRE_MODE_COUNT && !wire_same(wire_modes[mode], command->arguments[0])) {
            mode++;
        }
        if (mode == (unsigned)WIRE_MODE_COUNT) {
            say_error_mode_unknown(&device->reply, command->arguments[0]);
            return;
        }
        device->mode = (enum wire_mode)mode;
    }
    say_timestamp_mode(&device->reply, wire_modes[device->mode]);
}

static void put_model_list(struct reply *reply)
{
    for (uint32_t i = 0; i < model_count; i++) {
        reply_text(reply, i > 0 ? "," : "");
        reply_text(reply, model_table[i].id);
    }
}

/* Facts of the active model: 0 or "none" without one. */
static void put_model_fact(struct device *device, enum wire_info key)
{
    struct reply *reply = &device->reply;
    const bool active = device->engine != NULL;
    if (key == WIRE_INFO_MODEL) {
        reply_text(reply, active ? device->model->id : "none");
    } else if (key == WIRE_INFO_MODEL_SHA256) {
        reply_text(reply, active ? device->model->sha256 : "none");
    } else if (key == WIRE_INFO_MODEL_BYTES) {
        reply_decimal(reply, active ? device->model->bytes : 0U);
    } else if (key == WIRE_INFO_ARENA_BYTES) {
        reply_decimal(reply, active ? engine_arena_bytes(device->engine) : 0U);
    } else if (key == WIRE_INFO_INPUT_BYTES) {
        reply_decimal(reply, active ? bench_wire_bytes(device->engine, device->model) : 0U);
    } else {
        reply_decimal(reply, active ? bench_results(device->engine, device->model) : 0U);
    }
}

static void put_info(struct device *device, enum wire_info key)
{
    struct reply *reply = &device->reply;
    switch (key) {
    case WIRE_INFO_VERSION:
        reply_text(reply, build_version);
        break;
    case WIRE_INFO_BUILD_ID:
        reply_text(reply, build_id);
        break;
    case WIRE_INFO_BOARD:
        reply_text(reply, board_name());
        break;
    case WIRE_INFO_CORE_HZ:
        reply_decimal(reply, board_core_hz());
        break;
    case WIRE_INFO_ENGINE:
        reply_text(reply, engine_name());
        break;
    case WIRE_INFO_COMPILER:
        reply_text(reply, build_compiler);
        break;
    case WIRE_INFO_FLAGS:
        reply_text(reply, build_flags);
        break;
    case WIRE_INFO_MODELS:
        put_model_list(reply);
        break;
    case WIRE_INFO_MODEL:
    case WIRE_INFO_MODEL_SHA256:
    case WIRE_INFO_MODEL_BYTES:
    case WIRE_INFO_ARENA_BYTES:
    case WIRE_INFO_INPUT_BYTES:
    case WIRE_INFO_OUTPUT_ELEMENTS:
        put_model_fact(device, key);
        break;
    case WIRE_INFO_ARENA_CAPACITY_BYTES:
        reply_decimal(reply, device->config.arena_bytes);
        break;
    case WIRE_INFO_MODE:
        reply_text(reply, wire_modes[device->mode]);
        break;
    case WIRE_INFO_CYCLES:
        if (device->has_window && device->window.has_cycles) {
            reply_decimal(reply, device->window.cycles);
        } else {
            reply_text(reply, "none");
        }
        break;
    case WIRE_INFO_BAUD_MAX:
        reply_decimal(reply, board_uart_baud_max());
        break;
    case WIRE_INFO_COUNT:
        break;
    }
}

void command_info(struct device *device)
{
    for (unsigned key = 0; key < (unsigned)WIRE_INFO_COUNT; key++) {
        say_info_begin(&device->reply, wire_info_keys[key]);
        put_info(device, (enum wire_info)key);
        say_info_end(&device->reply);
    }
}

/* The only argument as a number; says what is wrong with it. */
static bool parse_one(struct device *device, const struct wire_command *command, uint32_t *number)
{
    const char *text = command->count > 0 ? command->arguments[0] : "";
    const bool good = wire_parse_u32(text, number) == WIRE_NUMBER_OK;
    if (!good) {
        say_error_number(&device->reply, text);
    }
    return good;
}

void command_frames(struct device *device, const struct wire_command *command)
{
    uint32_t version = 0;
    if (!parse_one(device, command, &version)) {
        return;
    }
    if (version != 0 && version != WIRE_FRAMES_VERSION) {
        say_error_frames_version(&device->reply, version, WIRE_FRAMES_VERSION);
        return;
    }
    frames_switch(device, version != 0);
    say_frames(&device->reply, version, WIRE_FRAME_PAYLOAD_BYTES, board_uart_capacity());
}

void command_baud(struct device *device, const struct wire_command *command)
{
    uint32_t baud = 0;
    if (!parse_one(device, command, &baud)) {
        return;
    }
    if (board_uart_baud_possible(baud)) {
        device->next_baud = baud;
        say_baud(&device->reply, baud);
    } else {
        say_error_baud(&device->reply, baud);
    }
}
