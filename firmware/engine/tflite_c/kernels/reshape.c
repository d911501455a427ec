/* SPDX-License-Identifier: Apache-2.0 */
/* RESHAPE: the plan lets the output share the input's bytes, so there is nothing to run. The shape is the output
 * tensor's; the second input, which repeats it, is not read. */
#include "common.h"
#include "kernels.h"

int reshape_prepare(struct load *load)
{
    struct tensor input, output;
    int status;

    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK) {
        return status;
    }
    if (input.type != output.type) {
        return load_refuse(load, ENGINE_E_MODEL, "types of input and output differ");
    }
    if (input.elements != output.elements) {
        return load_refuse(load, ENGINE_E_MODEL, "input and output differ in size");
    }
    return ENGINE_OK;
}
