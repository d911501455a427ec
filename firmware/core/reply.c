/* SPDX-License-Identifier: Apache-2.0 */
#include "reply.h"

#include "board.h"
#include "wire_table.h"

#include <stdbool.h>
#include <string.h>

void reply_keep(struct reply *reply, uint8_t *bytes, size_t capacity)
{
    reply->kept = bytes;
    reply->kept_capacity = capacity;
    reply->kept_count = 0;
}

size_t reply_kept(struct reply *reply)
{
    reply->kept = NULL;
    return reply->kept_count;
}

static void reply_flush(struct reply *reply)
{
    if (reply->used == 0) {
        return;
    }
    if (reply->kept == NULL) {
        board_uart_write(reply->bytes, reply->used);
    } else {
        const size_t room = reply->kept_capacity - reply->kept_count;
        const size_t count = reply->used < room ? reply->used : room;
        memcpy(reply->kept + reply->kept_count, reply->bytes, count);
        reply->kept_count += count;
    }
    reply->used = 0;
}

static void reply_char(struct reply *reply, char character)
{
    if (reply->used == REPLY_BUFFER_BYTES) {
        reply_flush(reply);
    }
    reply->bytes[reply->used++] = (uint8_t)character;
}

void reply_text(struct reply *reply, const char *text)
{
    while (*text != '\0') {
        reply_char(reply, *text++);
    }
}

void reply_decimal(struct reply *reply, uint64_t value)
{
    char digits[20]; /* of 2^64 - 1 */
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + (int)(value % 10U));
        value /= 10U;
    } while (value > 0);
    while (count > 0) {
        reply_char(reply, digits[--count]);
    }
}

void reply_hex8(struct reply *reply, uint8_t value)
{
    static const char digits[] = "0123456789abcdef";
    reply_char(reply, digits[value >> 4]);
    reply_char(reply, digits[value & 15U]);
}

void reply_hex32(struct reply *reply, uint32_t value)
{
    for (unsigned shift = 32; shift > 0; shift -= 8) {
        reply_hex8(reply, (uint8_t)((value >> (shift - 8)) & 0xFFU));
    }
}

/* mantissa * 2^shift for 0 <= shift <= 104: up to 128 bits, so long division by ten over four words. */
static void reply_big(struct reply *reply, uint32_t mantissa, unsigned shift)
{
    uint32_t words[4] = {0, 0, 0, 0}; /* the lowest first */
    const unsigned word = shift / 32U;
    const uint64_t placed = (uint64_t)mantissa << (shift % 32U);
    words[word] = (uint32_t)placed;
    if (word < 3U) { /* a float's highest bit is bit 127: nothing is left over in the last word */
        words[word + 1U] = (uint32_t)(placed >> 32);
    }
    char digits[39]; /* of 2^128 - 1 */
    size_t count = 0;
    bool more = true;
    while (more) {
        uint64_t rest = 0;
        more = false;
        for (unsigned i = 4; i > 0; i--) {
            rest = (rest << 32) | words[i - 1U];
            words[i - 1U] = (uint32_t)(rest / 10U);
            rest %= 10U;
            more = more || words[i - 1U] != 0;
        }
        digits[count++] = (char)('0' + (int)rest);
    }
    while (count > 0) {
        reply_char(reply, digits[--count]);
    }
}

/* mantissa * 2^-shift, shift > 0, as a count of thousandths. */
static uint64_t round_to_thousandths(uint32_t mantissa, unsigned shift)
{
    const uint64_t scaled = (uint64_t)mantissa * 1000U; /* below 2^34, so it is below half of 2^shift from 35 on */
    if (shift > 34U) {
        return 0;
    }
    const uint64_t half = (uint64_t)1 << (shift - 1U);
    const uint64_t whole = scaled >> shift;
    const uint64_t rest = scaled & ((half << 1) - 1U);
    const bool up = rest > half || (rest == half && (whole & 1U) != 0);
    return whole + (up ? 1U : 0U);
}

void reply_float(struct reply *reply, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t exponent = (bits >> 23) & 0xFFU;
    const uint32_t fraction = bits & 0x7FFFFFU;
    if (exponent == 0xFFU && fraction != 0) {
        reply_text(reply, "nan");
        return;
    }
    if ((bits >> 31) != 0) {
        reply_char(reply, '-');
    }
    if (exponent == 0xFFU) {
        reply_text(reply, "inf");
        return;
    }
    /* value = mantissa * 2^(scale - 150); a subnormal has the exponent of the smallest normal and no hidden bit */
    const uint32_t mantissa = exponent == 0 ? fraction : fraction | 0x800000U;
    const unsigned scale = exponent == 0 ? 1U : exponent;
    if (scale >= 150U) {
        reply_big(reply, mantissa, scale - 150U);
        reply_text(reply, ".000");
        return;
    }
    const uint64_t thousandths = round_to_thousandths(mantissa, 150U - scale);
    const uint32_t decimals = (uint32_t)(thousandths % 1000U);
    reply_decimal(reply, thousandths / 1000U);
    reply_char(reply, '.');
    reply_char(reply, (char)('0' + (int)(decimals / 100U)));
    reply_char(reply, (char)('0' + (int)(decimals / 10U % 10U)));
    reply_char(reply, (char)('0' + (int)(decimals % 10U)));
}

void reply_line_end(struct reply *reply)
{
    reply_text(reply, WIRE_LINE_END);
    reply_flush(reply);
}
