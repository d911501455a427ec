/* SPDX-License-Identifier: Apache-2.0 */
/* CONCATENATION along a dimension, and PACK, which is the same along a new one. Bytes are copied as they are. */
#include <string.h>

#include "common.h"
#include "kernels.h"
#include "operands.h"

enum { OPTION_AXIS = 0, OPTION_ACTIVATION = 1 };
enum { OPTION_PACK_COUNT = 0, OPTION_PACK_AXIS = 1 };

/* In each turn, `bytes` from every input. */
struct piece {
    const int8_t *input;
    uint32_t bytes;
};

struct concatenation {
    struct step step;
    int8_t *output;
    const struct piece *pieces;
    uint32_t count, turns;
};

static void concatenation_run(const struct step *step)
{
    const struct concatenation *record = (const struct concatenation *)(const void *)step;
    int8_t *output = record->output;

    for (uint32_t turn = 0; turn < record->turns; turn++) {
        for (uint32_t i = 0; i < record->count; i++) {
            const struct piece *piece = &record->pieces[i];

            memcpy(output, piece->input + turn * piece->bytes, piece->bytes);
            output += piece->bytes;
        }
    }
}

/* The axis, counted from the outermost dimension of the output. */
static int read_axis(struct load *load, unsigned field, const struct tensor *output, int32_t *axis)
{
    *axis = reader_i32(&load->graph.reader, &load->operation.options, field, 0);
    if (*axis < -output->rank || *axis >= output->rank) {
        return load_refuse(load, ENGINE_E_MODEL, "axis is no dimension of the output");
    }
    *axis += *axis < 0 ? output->rank : 0;
    return ENGINE_OK;
}

/* Whether the input has the output's dimensions, but for the axis, which a packed input has not at all. */
static bool fits(const struct tensor *input, const struct tensor *output, int32_t axis, bool pack)
{
    if (input->rank != output->rank - (pack ? 1 : 0)) {
        return false;
    }
    for (int32_t i = 0; i < input->rank; i++) {
        if ((pack || i != axis) && input->dims[i] != output->dims[i + (pack && i >= axis ? 1 : 0)]) {
            return false;
        }
    }
    return true;
}

static int read_inputs(struct load *load, const struct tensor *output, int32_t axis, bool pack,
                       struct concatenation *record)
{
    struct piece *pieces = load_reserve(load, record->count * (uint64_t)sizeof *pieces);
    uint64_t elements = 0;

    record->pieces = pieces;
    record->turns = 1;
    for (int32_t i = 0; i < axis; i++) {
        record->turns *= (uint32_t)output->dims[i];
    }
    for (uint32_t i = 0; i < record->count; i++) {
        struct tensor input;
        int status;

        if ((status = load_input(load, i, "input", &input)) != ENGINE_OK ||
            (status = operands_check_moved(load, &input, "input")) != ENGINE_OK ||
            (status = operands_check_alike(load, &input, output)) != ENGINE_OK) {
            return status;
        }
        if (!fits(&input, output, axis, pack)) {
            return load_refuse(load, ENGINE_E_MODEL, "shapes of inputs and output do not go together");
        }
        elements += input.elements;
        if (pieces != NULL) {
            pieces[i].input = load_source(load, &input);
            pieces[i].bytes = input.bytes / record->turns;
        }
    }
    if (elements != output->elements) {
        return load_refuse(load, ENGINE_E_MODEL, "inputs together have not the size of the output");
    }
    return ENGINE_OK;
}

static int prepare(struct load *load, unsigned axis_field, bool pack)
{
    struct tensor output;
    struct concatenation record = {.step = {concatenation_run, 0, 0}};
    int32_t axis;
    int status;

    record.count = load->operation.inputs.count;
    if ((status = load_output(load, &output)) != ENGINE_OK ||
        (status = operands_check_moved(load, &output, "output")) != ENGINE_OK ||
        (status = read_axis(load, axis_field, &output, &axis)) != ENGINE_OK ||
        (status = read_inputs(load, &output, axis, pack, &record)) != ENGINE_OK) {
        return status;
    }
    record.output = load_target(load, &output);
    return load_keep(load, &record.step, sizeof record);
}

int concatenation_prepare(struct load *load)
{
    struct reader *reader = &load->graph.reader;

    if (reader_i8(reader, &load->operation.options, OPTION_ACTIVATION, ACTIVATION_NONE) != ACTIVATION_NONE) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "fused activation not supported");
    }
    return prepare(load, OPTION_AXIS, false);
}

int pack_prepare(struct load *load)
{
    int32_t count = reader_i32(&load->graph.reader, &load->operation.options, OPTION_PACK_COUNT, 0);

    if (count < 1 || (uint32_t)count != load->operation.inputs.count) {
        return load_refuse(load, ENGINE_E_MODEL, "number of inputs is not the option's");
    }
    return prepare(load, OPTION_PACK_AXIS, true);
}
