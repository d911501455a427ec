/* SPDX-License-Identifier: Apache-2.0 */
/* The models in this image. The table is generated at build time from models/<id>/model.toml (host/embed.py writes
 * build_info.c); it is the only thing the firmware knows of a task. */
#ifndef TJ_MODEL_H
#define TJ_MODEL_H

#include <stdint.h>

/* How the bytes of `db` become the model's input tensor. */
enum model_input {
    MODEL_INPUT_AS_IS,  /* the tensor's own bytes, already quantised or float32 little-endian: copied */
    MODEL_INPUT_UINT8,  /* pixels, for an int8 tensor: minus 128 */
    MODEL_INPUT_FLOAT32 /* little-endian, 4 bytes a value: quantised for an int8 tensor, copied to a float32 one */
};

/* What m-results says. */
enum model_result {
    MODEL_RESULT_OUTPUTS, /* the output tensor, dequantised */
    MODEL_RESULT_MSE /* one number: the mean squared error of the output, held against a float32 input as it came */
};

struct model {
    const char *id;      /* the task on the wire, e.g. "kws01" */
    const char *sha256;  /* of the .tflite file, 64 hex digits */
    const uint8_t *data; /* the .tflite file, aligned to 16 bytes */
    uint32_t bytes;      /* its size */
    enum model_input input;
    enum model_result result;
};

extern const struct model model_table[]; /* model_count entries; at least one element even when the count is 0 */
extern const uint32_t model_count;       /* 0 is possible: no model could be had when the image was built */

extern const char build_id[];       /* 16 hex digits over sources, models, flags and compiler */
extern const char build_version[];  /* of tinyjoule, e.g. "0.1.0" */
extern const char build_compiler[]; /* e.g. "arm-none-eabi-gcc 12.2.1" */
extern const char build_flags[];    /* compiler flags that shape the code, space separated, printable ASCII */

#endif
