/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-point exp() and 1 / (1 + x), gemmlowp's step by step, because results must be the same to the last bit on every
 * core. Qm.n: m integer bits, n fraction bits, a sign. */
#ifndef TJ_TFLITE_KERNELS_EXPONENTIAL_H
#define TJ_TFLITE_KERNELS_EXPONENTIAL_H

#include <stdint.h>

/* exp(a) in Q0.31 for a <= 0 in Q<integer_bits>.<31 - integer_bits>; integer_bits 2 to 5. */
int32_t exponential_of_negative(int32_t a, int integer_bits);

/* 1 / (1 + a) in Q0.31 for 0 <= a < 1 in Q0.31. */
int32_t exponential_one_over_one_plus(int32_t a);

#endif
