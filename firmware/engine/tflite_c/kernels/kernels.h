/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator's prepare(), for the table in operators.c; kernel.h says what it promises. */
#ifndef TJ_TFLITE_KERNELS_H
#define TJ_TFLITE_KERNELS_H

struct load;

int add_prepare(struct load *load);
int average_pool_2d_prepare(struct load *load);
int concatenation_prepare(struct load *load);
int conv_2d_prepare(struct load *load);
int depthwise_conv_2d_prepare(struct load *load);
int dequantize_prepare(struct load *load);
int fully_connected_prepare(struct load *load);
int logistic_prepare(struct load *load);
int max_pool_2d_prepare(struct load *load);
int mean_prepare(struct load *load);
int mul_prepare(struct load *load);
int pack_prepare(struct load *load);
int pad_prepare(struct load *load);
int padv2_prepare(struct load *load);
int quantize_prepare(struct load *load);
int relu_prepare(struct load *load);
int relu6_prepare(struct load *load);
int reshape_prepare(struct load *load); /* nothing to run: the output is the input's bytes */
int shape_prepare(struct load *load);
int softmax_prepare(struct load *load);
int strided_slice_prepare(struct load *load);
int sub_prepare(struct load *load);

#endif
