/* SPDX-License-Identifier: Apache-2.0 */
#include "frame.h"

#include "board.h"
#include "crc.h"

enum { DELIMITER = 0, BLOCK_FULL = 0xFF /* length of a block after which no zero is due */ };

bool frame_is_open(const struct frame_reader *reader)
{
    return reader->state != FRAME_OUTSIDE;
}

void frame_drop(struct frame_reader *reader)
{
    reader->state = FRAME_OUTSIDE;
}

void frame_spoil(struct frame_reader *reader)
{
    if (reader->state != FRAME_OUTSIDE) {
        reader->state = FRAME_SPOILT;
    }
}

uint32_t frame_u32(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static enum frame_event frame_close(struct frame_reader *reader, struct frame *frame)
{
    const bool complete = reader->state == FRAME_INSIDE && reader->left == 0;
    reader->state = FRAME_OUTSIDE;
    if (!complete || reader->count < FRAME_HEAD_BYTES + FRAME_CRC_BYTES) {
        return FRAME_EVENT_DAMAGED;
    }
    const uint32_t covered = reader->count - FRAME_CRC_BYTES;
    if (crc_add(0, reader->bytes, covered) != frame_u32(reader->bytes + covered)) {
        return FRAME_EVENT_DAMAGED;
    }
    frame->type = reader->bytes[0];
    frame->number = reader->bytes[1];
    frame->payload = reader->bytes + FRAME_HEAD_BYTES;
    frame->count = covered - FRAME_HEAD_BYTES;
    return FRAME_EVENT_WHOLE;
}

static void frame_delimiter(struct frame_reader *reader)
{
    reader->state = FRAME_EMPTY;
    reader->count = 0;
    reader->left = 0;
    reader->zero = false;
}

static void frame_keep(struct frame_reader *reader, uint8_t byte)
{
    if (reader->count < FRAME_BYTES) {
        reader->bytes[reader->count++] = byte;
    } else {
        reader->state = FRAME_SPOILT;
    }
}

enum frame_event frame_feed(struct frame_reader *reader, uint8_t byte, struct frame *frame)
{
    if (byte == DELIMITER) {
        if (reader->state >= FRAME_INSIDE) {
            return frame_close(reader, frame);
        }
        frame_delimiter(reader);
        return FRAME_EVENT_NONE;
    }
    switch (reader->state) {
    case FRAME_OUTSIDE:
        return FRAME_EVENT_TEXT;
    case FRAME_EMPTY:
        reader->state = FRAME_INSIDE;
        break;
    case FRAME_INSIDE:
        break;
    case FRAME_SPOILT:
        return FRAME_EVENT_NONE;
    }
    if (reader->left > 0) {
        reader->left--;
        frame_keep(reader, byte);
    } else {
        if (reader->zero) {
            frame_keep(reader, 0);
        }
        reader->left = (uint8_t)(byte - 1U);
        reader->zero = byte != BLOCK_FULL;
    }
    return FRAME_EVENT_NONE;
}

static void frame_send_byte(uint8_t byte)
{
    board_uart_write(&byte, 1);
}

static void frame_send_block(struct frame_writer *writer)
{
    writer->block[0] = (uint8_t)writer->used;
    board_uart_write(writer->block, writer->used);
    writer->used = 1;
}

/* A full block goes when a byte follows it: one that ends the frame is followed by none. */
static void frame_put(struct frame_writer *writer, uint8_t byte)
{
    if (writer->used == FRAME_BLOCK_BYTES) {
        frame_send_block(writer);
    }
    if (byte == DELIMITER) {
        frame_send_block(writer);
    } else {
        writer->block[writer->used++] = byte;
    }
}

void frame_add(struct frame_writer *writer, const uint8_t *bytes, size_t count)
{
    writer->crc = crc_add(writer->crc, bytes, count);
    for (size_t i = 0; i < count; i++) {
        frame_put(writer, bytes[i]);
    }
}

void frame_add_u32(struct frame_writer *writer, uint32_t value)
{
    const uint8_t bytes[] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16), (uint8_t)(value >> 24)};
    frame_add(writer, bytes, sizeof bytes);
}

void frame_begin(struct frame_writer *writer, enum wire_frame_type type, uint8_t number)
{
    const uint8_t head[FRAME_HEAD_BYTES] = {(uint8_t)type, number};
    writer->used = 1;
    writer->crc = 0;
    frame_send_byte(DELIMITER);
    frame_add(writer, head, sizeof head);
}

void frame_end(struct frame_writer *writer)
{
    frame_add_u32(writer, writer->crc);
    frame_send_block(writer);
    frame_send_byte(DELIMITER);
}
