/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions of the DSP extension that GCC has no pattern for. */
#ifndef TJ_TFLITE_DSP_H
#define TJ_TFLITE_DSP_H

#include <stdint.h>

/* Four bytes, aligned or not. */
static inline uint32_t dsp_load(const int8_t *bytes)
{
    uint32_t word;

    __asm("ldr %0, %1" : "=r"(word) : "m"(*(const int8_t (*)[4])bytes));
    return word;
}

/* What dsp_widen_...() add to take a zero point off. */
static inline uint32_t dsp_offsets(int32_t zero_point)
{
    return (uint32_t)(-zero_point & 0xffff) * 0x10001u;
}

/* Bytes 0 and 2 as int16, each with its offset added. */
static inline uint32_t dsp_widen_even(uint32_t offsets, uint32_t bytes)
{
    uint32_t pair;

    __asm("sxtab16 %0, %1, %2" : "=r"(pair) : "r"(offsets), "r"(bytes));
    return pair;
}

/* Bytes 1 and 3. */
static inline uint32_t dsp_widen_odd(uint32_t offsets, uint32_t bytes)
{
    uint32_t pair;

    __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(pair) : "r"(offsets), "r"(bytes));
    return pair;
}

/* sum + low halves' product; high halves' product. */
static inline int32_t dsp_add_low(int32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline int32_t dsp_add_high(int32_t sum, uint32_t a, uint32_t b)
{
    __asm("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

#endif
