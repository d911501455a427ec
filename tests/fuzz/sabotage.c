/* SPDX-License-Identifier: Apache-2.0 */
/* Makes kernels read or write four bytes beyond their tensors, so that a test can see the fuzz target notice. */
#include "engine/tflite_c/kernel.h"

#ifdef SABOTAGE_LOAD_SOURCE
const int8_t *__real_load_source(const struct load *load, const struct tensor *tensor);
const int8_t *__wrap_load_source(const struct load *load, const struct tensor *tensor);

const int8_t *__wrap_load_source(const struct load *load, const struct tensor *tensor)
{
    return __real_load_source(load, tensor) + (tensor->constant == NULL ? 4 : 0);
}
#endif

#ifdef SABOTAGE_LOAD_TARGET
int8_t *__real_load_target(const struct load *load, const struct tensor *tensor);
int8_t *__wrap_load_target(const struct load *load, const struct tensor *tensor);

int8_t *__wrap_load_target(const struct load *load, const struct tensor *tensor)
{
    return __real_load_target(load, tensor) + 4;
}
#endif
