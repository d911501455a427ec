/* SPDX-License-Identifier: Apache-2.0 */
/* The inference contract. Everything above it (core, boards) knows a neural network only through this header.
 *
 * Rules
 * 1. One model is loaded at a time into one arena. All state lives in the arena: no heap, no globals, so two arenas
 *    make two independent engines.
 * 2. `model` is outside input. It is checked once, at load; after a successful load engine_run() cannot read or write
 *    out of bounds whatever the input tensor holds.
 * 3. The model is read in place: it stays where it is, unchanged, for as long as the engine is used.
 * 4. Nothing here blocks, and nothing may be called from an interrupt.
 */
#ifndef TJ_ENGINE_H
#define TJ_ENGINE_H

#include <stddef.h>
#include <stdint.h>

enum {
    ENGINE_ALIGN_BYTES = 16,     /* alignment of `model` and `arena` that every engine may count on */
    ENGINE_MAX_RANK = 6,         /* dimensions of a tensor, at most */
    ENGINE_ERROR_TEXT_BYTES = 96 /* with the final NUL */
};

/* 0 is success; every failure is one of these. */
enum engine_status {
    ENGINE_OK = 0,
    ENGINE_E_ARGUMENT = -1,    /* a NULL, a misaligned model or arena */
    ENGINE_E_MODEL = -2,       /* the file is damaged: an offset, count, shape or size does not hold */
    ENGINE_E_UNSUPPORTED = -3, /* the file is sound but asks for an operator, type or option this engine has not */
    ENGINE_E_ARENA = -4        /* the arena is too small; the text says how many bytes are missing or needed */
};

/* Why a load failed: printable ASCII without brackets, at most ENGINE_ERROR_TEXT_BYTES - 1 characters, naming the
 * operator or field, e.g. "operator 3 TRANSPOSE_CONV: not supported". */
struct engine_error {
    enum engine_status status;
    char text[ENGINE_ERROR_TEXT_BYTES];
};

enum engine_type { ENGINE_INT8, ENGINE_FLOAT32 };

/* One input or output tensor. real = scale * (q - zero_point) for ENGINE_INT8; scale 0 for ENGINE_FLOAT32. */
struct engine_tensor {
    void *data; /* in the arena, aligned to 4 bytes at least */
    size_t bytes;
    enum engine_type type;
    float scale;
    int32_t zero_point;
    int32_t rank;
    int32_t dims[ENGINE_MAX_RANK];
};

struct engine; /* lives at the start of the arena; each implementation has its own */

/* Check `model`, plan its tensors into `arena` and make it ready to run.
 * model, arena: aligned to ENGINE_ALIGN_BYTES. error: may not be NULL; written on failure only.
 * Returns 0 and sets *engine, or a negative engine_status with *engine set to NULL. */
int engine_load(struct engine **engine, const void *model, size_t model_bytes, void *arena, size_t arena_bytes,
                struct engine_error *error);

/* The model's only input and only output (a model with more is refused at load). Never NULL after a load.
 * engine_run() leaves the input's bytes as they were, so that a timed loop needs to write them only once. */
const struct engine_tensor *engine_input(const struct engine *engine);
const struct engine_tensor *engine_output(const struct engine *engine);

/* One inference: input tensor to output tensor. Returns 0; a negative engine_status only if the engine itself can fail
 * at run time (tflite_c cannot). */
int engine_run(struct engine *engine);

/* Told after operator number `operator_index` of the model's list has run, in the order of running. An operator that
 * costs nothing (a RESHAPE in place) may be left out. */
typedef void engine_observer(void *context, uint32_t operator_index);

/* engine_run() with a call of `observer` after every operator, for profiles. engine_run() itself has no such calls, so
 * a profile costs nothing while nobody asks for one. Returns what engine_run() returns. */
int engine_run_observed(struct engine *engine, engine_observer *observer, void *context);

/* Bytes of the arena in use, everything included: tensors, scratch and the engine's own records. */
size_t engine_arena_bytes(const struct engine *engine);

/* Name and version of the implementation, e.g. "tflite_c 0.1.0". Static storage. */
const char *engine_name(void);

#endif
