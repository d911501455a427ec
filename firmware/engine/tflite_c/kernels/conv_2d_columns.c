/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D by columns.h: the inputs under a few neighbouring positions of the window become columns, padding included,
 * and go through all filters together. Writes over its input where nobody else needs that. */
#include "columns.h"
#include "conv_2d.h"

#include <string.h>

static uint32_t depth_of(const struct window *conv)
{
    return (uint32_t)conv->y.taps * conv->x.taps * conv->in_channels;
}

/* Every position for itself: no window, no padding. */
static bool is_point(const struct window *conv)
{
    return conv->y.taps == 1 && conv->x.taps == 1 && conv->y.stride == 1 && conv->x.stride == 1;
}

/* A row's taps are put into a column as they lie there, if they lie together in pieces of a good size. */
static bool goes_directly(const struct window *conv)
{
    return conv->in_channels % COLUMNS_PIECE == 0 || (conv->y.taps == 1 && conv->x.taps == 1);
}

static uint32_t columns_room(const struct window *conv)
{
    return (columns_bytes(depth_of(conv), COLUMNS_AT_ONCE) + PLAN_ALIGN_BYTES - 1) & ~(uint32_t)(PLAN_ALIGN_BYTES - 1);
}

/* What a step keeps while it runs: the filters' scales, the columns, the column being put together, the rows it would
 * overwrite. */
static void make_scratch(struct load *load, struct conv_2d *conv, bool in_place)
{
    const struct window *window = &conv->window;
    uint32_t scales = window->out_channels * (uint32_t)sizeof(struct requantize);
    uint32_t columns = columns_room(window);
    uint32_t column = goes_directly(window) ? 0 : depth_of(window);
    uint32_t kept = in_place ? window_kept_bytes(window) : 0;
    int8_t *scratch = load_scratch(load, scales + columns + column + kept);

    conv->scratch = scratch;
    conv->window.kept = kept != 0 ? scratch + scales + columns + column : NULL;
}

bool conv_2d_columns_choose(struct load *load, const struct tensor *weights, struct conv_2d *conv)
{
    struct window *window = &conv->window;
    const uint32_t positions = (uint32_t)window->y.in * window->x.in;

    if (!columns_fit(load, weights, depth_of(window))) {
        return false;
    }
    if (is_point(window) && positions <= COMMON_MAX_SIZE) {
        /* The image may as well be one row. */
        window->y.in = window->y.out = 1;
        window->x.in = window->x.out = (uint16_t)positions;
    }
    make_scratch(load, conv, window_is_in_place(window) && load_in_place(load));
    window->step.run = conv_2d_columns_run;
    return true;
}

struct gather {
    struct columns_filters filters;
    const struct window *conv;
    void *columns;
    int8_t *column; /* NULL: goes directly */
    uint32_t lanes;
};

static void put(const struct gather *gather, uint32_t lane, uint32_t at, const int8_t *inputs, uint32_t count)
{
    if (count == 0) {
        return;
    }
    if (gather->column != NULL) {
        common_copy(gather->column + at, inputs, count);
    } else {
        columns_put(&gather->filters, gather->columns, gather->lanes, lane, at, inputs, count);
    }
}

static void pad(const struct gather *gather, uint32_t lane, uint32_t at, uint32_t count)
{
    if (count == 0) {
        return;
    }
    if (gather->column != NULL) {
        memset(gather->column + at, gather->filters.zero_point, count);
    } else {
        columns_pad(&gather->filters, gather->columns, gather->lanes, lane, at, count);
    }
}

/* The taps of one row of the window. */
static void gather_row(const struct gather *gather, uint32_t lane, uint32_t at, const struct common_taps *x,
                       const int8_t *row)
{
    const struct window *conv = gather->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t inside = (uint32_t)(x->end - x->first);
    const int8_t *inputs = row + (uint32_t)x->from * channels;

    pad(gather, lane, at, (uint32_t)x->first * channels);
    at += (uint32_t)x->first * channels;
    if (conv->x.dilation == 1) {
        put(gather, lane, at, inputs, inside * channels);
    } else {
        for (uint32_t i = 0; i < inside; i++) {
            put(gather, lane, at + i * channels, inputs + i * conv->x.dilation * channels, channels);
        }
    }
    pad(gather, lane, at + inside * channels, (uint32_t)(conv->x.taps - x->end) * channels);
}

/* The columns of `count` output positions from (ox, oy) on. */
static void gather_points(const struct gather *gather, int32_t oy, int32_t ox, uint32_t count)
{
    const uint32_t channels = gather->conv->in_channels;
    const int8_t *inputs = window_row(gather->conv, oy, oy) + (uint32_t)ox * channels;

    for (uint32_t lane = 0; lane < count; lane++) {
        columns_put(&gather->filters, gather->columns, gather->lanes, lane, 0, inputs, channels);
        inputs += channels;
    }
}

/* The column of output position (ox, oy). */
static void gather_column(const struct gather *gather, uint32_t lane, const struct common_taps *y, int32_t oy,
                          int32_t ox)
{
    const struct window *conv = gather->conv;
    const struct common_taps x = common_taps_at(&conv->x, ox);
    const uint32_t run = (uint32_t)conv->x.taps * conv->in_channels;
    const bool inside = x.end - x.first == conv->x.taps && conv->x.dilation == 1;

    pad(gather, lane, 0, (uint32_t)y->first * run);
    for (int32_t k = y->first; k < y->end; k++) {
        const int8_t *row = window_row(conv, y->from + (k - y->first) * conv->y.dilation, oy);

        if (inside) {
            put(gather, lane, (uint32_t)k * run, row + (uint32_t)x.from * conv->in_channels, run);
        } else {
            gather_row(gather, lane, (uint32_t)k * run, &x, row);
        }
    }
    pad(gather, lane, (uint32_t)y->end * run, (uint32_t)(conv->y.taps - y->end) * run);
    if (gather->column != NULL) {
        columns_put(&gather->filters, gather->columns, gather->lanes, lane, 0, gather->column, gather->filters.depth);
    }
}

void conv_2d_columns_run(const struct step *step)
{
    const struct conv_2d *record = (const struct conv_2d *)(const void *)step;
    const struct window *conv = &record->window;
    struct requantize *scales = record->scratch;
    int8_t *columns = (int8_t *)(scales + conv->out_channels);
    struct gather gather = {.filters = {.weights = conv->weights,
                                        .out = &conv->out,
                                        .depth = depth_of(conv),
                                        .filters = conv->out_channels,
                                        .zero_point = conv->input_zero_point},
                            .conv = conv,
                            .columns = columns,
                            .column = goes_directly(conv) ? NULL : columns + columns_room(conv)};
    const bool point = is_point(conv);
    int8_t *output = conv->output;

    columns_start(&gather.filters, scales);
    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        const struct common_taps y = common_taps_at(&conv->y, oy);

        window_keep_row(conv, oy);
        for (int32_t ox = 0; ox < conv->x.out;) {
            const int32_t left = conv->x.out - ox;
            const uint32_t count = left < COLUMNS_AT_ONCE ? (uint32_t)left : COLUMNS_AT_ONCE;

            gather.lanes = count == 1 ? 1 : COLUMNS_AT_ONCE;
            for (uint32_t lane = 0; lane < count && !point; lane++) {
                gather_column(&gather, lane, &y, oy, ox + (int32_t)lane);
            }
            if (point) {
                gather_points(&gather, oy, ox, count);
            }
            columns_multiply(&gather.filters, gather.columns, gather.lanes, count, output);
            output += count * conv->out_channels;
            ox += (int32_t)count;
        }
    }
}
