/* SPDX-License-Identifier: Apache-2.0 */
/* channels.h in plain C, for a Cortex-M3 and the machines we test on. */
#include "channels.h"

#if !(defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP)

bool channels_fit(const struct window *conv)
{
    (void)conv;
    return true;
}

bool channels_want_padding(const struct window *conv)
{
    (void)conv;
    return true;
}

uint32_t channels_scratch_bytes(const struct window *conv)
{
    (void)conv;
    return 0;
}

bool channels_start(const struct window *conv, void *scratch)
{
    (void)conv;
    (void)scratch;
    return false;
}

void channels_compute(const struct channels_row *row, const struct common_taps *x, int8_t *output)
{
    const struct window *conv = row->conv;
    const uint32_t channels = conv->in_channels;
    const uint32_t input_step = (uint32_t)conv->x.dilation * channels;
    const uint32_t columns = (uint32_t)(x->end - x->first);
    const int32_t zero_point = conv->input_zero_point;
    const int8_t *taps = conv->weights + (row->first * conv->x.taps + (uint32_t)x->first) * channels;

    for (uint32_t c = 0; c < channels; c++) {
        const struct requantize scale = requantize_for(&conv->out, c);
        const int8_t *weights = taps + c;
        int32_t sum = 0;

        for (uint32_t k = 0; k < row->count; k++) {
            const int8_t *input = row->rows[k] + (uint32_t)x->from * channels + c;
            const int8_t *weight = weights;

            for (uint32_t i = 0; i < columns; i++) {
                sum += *weight * (*input - zero_point);
                weight += channels;
                input += input_step;
            }
            weights += conv->x.taps * channels;
        }
        output[c] = requantize_value(&conv->out, &scale, requantize_sum(sum, requantize_bias(&conv->out, c)), c);
    }
}

#endif
