/* SPDX-License-Identifier: Apache-2.0 */
/* The only writer of the lines that the device sends. They are put together here piece by piece; the texts themselves
 * are in wire_table.h, made from host/wire/wire.toml. Writing blocks while the board's queue is full
 * (board_uart_write). */
#ifndef TJ_REPLY_H
#define TJ_REPLY_H

#include <stddef.h>
#include <stdint.h>

enum { REPLY_BUFFER_BYTES = 64 };

/* Collects bytes so that the board is called a few times a line, not once a character. All zero is the start. */
struct reply {
    uint8_t bytes[REPLY_BUFFER_BYTES];
    size_t used;
    uint8_t *kept; /* NULL: lines go to the board */
    size_t kept_capacity;
    size_t kept_count;
};

/* Between these two, lines are not sent but kept in `bytes`, which is the caller's; what does not fit is cut off. The
 * second returns how many bytes there are. For errors that travel in a frame. */
void reply_keep(struct reply *reply, uint8_t *bytes, size_t capacity);
size_t reply_kept(struct reply *reply);

/* Printable ASCII, as it is. */
void reply_text(struct reply *reply, const char *text);

/* Unsigned, without leading zeros. */
void reply_decimal(struct reply *reply, uint64_t value);

/* Exactly 2 or 8 lower-case digits. */
void reply_hex8(struct reply *reply, uint8_t value);
void reply_hex32(struct reply *reply, uint32_t value);

/* What printf("%0.3f", value) writes: the exact binary value, rounded half to even on the third decimal; "-0.000" for
 * what is below zero and rounds to it; "inf", "-inf"; "nan" whatever its sign. Up to 44 characters. */
void reply_float(struct reply *reply, float value);

/* End the line and hand everything so far to the board. Does not wait for it to be sent. */
void reply_line_end(struct reply *reply);

#endif
