/* SPDX-License-Identifier: Apache-2.0 */
/* What upstream takes for granted of a model and engine.h does not. */
#ifndef TJ_TFLM_MODEL_CHECK_H
#define TJ_TFLM_MODEL_CHECK_H

#include "tensorflow/lite/micro/micro_op_resolver.h"

#include "text.h"

/* Check that every offset in the file stays in the file, that every index and size that upstream uses unchecked holds,
 * and that `operators` has every operator that the file asks for. Returns 0, or a negative engine_status with *error
 * filled in. */
int model_check(const void *model, size_t model_bytes, const tflite::MicroOpResolver &operators,
                struct engine_error *error);

#endif
