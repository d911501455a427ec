/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the text of a refusal into struct engine_error. */
#ifndef TJ_TFLITE_FAULT_H
#define TJ_TFLITE_FAULT_H

#include "engine/engine.h"

/* `format` knows %s (const char *) and %u (uint32_t, so cast the argument). The text is cut to fit; brackets and bytes
 * outside printable ASCII become '?', because a %s may come from the model and the text travels inside [...].
 * Returns `status`. */
int fault(struct engine_error *error, enum engine_status status, const char *format, ...);

#endif
