/* SPDX-License-Identifier: Apache-2.0 */
/* Binary frames, as [frames] of wire.toml has them, one byte at a time: 0x00, COBS( type, number, payload, CRC-32 ),
 * 0x00. The reader gives out nothing of a frame before its CRC was compared.
 *
 * States of the reader, and what a byte does
 *   outside   0x00 opens a frame; any other byte is text
 *   empty     0x00 keeps it open; any other byte is the frame's first
 *   inside    0x00 closes it: whole, or damaged (a wrong CRC, COBS that ends too early, under 6 bytes); the rest is
 * data spoilt    like inside, but it is damaged already: too long, or bytes of it were lost After a frame was closed
 * the reader is outside. */
#ifndef TJ_FRAME_H
#define TJ_FRAME_H

#include "wire_table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FRAME_HEAD_BYTES = 2, /* type, number */
    FRAME_CRC_BYTES = 4,
    FRAME_BYTES = FRAME_HEAD_BYTES + WIRE_FRAME_PAYLOAD_BYTES + FRAME_CRC_BYTES,
    FRAME_BLOCK_BYTES = 255 /* of COBS: its length and up to 254 bytes */
};

enum frame_state { FRAME_OUTSIDE, FRAME_EMPTY, FRAME_INSIDE, FRAME_SPOILT };

enum frame_event {
    FRAME_EVENT_TEXT,   /* the byte is no frame's */
    FRAME_EVENT_NONE,   /* it is, and the frame is not complete */
    FRAME_EVENT_WHOLE,  /* it completed a frame */
    FRAME_EVENT_DAMAGED /* it closed one that is worth nothing */
};

/* A whole frame; `payload` points into the reader: valid until its next byte. */
struct frame {
    uint8_t type; /* an enum wire_frame_type, or anything else */
    uint8_t number;
    const uint8_t *payload;
    uint32_t count; /* of its bytes, 0 to WIRE_FRAME_PAYLOAD_BYTES */
};

/* The caller's; all zero is the start. */
struct frame_reader {
    uint8_t bytes[FRAME_BYTES]; /* decoded */
    uint32_t count;
    uint8_t left; /* bytes of the COBS block that are still to come */
    bool zero;    /* a zero is due before the next block */
    enum frame_state state;
};

/* Take one byte; *frame is filled with FRAME_EVENT_WHOLE. */
enum frame_event frame_feed(struct frame_reader *reader, uint8_t byte, struct frame *frame);

/* Forget the frame that is open: outside. */
void frame_drop(struct frame_reader *reader);

/* Bytes were lost: the frame that is open is damaged, wherever it ends. */
void frame_spoil(struct frame_reader *reader);

/* Whether a frame is open, empty or not. */
bool frame_is_open(const struct frame_reader *reader);

/* Sends one frame through board_uart_write(), which blocks while the board's queue is full. Needs no start. */
struct frame_writer {
    uint8_t block[FRAME_BLOCK_BYTES];
    uint32_t used;
    uint32_t crc;
};

/* Begin a frame, add to its payload (WIRE_FRAME_PAYLOAD_BYTES in all, the caller's to keep), end it. */
void frame_begin(struct frame_writer *writer, enum wire_frame_type type, uint8_t number);
void frame_add(struct frame_writer *writer, const uint8_t *bytes, size_t count);
void frame_add_u32(struct frame_writer *writer, uint32_t value); /* little-endian */
void frame_end(struct frame_writer *writer);

/* A little-endian number of 4 bytes. */
uint32_t frame_u32(const uint8_t *bytes);

#endif
