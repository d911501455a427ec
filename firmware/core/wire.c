/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

#include <stddef.h>
#include <string.h>

void wire_reset(struct wire *wire)
{
    wire->length = 0;
    wire->fault = WIRE_EVENT_NONE;
    wire->invalid = 0;
}

void wire_overrun(struct wire *wire)
{
    wire_reset(wire);
    wire->fault = WIRE_EVENT_OVERRUN;
}

bool wire_same(const char *left, const char *right)
{
    return strcmp(left, right) == 0;
}

enum wire_number wire_parse_u32(const char *text, uint32_t *value)
{
    const bool negative = *text == '-';
    const char *digit = negative ? text + 1 : text;
    uint32_t number = 0;
    bool over = false;
    if (*digit == '\0') {
        return WIRE_NUMBER_BAD;
    }
    for (; *digit != '\0'; digit++) {
        if (*digit < '0' || *digit > '9') {
            return WIRE_NUMBER_BAD;
        }
        const uint32_t next = (uint32_t)(*digit - '0');
        over = over || number > (UINT32_MAX - next) / 10U;
        number = over ? UINT32_MAX : number * 10U + next;
    }
    if (negative && number != 0) {
        return WIRE_NUMBER_NEGATIVE;
    }
    if (over) {
        return WIRE_NUMBER_BAD;
    }
    *value = number;
    return WIRE_NUMBER_OK;
}

/* Cut the line into words, in place. Returns how many there are; those beyond the array are counted, not kept. */
static uint32_t wire_split(char *line, const char *words[], uint32_t capacity)
{
    uint32_t count = 0;
    bool inside = false;
    for (char *at = line; *at != '\0'; at++) {
        if (*at == ' ') {
            *at = '\0';
            inside = false;
        } else if (!inside) {
            inside = true;
            if (count < capacity) {
                words[count] = at;
            }
            count++;
        }
    }
    return count;
}

static bool wire_find(const char *const words[], uint32_t count, enum wire_command_id *id)
{
    for (unsigned row = 0; row < (unsigned)WIRE_COMMAND_COUNT; row++) {
        const struct wire_row *entry = &wire_rows[row];
        if (wire_same(words[0], entry->word) &&
            (entry->subcommand == NULL || (count > 1 && wire_same(words[1], entry->subcommand)))) {
            *id = (enum wire_command_id)row;
            return true;
        }
    }
    return false;
}

static enum wire_event wire_complete(struct wire *wire, struct wire_command *command)
{
    const char *words[WIRE_MAX_WORDS + 1];
    wire->line[wire->length] = '\0';
    const uint32_t count = wire_split(wire->line, words, WIRE_MAX_WORDS + 1);
    if (count == 0) {
        return WIRE_EVENT_EMPTY;
    }
    command->word = words[0];
    if (!wire_find(words, count, &command->id)) {
        return WIRE_EVENT_UNKNOWN;
    }
    const struct wire_row *row = &wire_rows[command->id];
    const uint32_t first = row->subcommand == NULL ? 1U : 2U;
    command->count = count - first;
    if (command->count > row->max_arguments) {
        command->excess = words[first + row->max_arguments];
        return WIRE_EVENT_TOO_MANY;
    }
    for (uint32_t i = 0; i < command->count; i++) {
        command->arguments[i] = words[first + i];
    }
    return WIRE_EVENT_COMMAND;
}

enum wire_event wire_feed(struct wire *wire, uint8_t byte, struct wire_command *command)
{
    if (byte == WIRE_TERMINATOR) {
        enum wire_event event = wire->fault;
        command->length = wire->length;
        command->byte = wire->invalid;
        if (event == WIRE_EVENT_NONE) {
            event = wire_complete(wire, command);
        }
        wire_reset(wire);
        return event;
    }
    if (wire->length == 0 && (byte == '\r' || byte == '\n')) {
        return WIRE_EVENT_NONE;
    }
    if (wire->fault == WIRE_EVENT_NONE && (byte < 0x20U || byte > 0x7EU)) {
        wire->fault = WIRE_EVENT_INVALID;
        wire->invalid = byte;
    }
    if (wire->length < WIRE_LINE_BYTES) {
        wire->line[wire->length] = (char)byte;
    } else if (wire->fault == WIRE_EVENT_NONE) {
        wire->fault = WIRE_EVENT_TOO_LONG;
    }
    if (wire->length < UINT32_MAX) {
        wire->length++;
    }
    return WIRE_EVENT_NONE;
}
