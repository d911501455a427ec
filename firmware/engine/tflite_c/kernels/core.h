/* SPDX-License-Identifier: Apache-2.0 */
/* What the compiler's target can do. */
#ifndef TJ_TFLITE_CORE_H
#define TJ_TFLITE_CORE_H

/* Vectors of integers (Helium): Cortex-M55. */
#if defined(__ARM_FEATURE_MVE) && (__ARM_FEATURE_MVE & 1)
#define CORE_MVE 1
#else
#define CORE_MVE 0
#endif

#endif
