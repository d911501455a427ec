/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <cstdint>
#include <cstring>

namespace
{

struct Text {
    char *to;
    size_t room; /* without the final NUL */
    size_t used = 0;

    void put(char c)
    {
        if (used < room) {
            to[used++] = clean(c);
        }
    }

    void put(const char *s)
    {
        for (s = s == nullptr ? "?" : s; *s != '\0'; s++) {
            put(*s);
        }
    }

    void put(uint64_t value, uint32_t base)
    {
        char digits[21];
        size_t at = sizeof digits - 1;
        digits[at] = '\0';
        do {
            digits[--at] = "0123456789abcdef"[value % base];
            value /= base;
        } while (value != 0);
        put(digits + at);
    }

    void put(int64_t value)
    {
        if (value < 0) {
            put('-');
        }
        put(value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value), 10);
    }

    static char clean(char c)
    {
        switch (c) {
        case '[':
            return '(';
        case ']':
            return ')';
        case '\r':
        case '\n':
            return ' ';
        default:
            return c < 0x20 || c > 0x7e ? '?' : c;
        }
    }
};

/* The argument's type, not its look: what stands between % and the letter. */
int64_t next_signed(va_list *arguments, int longs, bool size)
{
    if (longs > 1) {
        return va_arg(*arguments, long long);
    }
    return size    ? static_cast<int64_t>(va_arg(*arguments, ptrdiff_t))
           : longs ? va_arg(*arguments, long)
                   : va_arg(*arguments, int);
}

uint64_t next_unsigned(va_list *arguments, int longs, bool size)
{
    if (longs > 1) {
        return va_arg(*arguments, unsigned long long);
    }
    return size ? va_arg(*arguments, size_t) : longs ? va_arg(*arguments, unsigned long) : va_arg(*arguments, unsigned);
}

void convert(Text *text, char letter, int longs, bool size, va_list *arguments)
{
    switch (letter) {
    case 's':
        text->put(va_arg(*arguments, const char *));
        break;
    case 'c':
        text->put(static_cast<char>(va_arg(*arguments, int)));
        break;
    case 'd':
    case 'i':
        text->put(next_signed(arguments, longs, size));
        break;
    case 'u':
        text->put(next_unsigned(arguments, longs, size), 10);
        break;
    case 'x':
    case 'X':
        text->put(next_unsigned(arguments, longs, size), 16);
        break;
    case 'p':
        text->put(reinterpret_cast<uintptr_t>(va_arg(*arguments, void *)), 16);
        break;
    case 'e':
    case 'f':
    case 'g':
        (void)va_arg(*arguments, double);
        text->put('?');
        break;
    default:
        text->put(letter);
        break;
    }
}

} // namespace

int text_format(char *to, size_t bytes, const char *format, va_list given)
{
    if (bytes == 0) {
        return 0;
    }
    Text text{to, bytes - 1};
    va_list arguments; /* a va_list parameter may be an array, which has no address to hand on */
    va_copy(arguments, given);
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            text.put(*format);
            continue;
        }
        int longs = 0;
        bool size = false;
        for (format++; *format != '\0' && std::strchr("0123456789.+-# hlzt", *format) != nullptr; format++) {
            longs += *format == 'l';
            size |= *format == 'z' || *format == 't';
        }
        if (*format == '\0') {
            break;
        }
        convert(&text, *format, longs, size, &arguments);
    }
    va_end(arguments);
    while (text.used > 0 && to[text.used - 1] == ' ') {
        text.used--;
    }
    to[text.used] = '\0';
    return static_cast<int>(text.used);
}

int refuse(struct engine_error *error, enum engine_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)text_format(error->text, sizeof error->text, format, arguments);
    va_end(arguments);
    error->status = status;
    return status;
}
