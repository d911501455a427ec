/* SPDX-License-Identifier: Apache-2.0 */
#include "exponential.h"

#include "../quantize.h"

/* x * 2^bits, saturated. */
static int32_t shift_left_saturated(int32_t x, int32_t bits)
{
    int32_t limit = (int32_t)(((uint32_t)1 << (31 - bits)) - 1);

    if (x > limit) {
        return INT32_MAX;
    }
    return x < -limit ? INT32_MIN : quantize_shift_left(x, bits);
}

/* a * b / 2^31, rounded; unlike quantize_high_mul() for b of either sign, but not INT32_MIN times itself. */
static int32_t multiply(int32_t a, int32_t b)
{
    return quantize_high_mul(a, b);
}

/* exp(a) in Q0.31 for a in Q0.31, -1/4 <= a < 0: Taylor's series around -1/8. */
static int32_t exp_of_small(int32_t a)
{
    const int32_t exp_of_minus_eighth = 1895147668;
    const int32_t third = 715827883;
    int32_t x = a + (1 << 28);
    int32_t x2 = multiply(x, x);
    int32_t x3 = multiply(x2, x);
    int32_t x4 = multiply(x2, x2);
    int32_t x4_over_4 = quantize_shift_right(x4, 2);
    int32_t rest = quantize_shift_right(multiply(x4_over_4 + x3, third) + x2, 1);

    return exp_of_minus_eighth + multiply(exp_of_minus_eighth, x + rest);
}

/* exp of the part below 1/4, times exp(-2^i / 4) for each bit i of the rest. */
int32_t exponential_of_negative(int32_t a, int integer_bits)
{
    static const int32_t factors[] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int quarter_bit = 29 - integer_bits;
    const int32_t quarter = 1 << quarter_bit;
    int32_t part = (int32_t)((uint32_t)a & (uint32_t)(quarter - 1)) - quarter;
    uint32_t rest = (uint32_t)part - (uint32_t)a;
    int32_t result;

    if (a == 0) {
        return INT32_MAX;
    }
    result = exp_of_small(quantize_shift_left(part, integer_bits));
    for (int i = 0; i < integer_bits + 2; i++) {
        if ((rest & ((uint32_t)1 << (quarter_bit + i))) != 0) {
            result = multiply(result, factors[i]);
        }
    }
    return result;
}

/* Three steps of Newton's division, in Q2.29. */
int32_t exponential_one_over_one_plus(int32_t a)
{
    const int32_t c48_over_17 = 1515870810;
    const int32_t minus_32_over_17 = -1010580540;
    int32_t half_denominator = (int32_t)(((int64_t)a + INT32_MAX + 1) / 2);
    int32_t x = c48_over_17 + multiply(half_denominator, minus_32_over_17);

    for (int i = 0; i < 3; i++) {
        int32_t error = (1 << 29) - multiply(half_denominator, x);

        x += shift_left_saturated(multiply(x, error), 2);
    }
    return shift_left_saturated(x, 1);
}
