/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED: int8 input of any shape, seen as rows of the weights' depth; weights (unit, depth); int32 bias. */
#include "columns.h"
#include "kernels.h"

enum { OPTION_ACTIVATION = 0, OPTION_WEIGHTS_FORMAT = 1 };

struct fully_connected {
    struct step step;
    const int8_t *input;
    const int8_t *weights;
    int8_t *output;
    struct common_output out;
    uint32_t rows, depth, units;
    int32_t input_zero_point;
    void *column; /* fully_connected_run_columns: an input row; NULL: goes directly */
};

static int check_shapes(struct load *load, const struct tensor *input, const struct tensor *weights,
                        const struct tensor *output)
{
    uint32_t units = (uint32_t)weights->dims[0];
    uint32_t depth = (uint32_t)weights->dims[1];

    if (depth > COMMON_MAX_PRODUCTS) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "over 65535 products per output");
    }
    if (input->elements % depth != 0) {
        return load_refuse(load, ENGINE_E_MODEL, "input is not whole rows of the weights' depth");
    }
    if (output->rank < 1 || (uint32_t)output->dims[output->rank - 1] != units ||
        (uint64_t)(input->elements / depth) * units != output->elements) {
        return load_refuse(load, ENGINE_E_MODEL, "output is not rows of the weights' units");
    }
    return ENGINE_OK;
}

static void fully_connected_run(const struct step *step);
static void fully_connected_run_columns(const struct step *step);

int fully_connected_prepare(struct load *load)
{
    struct reader *reader = &load->graph.reader;
    const struct reader_table *options = &load->operation.options;
    struct tensor input, weights, output;
    struct fully_connected fc = {.step = {NULL, 0, 0}};
    int status;

    if (reader_i8(reader, options, OPTION_WEIGHTS_FORMAT, 0) != 0) {
        return load_refuse(load, ENGINE_E_UNSUPPORTED, "shuffled weights");
    }
    if ((status = common_read_weights(load, 2, &weights)) != ENGINE_OK) {
        return status;
    }
    fc.depth = (uint32_t)weights.dims[1];
    fc.units = (uint32_t)weights.dims[0];
    fc.step.run = fully_connected_run;
    if (columns_fit(load, &weights, fc.depth)) {
        if (!columns_row_is_direct(fc.depth)) {
            fc.column = load_scratch(load, columns_bytes(fc.depth, 1));
        }
        fc.step.run = fully_connected_run_columns;
    }
    if (!load->placed) {
        return ENGINE_OK;
    }
    if ((status = load_input(load, 0, "input", &input)) != ENGINE_OK ||
        (status = load_output(load, &output)) != ENGINE_OK ||
        (status = common_check_int8(load, &input, "input")) != ENGINE_OK ||
        (status = common_check_int8(load, &output, "output")) != ENGINE_OK ||
        (status = check_shapes(load, &input, &weights, &output)) != ENGINE_OK ||
        (status = common_make_output(load, &input, &weights, &output, 0,
                                     reader_i8(reader, options, OPTION_ACTIVATION, ACTIVATION_NONE), &fc.out)) !=
            ENGINE_OK) {
        return status;
    }
    fc.input = load_source(load, &input);
    fc.weights = load_source(load, &weights);
    fc.output = load_target(load, &output);
    fc.rows = input.elements / fc.depth;
    fc.input_zero_point = input.zero_point;
    return load_keep(load, &fc.step, sizeof fc);
}

static void fully_connected_run(const struct step *step)
{
    const struct fully_connected *fc = (const struct fully_connected *)(const void *)step;
    const int32_t zero_point = fc->input_zero_point;
    const uint32_t depth = fc->depth;
    const int8_t *input = fc->input;
    int8_t *output = fc->output;

    for (uint32_t row = 0; row < fc->rows; row++) {
        const int8_t *weights = fc->weights;

        for (uint32_t unit = 0; unit < fc->units; unit++) {
            int32_t sum = 0;

            for (uint32_t i = 0; i < depth; i++) {
                sum += weights[i] * (input[i] - zero_point);
            }
            *output++ = common_requantize(&fc->out, sum, unit);
            weights += depth;
        }
        input += depth;
    }
}

static void fully_connected_run_columns(const struct step *step)
{
    const struct fully_connected *fc = (const struct fully_connected *)(const void *)step;
    const struct columns_filters filters = {.weights = fc->weights,
                                            .out = &fc->out,
                                            .depth = fc->depth,
                                            .filters = fc->units,
                                            .zero_point = fc->input_zero_point};
    const int8_t *input = fc->input;
    int8_t *output = fc->output;

    for (uint32_t row = 0; row < fc->rows; row++) {
        if (fc->column != NULL) {
            columns_put(&filters, fc->column, 1, 0, 0, input, fc->depth);
            columns_multiply(&filters, fc->column, 1, 1, output);
        } else {
            columns_multiply_row(&filters, input, output);
        }
        input += fc->depth;
        output += fc->units;
    }
}
