/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D by channels.h, position by position. Writes over its input where nobody else needs that.
 *
 * Either the taps outside the image are left out, or the rows under the window are copied with their padding, one row
 * of padding behind them: then no position is at an edge, and the output may overwrite the image as it likes.
 */
#include "channels.h"
#include "depthwise_conv_2d.h"

#include <string.h>

/* An image one value wide is as well one value high, and rows of taps are longer then. */
static void lay_flat(struct window *conv)
{
    if (conv->x.in == 1 && conv->x.out == 1 && conv->x.taps == 1) {
        struct common_axis axis = conv->x;

        conv->x = conv->y;
        conv->y = axis;
    }
}

static uint32_t padded_row_bytes(const struct window *conv)
{
    return window_padded_width(conv) * conv->in_channels;
}

static bool is_padded(const struct window *conv)
{
    const bool near = conv->x.dilation == 1 && conv->y.dilation == 1;
    const bool reaches = conv->x.pad + window_pad_behind(&conv->x) + conv->y.pad + window_pad_behind(&conv->y) != 0;

    /* Padding far wider than the image is no use. */
    return near && reaches && conv->x.taps <= conv->x.in && conv->y.taps <= conv->y.in &&
           window_padded_width(conv) <= WINDOW_MAX_ROW_BYTES / conv->in_channels && channels_want_padding(conv);
}

static uint32_t rows_bytes(struct load *load, const struct window *conv)
{
    const bool in_place = window_is_in_place(conv) && load_in_place(load);

    if (is_padded(conv)) {
        return (conv->y.taps + 1u) * padded_row_bytes(conv);
    }
    return in_place ? window_kept_bytes(conv) : 0;
}

bool depthwise_conv_2d_channels_choose(struct load *load, struct depthwise_conv_2d *conv)
{
    struct window *window = &conv->window;
    uint32_t scratch, rows;

    lay_flat(window);
    if (conv->depth_multiplier != 1 || window->y.taps > CHANNELS_MAX_ROWS ||
        window->y.taps * window->x.taps > REQUANTIZE_MAX_PRODUCTS || !channels_fit(window)) {
        return false;
    }
    scratch = channels_scratch_bytes(window);
    rows = rows_bytes(load, window);
    if (scratch + rows != 0) {
        conv->scratch = load_scratch(load, scratch + rows);
    }
    window->kept = rows != 0 ? (int8_t *)conv->scratch + scratch : NULL;
    window->step.run = depthwise_conv_2d_channels_run;
    return true;
}

/* An output row without padding: only the taps inside the image. */
static void compute_row(struct channels_row *row, int32_t oy, int8_t *output)
{
    const struct window *conv = row->conv;
    const struct common_taps y = common_taps_at(&conv->y, oy);

    window_keep_row(conv, oy);
    row->first = (uint32_t)y.first;
    row->count = (uint32_t)(y.end - y.first);
    for (uint32_t k = 0; k < row->count; k++) {
        row->rows[k] = window_row(conv, y.from + (int32_t)k * conv->y.dilation, oy);
    }
    for (int32_t ox = 0; ox < conv->x.out; ox++) {
        const struct common_taps x = common_taps_at(&conv->x, ox);

        channels_compute(row, &x, output);
        output += conv->out_channels;
    }
}

/* Copies of the input rows from `from` to before `to`, each in the place that its number leads to. */
static void copy_rows(const struct window *conv, int32_t from, int32_t to)
{
    const uint32_t bytes = (uint32_t)conv->x.in * conv->in_channels;

    for (int32_t iy = from < 0 ? 0 : from; iy < to && iy < conv->y.in; iy++) {
        int8_t *copy = conv->kept + (uint32_t)(iy % conv->y.taps) * padded_row_bytes(conv);

        common_copy(copy + conv->x.pad * conv->in_channels, conv->input + (uint32_t)iy * bytes, bytes);
    }
}

/* An output row of a padded image. */
static void compute_padded_row(struct channels_row *row, int32_t oy, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t bytes = padded_row_bytes(conv);
    const int32_t top = oy * conv->y.stride - conv->y.pad;
    /* The row before has copied what lies above. */
    const int32_t fresh = oy == 0 || conv->y.stride > conv->y.taps ? top : top + conv->y.taps - conv->y.stride;
    struct common_taps x = {0, conv->x.taps, 0};

    copy_rows(conv, fresh, top + conv->y.taps);
    for (int32_t k = 0; k < conv->y.taps; k++) {
        const bool inside = top + k >= 0 && top + k < conv->y.in;

        row->rows[k] = conv->kept + (inside ? (uint32_t)((top + k) % conv->y.taps) : conv->y.taps) * bytes;
    }
    for (int32_t ox = 0; ox < conv->x.out; ox++) {
        channels_compute(row, &x, output);
        x.from += conv->x.stride;
        output += conv->out_channels;
    }
}

void depthwise_conv_2d_channels_run(const struct step *step)
{
    const struct depthwise_conv_2d *record = (const struct depthwise_conv_2d *)(const void *)step;
    const struct window *conv = &record->window;
    const bool padded = is_padded(conv);
    struct channels_row row = {.conv = conv, .scratch = record->scratch, .first = 0, .count = conv->y.taps};
    int8_t *output = conv->output;

    row.quick = channels_start(conv, record->scratch);
    if (padded) {
        memset(conv->kept, conv->input_zero_point, (conv->y.taps + 1u) * padded_row_bytes(conv));
    }
    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        if (padded) {
            compute_padded_row(&row, oy, output);
        } else {
            compute_row(&row, oy, output);
        }
        output += conv->x.out * conv->out_channels;
    }
}
