/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include "bench.h"
#include "commands.h"
#include "wire_table.h"

#include <string.h>

enum {
    NUMBERS_HALF = 128, /* a number less than that ahead of the wanted one is a later frame, the others are old ones */
    CRC_BYTES = 4,      /* of the whole input, behind its last bytes */
    KEEP_BYTES = 4,     /* how many bytes of the input before */
    RESULT_HEAD_BYTES = 12,
    ERROR_LINE_BYTES = 256 /* of the longest error that fits a frame whole */
};

void frames_switch(struct device *device, bool on)
{
    struct frames *frames = &device->frames;
    frame_drop(&frames->reader);
    frames->on = on;
    frames->wanted = 0;
    frames->gap = false;
    frames->beyond = 0;
    if (device->input.state == INPUT_GROWING || device->input.state == INPUT_SPOILT) {
        input_drop(&device->input);
    }
    device->input.framed = false; /* a new host knows nothing of it */
}

static void say_number(struct device *device, enum wire_frame_type type)
{
    frame_begin(&device->frames.writer, type, device->frames.wanted);
    frame_end(&device->frames.writer);
}

/* Errors have one spelling, as lines; a frame carries what is between the brackets. */
static void say_refused(struct device *device, uint8_t number, const uint8_t *line, size_t count)
{
    const size_t begin = sizeof WIRE_ERROR_BEGIN - 1;
    const size_t end = sizeof WIRE_ERROR_END WIRE_LINE_END - 1;
    if (count >= begin + end && memcmp(line, WIRE_ERROR_BEGIN, begin) == 0) {
        line += begin;
        count -= begin + end;
    } else if (count >= sizeof WIRE_LINE_END - 1) {
        count -= sizeof WIRE_LINE_END - 1;
    }
    frame_begin(&device->frames.writer, WIRE_FRAME_REFUSED, number);
    frame_add(&device->frames.writer, line, count);
    frame_end(&device->frames.writer);
}

static void say_result(struct device *device, uint8_t number)
{
    struct frame_writer *writer = &device->frames.writer;
    const struct engine_tensor *output = engine_output(device->engine);
    const uint32_t size = (uint32_t)output->bytes;
    uint32_t offset = 0;
    do {
        const uint32_t room = WIRE_FRAME_PAYLOAD_BYTES - RESULT_HEAD_BYTES;
        const uint32_t count = size - offset < room ? size - offset : room;
        frame_begin(writer, WIRE_FRAME_RESULT, number);
        frame_add_u32(writer, device->input.crc);
        frame_add_u32(writer, size);
        frame_add_u32(writer, offset);
        frame_add(writer, (const uint8_t *)output->data + offset, count);
        frame_end(writer);
        offset += count;
    } while (offset < size);
}

/* Take a frame's share of the input; says what is wrong with it. */
static bool take_bytes(struct device *device, const uint8_t *bytes, uint32_t count)
{
    struct input *input = &device->input;
    device->has_results = false;
    if (input_add_bytes(input, bytes, count) != INPUT_E_CAPACITY) {
        return true; /* bytes behind others that were refused: the load's last frame says so */
    }
    say_error_oversize(&device->reply, input->count + count, input->capacity);
    return false;
}

/* The input begins like the one before it ended; says why it does not. */
static bool take_keep(struct device *device, const struct frame *frame)
{
    struct input *input = &device->input;
    const bool is_short = frame->count < KEEP_BYTES;
    const uint32_t count = is_short ? 0 : frame_u32(frame->payload);
    const uint32_t size = input_keepable(input);
    device->has_results = false;
    if (input_keep(input, count) != INPUT_E_KEEP) {
        return true; /* as with take_bytes() */
    }
    if (is_short) {
        say_error_frame_short(&device->reply, frame->count, KEEP_BYTES);
    } else {
        say_error_keep(&device->reply, count, size);
    }
    return false;
}

/* The load's last frame; says what is wrong with the input. */
static bool take_last(struct device *device, const struct frame *frame)
{
    struct input *input = &device->input;
    if (frame->count < CRC_BYTES) {
        input_fail(input);
        device->has_results = false;
        say_error_frame_short(&device->reply, frame->count, CRC_BYTES);
        return false;
    }
    const uint32_t count = frame->count - CRC_BYTES;
    const uint32_t crc = frame_u32(frame->payload + count);
    if (!take_bytes(device, frame->payload, count)) {
        input_fail(input);
        return false;
    }
    const bool spoilt = input->state == INPUT_SPOILT;
    switch ((enum input_status)input_finish(input, crc)) {
    case INPUT_E_CRC:
        say_error_input_crc(&device->reply, input->crc, crc);
        return false;
    case INPUT_E_STATE:
        if (spoilt) {
            say_error_load_failed(&device->reply);
        } else {
            say_error_db_load_zero(&device->reply);
        }
        return false;
    default:
        return true;
    }
}

/* All of a frame but the inference of `run`; says what is wrong. */
static bool take_frame(struct device *device, const struct frame *frame)
{
    switch (frame->type) {
    case WIRE_FRAME_DATA:
        return take_bytes(device, frame->payload, frame->count);
    case WIRE_FRAME_LOAD:
        return take_last(device, frame);
    case WIRE_FRAME_RUN:
        return take_last(device, frame) && command_check_infer(device);
    case WIRE_FRAME_KEEP:
        return take_keep(device, frame);
    case WIRE_FRAME_PING:
        return true;
    default:
        say_error_frame_type(&device->reply, frame->type);
        return false;
    }
}

static bool run(struct device *device)
{
    bench_fill(device->engine, device->model, &device->input);
    const int status = bench_warm_up(device->engine, 1);
    device->has_results = status == ENGINE_OK;
    if (!device->has_results) {
        say_error_engine_failed(&device->reply, (uint32_t)-status);
    }
    return device->has_results;
}

void frames_take(struct device *device, const struct frame *frame)
{
    struct frames *frames = &device->frames;
    const uint8_t ahead = (uint8_t)(frame->number - frames->wanted);
    uint8_t line[ERROR_LINE_BYTES];
    if (ahead >= NUMBERS_HALF) {
        say_number(device, WIRE_FRAME_ACCEPTED);
        return;
    }
    if (ahead > 0) {
        /* Told again when the host has gone back since: the numbers in a gap go up but then. */
        const bool again = !frames->gap || ahead <= frames->beyond;
        frames->gap = true;
        frames->beyond = ahead;
        if (again) {
            say_number(device, WIRE_FRAME_AGAIN);
        }
        return;
    }
    frames->wanted++;
    frames->gap = false;
    frames->beyond = 0;
    reply_keep(&device->reply, line, sizeof line);
    const bool good = take_frame(device, frame);
    size_t count = reply_kept(&device->reply);
    if (!good) {
        say_refused(device, frame->number, line, count);
    }
    say_number(device, WIRE_FRAME_ACCEPTED);
    if (!good || frame->type != WIRE_FRAME_RUN) {
        return;
    }
    reply_keep(&device->reply, line, sizeof line);
    const bool ran = run(device);
    count = reply_kept(&device->reply);
    if (ran) {
        say_result(device, frame->number);
    } else {
        say_refused(device, frame->number, line, count);
    }
}

void frames_damaged(struct device *device)
{
    struct frames *frames = &device->frames;
    if (!frames->gap) {
        frames->gap = true;
        frames->beyond = 0;
        say_number(device, WIRE_FRAME_AGAIN);
    }
}
