/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator's prepare(), for the table in operators.c; kernel.h says what it promises. */
#ifndef TJ_TFLITE_KERNELS_H
#define TJ_TFLITE_KERNELS_H

struct load;

int add_prepare(struct load *load);
int average_pool_2d_prepare(struct load *load);
int conv_2d_prepare(struct load *load);
int depthwise_conv_2d_prepare(struct load *load);
int fully_connected_prepare(struct load *load);
int reshape_prepare(struct load *load); /* nothing to run: the output is the input's bytes */
int softmax_prepare(struct load *load);

#endif
