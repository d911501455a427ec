/* SPDX-License-Identifier: Apache-2.0 */
#include "fault.h"

#include <stdarg.h>

struct text {
    char *to;
    size_t used;
};

static void put_char(struct text *text, char c)
{
    if (text->used + 1 < ENGINE_ERROR_TEXT_BYTES) {
        text->to[text->used++] = (c < 0x20 || c > 0x7e || c == '[' || c == ']') ? '?' : c;
    }
}

static void put_string(struct text *text, const char *s)
{
    while (*s != '\0') {
        put_char(text, *s++);
    }
}

static void put_number(struct text *text, uint32_t value)
{
    char digits[11];
    size_t at = sizeof digits - 1;

    digits[at] = '\0';
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put_string(text, digits + at);
}

int fault(struct engine_error *error, enum engine_status status, const char *format, ...)
{
    struct text text = {error->text, 0};
    va_list arguments;

    va_start(arguments, format);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put_char(&text, *format);
            continue;
        }
        format++;
        if (*format == 's') {
            put_string(&text, va_arg(arguments, const char *));
        } else {
            put_number(&text, va_arg(arguments, uint32_t));
        }
    }
    va_end(arguments);
    error->text[text.used] = '\0';
    error->status = status;
    return (int)status;
}
