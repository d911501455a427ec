/* SPDX-License-Identifier: Apache-2.0 */
/* quantize_ratio() against the double arithmetic it stands for. Prints how many of the ratios were different. */
#include "engine/tflite_c/quantize.h"

#include <stdio.h>
#include <string.h>

static uint32_t state = 1;

static uint32_t draw(void)
{
    state = state * 1664525u + 1013904223u;
    return state >> 8 ^ state << 13;
}

static float as_float(uint32_t bits)
{
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Mostly scales as models have them; round mantissas, for exact quotients and halves; now and then any bits at all. */
static float draw_scale(void)
{
    uint32_t mantissa = draw() & 0x7fffff;

    switch (draw() % 8) {
    case 0:
        return as_float(draw());
    case 1:
        mantissa &= 0x700000;
        break;
    case 2:
        mantissa |= 0x7ffff0;
        break;
    case 3:
        mantissa &= 0x7;
        break;
    default:
        break;
    }
    return as_float((97 + draw() % 60) << 23 | mantissa);
}

int main(void)
{
    unsigned different = 0;

    for (int i = 0; i < 3000000; i++) {
        float a = draw_scale(), b = draw_scale(), c = draw_scale();
        double want = (double)a * (double)b / (double)c, got = quantize_ratio(a, b, c);

        different += memcmp(&want, &got, sizeof want) != 0 && !(want != want && got != got) ? 1u : 0u;
    }
    printf("%u\n", different);
    return 0;
}
