/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D by channels.h: position by position, the taps that lie outside the image left out. Writes over its
 * input where nobody else needs that. */
#include "channels.h"
#include "depthwise_conv_2d.h"

/* An image one value wide is as well one value high, and rows of taps are longer then. */
static void lay_flat(struct window *conv)
{
    if (conv->x.in == 1 && conv->x.out == 1 && conv->x.taps == 1) {
        struct common_axis axis = conv->x;

        conv->x = conv->y;
        conv->y = axis;
    }
}

bool depthwise_conv_2d_channels_choose(struct load *load, struct depthwise_conv_2d *conv)
{
    struct window *window = &conv->window;
    uint32_t scratch, kept = 0;

    lay_flat(window);
    if (conv->depth_multiplier != 1 || window->y.taps > CHANNELS_MAX_ROWS ||
        window->y.taps * window->x.taps > REQUANTIZE_MAX_PRODUCTS || !channels_fit(window)) {
        return false;
    }
    scratch = channels_scratch_bytes(window);
    if (window_is_in_place(window) && load_in_place(load)) {
        kept = window_kept_bytes(window);
    }
    if (scratch + kept != 0) {
        conv->scratch = load_scratch(load, scratch + kept);
    }
    window->kept = kept != 0 ? (int8_t *)conv->scratch + scratch : NULL;
    window->step.run = depthwise_conv_2d_channels_run;
    return true;
}

void depthwise_conv_2d_channels_run(const struct step *step)
{
    const struct depthwise_conv_2d *record = (const struct depthwise_conv_2d *)(const void *)step;
    const struct window *conv = &record->window;
    struct channels_row row = {.conv = conv, .scratch = record->scratch};
    int8_t *output = conv->output;

    row.quick = channels_start(conv, record->scratch);
    for (int32_t oy = 0; oy < conv->y.out; oy++) {
        const struct common_taps y = common_taps_at(&conv->y, oy);

        window_keep_row(conv, oy);
        row.first = (uint32_t)y.first;
        row.count = (uint32_t)(y.end - y.first);
        for (uint32_t k = 0; k < row.count; k++) {
            row.rows[k] = window_row(conv, y.from + (int32_t)k * conv->y.dilation, oy);
        }
        for (int32_t ox = 0; ox < conv->x.out; ox++) {
            const struct common_taps x = common_taps_at(&conv->x, ox);

            channels_compute(&row, &x, output);
            output += conv->out_channels;
        }
    }
}
