/* SPDX-License-Identifier: Apache-2.0 */
/* SHAPE: the input's dimensions as int32. They are known while loading, but their tensor is written in each run, like
 * any other. */
#include <string.h>

#include "common.h"
#include "kernels.h"

struct shape {
    struct step step;
    int32_t *output;
    uint32_t bytes;
    int32_t dims[ENGINE_MAX_RANK];
};

static void shape_run(const struct step *step)
{
    const struct shape *shape = (const struct shape *)(const void *)step;

    memcpy(shape->output, shape->dims, shape->bytes);
}

int shape_prepare(struct load *load)
{
    struct tensor input, output;
    struct shape shape = {.step = {shape_run, 0, 0}};
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK) {
        return status;
    }
    if (output.type != TYPE_INT32) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "output is not INT32");
    }
    if (output.rank != 1 || output.dims[0] != input.rank) {
        return load_refuse(load, ENGINE_E_MODEL, "output has not one element per dimension of the input");
    }
    memcpy(shape.dims, input.dims, output.bytes);
    shape.output = (int32_t *)(void *)load_target(load, &output);
    shape.bytes = output.bytes;
    return load_keep(load, &shape.step, sizeof shape);
}
