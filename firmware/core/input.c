/* SPDX-License-Identifier: Apache-2.0 */
#include "input.h"

#include "crc.h"

#include <string.h>

void input_init(struct input *input, uint8_t *bytes, uint32_t capacity)
{
    input->bytes = bytes;
    input->capacity = capacity;
    input_drop(input);
}

static void input_set(struct input *input, enum input_state state, uint32_t size)
{
    input->state = state;
    input->size = size;
    input->count = 0;
    input->crc = 0;
    input->framed = false;
}

void input_drop(struct input *input)
{
    input_set(input, INPUT_IDLE, 0);
}

void input_fail(struct input *input)
{
    input_set(input, INPUT_FAILED, 0);
}

int input_begin(struct input *input, uint32_t size)
{
    if (size > input->capacity) {
        input_fail(input);
        return INPUT_E_CAPACITY;
    }
    input_set(input, INPUT_LOADING, size);
    return INPUT_OK;
}

/* Returns -1 for what is no hex digit. */
static int input_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    if (digit >= 'A' && digit <= 'F') {
        return digit - 'A' + 10;
    }
    return -1;
}

int input_add_hex(struct input *input, const char *digits, const char **bad)
{
    if (input->state == INPUT_WHOLE) {
        return INPUT_OK;
    }
    if (input->state != INPUT_LOADING) {
        return INPUT_E_STATE;
    }
    const size_t count = strlen(digits);
    if (count % 2U != 0) {
        input_fail(input);
        return INPUT_E_HEX_COUNT;
    }
    for (size_t at = 0; at < count; at += 2) {
        const int high = input_digit(digits[at]);
        const int low = input_digit(digits[at + 1]);
        if (high < 0 || low < 0) {
            *bad = &digits[at];
            input_fail(input);
            return INPUT_E_HEX_DIGIT;
        }
        const uint8_t byte = (uint8_t)(high * 16 + low);
        input->crc = crc_add(input->crc, &byte, 1);
        input->bytes[input->count++] = byte;
        if (input->count == input->size) {
            input->state = INPUT_WHOLE;
            return INPUT_DONE;
        }
    }
    return INPUT_OK;
}

int input_add_bytes(struct input *input, const uint8_t *bytes, uint32_t count)
{
    if (input->state == INPUT_SPOILT) {
        return INPUT_E_STATE;
    }
    if (input->state != INPUT_GROWING) {
        input_set(input, INPUT_GROWING, 0);
    }
    if (count > input->capacity - input->count) {
        input->state = INPUT_SPOILT;
        return INPUT_E_CAPACITY;
    }
    memcpy(input->bytes + input->count, bytes, count);
    input->crc = crc_add(input->crc, bytes, count);
    input->count += count;
    return INPUT_OK;
}

uint32_t input_keepable(const struct input *input)
{
    return input->state == INPUT_WHOLE && input->framed ? input->size : 0;
}

int input_keep(struct input *input, uint32_t count)
{
    if (input->state == INPUT_SPOILT) {
        return INPUT_E_STATE;
    }
    const uint32_t size = input_keepable(input);
    if (count == 0 || count > size) {
        input_set(input, INPUT_SPOILT, 0);
        return INPUT_E_KEEP;
    }
    memmove(input->bytes, input->bytes + (size - count), count);
    input_set(input, INPUT_GROWING, 0);
    input->count = count;
    input->crc = crc_add(0, input->bytes, count);
    return INPUT_OK;
}

int input_finish(struct input *input, uint32_t crc)
{
    const bool good = input->state == INPUT_GROWING && input->count > 0;
    input->size = input->count;
    input->framed = good && input->crc == crc;
    input->state = input->framed ? INPUT_WHOLE : INPUT_FAILED;
    if (!good) {
        return INPUT_E_STATE;
    }
    return input->state == INPUT_WHOLE ? INPUT_DONE : INPUT_E_CRC;
}
