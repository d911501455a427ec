/* SPDX-License-Identifier: Apache-2.0 */
/* Error texts. Upstream would print with newlib's vsnprintf, which wants a heap. */
#ifndef TJ_TFLM_TEXT_H
#define TJ_TFLM_TEXT_H

#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include "engine/engine.h" /* for C: this is the one place that reads it as C++ */
}

/* vsnprintf() for what upstream's messages hold: s, c, integers of any length and x; a width or precision is left out,
 * a floating-point number becomes "?". Characters that engine.h forbids in a text are replaced: brackets by round ones,
 * line ends by spaces (none at the end), the rest by "?". Returns the characters written, without the final NUL. */
int text_format(char *to, size_t bytes, const char *format, va_list arguments);

/* Fills `error` and returns `status`. */
int refuse(struct engine_error *error, enum engine_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
