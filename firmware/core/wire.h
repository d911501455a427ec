/* SPDX-License-Identifier: Apache-2.0 */
/* The command parser: bytes in, a whole command or a defined error out, once per terminator and never otherwise.
 * What it answers depends on the bytes since the last terminator only, not on how they were split on the way.
 *
 * Rules
 * 1. CR and LF in front of a command are ignored, so that a person may type Enter.
 * 2. The first fault of a line wins; the line is dropped as a whole at its terminator.
 * 3. Words are split by spaces, as many as there are. Words point into the context: valid until the next byte.
 */
#ifndef TJ_WIRE_H
#define TJ_WIRE_H

#include "wire_table.h"

#include <stdbool.h>
#include <stdint.h>

enum wire_event {
    WIRE_EVENT_NONE = 0, /* the line is not complete */
    WIRE_EVENT_COMMAND,  /* one of wire_table.h, with no more arguments than it takes */
    WIRE_EVENT_UNKNOWN,  /* words[0] is no command */
    WIRE_EVENT_EMPTY,    /* no word before the terminator */
    WIRE_EVENT_TOO_MANY, /* a command with too many arguments; `excess` is the first of these */
    WIRE_EVENT_TOO_LONG, /* `length` characters */
    WIRE_EVENT_INVALID,  /* `byte`, outside 0x20..0x7e, was in the line */
    WIRE_EVENT_OVERRUN   /* bytes of the line were lost */
};

/* What a terminator completed. Which members hold something: see wire_event. */
struct wire_command {
    enum wire_command_id id;
    uint32_t count; /* of arguments: words behind the command and its subcommand */
    const char *arguments[WIRE_MAX_WORDS];
    const char *word; /* the first one */
    const char *excess;
    uint32_t length; /* stays at its greatest value when it overflows */
    uint8_t byte;
};

/* The caller's; wire_reset() before use. */
struct wire {
    char line[WIRE_LINE_BYTES + 1];
    uint32_t length;
    enum wire_event fault; /* WIRE_EVENT_NONE: none so far */
    uint8_t invalid;
};

/* Forget the line. */
void wire_reset(struct wire *wire);

/* Take one byte. Returns WIRE_EVENT_NONE, or what the terminator completed, with *command filled. */
enum wire_event wire_feed(struct wire *wire, uint8_t byte, struct wire_command *command);

/* Bytes were lost: what is left of the line, up to its terminator, is worth nothing. */
void wire_overrun(struct wire *wire);

enum wire_number {
    WIRE_NUMBER_OK,
    WIRE_NUMBER_NEGATIVE, /* "-" and digits that are not all 0, however many */
    WIRE_NUMBER_BAD       /* not digits only, or over 2^32 - 1 */
};

/* A decimal number. *value is written with WIRE_NUMBER_OK only. */
enum wire_number wire_parse_u32(const char *text, uint32_t *value);

/* Whether two words are the same. */
bool wire_same(const char *left, const char *right);

#endif
