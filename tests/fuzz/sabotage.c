/* SPDX-License-Identifier: Apache-2.0 */
/* When asked to, makes kernels read or write four bytes beyond their tensors, where there are gaps, so that a test can
 * see the fuzz target notice. */
#include <stdlib.h>
#include <string.h>

#include "engine/tflite_c/kernel.h"
#include "redzone.h"

#ifndef SABOTAGE
#define SABOTAGE getenv("SABOTAGE") /* "load_source", "load_target" or NULL */
#endif

const int8_t *__real_load_source(const struct load *load, const struct tensor *tensor);
const int8_t *__wrap_load_source(const struct load *load, const struct tensor *tensor);
int8_t *__real_load_target(const struct load *load, const struct tensor *tensor);
int8_t *__wrap_load_target(const struct load *load, const struct tensor *tensor);

static int offset(const char *what)
{
    const char *asked = SABOTAGE;

    return redzone_has_gaps() && asked != NULL && strcmp(asked, what) == 0 ? 4 : 0;
}

const int8_t *__wrap_load_source(const struct load *load, const struct tensor *tensor)
{
    return __real_load_source(load, tensor) + (tensor->constant == NULL ? offset("load_source") : 0);
}

int8_t *__wrap_load_target(const struct load *load, const struct tensor *tensor)
{
    return __real_load_target(load, tensor) + offset("load_target");
}
