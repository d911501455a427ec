/* SPDX-License-Identifier: Apache-2.0 */
/* Every operator's two functions, for the table in operators.c; kernel.h says what they promise. */
#ifndef TJ_TFLITE_KERNELS_H
#define TJ_TFLITE_KERNELS_H

struct load;
struct step;

int add_prepare(struct load *load);
void add_run(const struct step *step);

int average_pool_2d_prepare(struct load *load);
void average_pool_2d_run(const struct step *step);

int conv_2d_prepare(struct load *load);
void conv_2d_run(const struct step *step);

int depthwise_conv_2d_prepare(struct load *load);
void depthwise_conv_2d_run(const struct step *step);

int fully_connected_prepare(struct load *load);
void fully_connected_run(const struct step *step);

int reshape_prepare(struct load *load); /* nothing to run: the output is the input's bytes */

int softmax_prepare(struct load *load);
void softmax_run(const struct step *step);

#endif
