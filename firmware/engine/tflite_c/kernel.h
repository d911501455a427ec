/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is to the interpreter, and what its kernel may ask for while a model is loaded.
 *
 * A new operator is one file in kernels/ and one line in the table of operators.c.
 */
#ifndef TJ_TFLITE_KERNEL_H
#define TJ_TFLITE_KERNEL_H

#include "graph.h"
#include "plan.h"

/* The first member of every kernel's record; written by load_keep() only. */
struct step {
    uint32_t link; /* bytes to the next step << 8 | the kernel's place in the table */
};

struct load;

struct kernel {
    int32_t code;         /* BUILTIN_... */
    uint8_t options_type; /* OPTIONS_... */
    /* Check the operator in load->operation completely and keep a record of what run() needs. After it has returned 0,
     * run() must be safe whatever the tensors hold. Returns 0 or a negative status with the error written. */
    int (*prepare)(struct load *load);
    /* Compute the output. NULL: nothing to compute, the output is the input's bytes (prepare keeps no record). */
    void (*run)(const struct step *step);
};

/* NULL if there is no such kernel. */
const struct kernel *kernel_find(int32_t code);
void kernel_run(const struct step *step); /* the kernel whose number step->link holds */
uint32_t kernel_number(const struct kernel *kernel);

/* The state of engine_load(). */
struct load {
    struct graph graph;
    struct plan plan;
    struct operation operation; /* the one being prepared */
    const struct kernel *kernel;
    uint8_t *arena;
    uint64_t capacity;
    uint64_t used;    /* may exceed capacity: then nothing more is written, only counted, to say how much is needed */
    uint64_t tensors; /* offset of the tensor area */
    uint64_t first;   /* offset of the first step, 0 before there is one */
    uint64_t last;    /* offset of the last step kept */
    uint32_t steps;
};

/* Refuse the operator being prepared: "operator 3 CONV_2D: <what>". Returns `status`. */
int load_refuse(struct load *load, enum engine_status status, const char *what);

/* Tensor in an input or output slot of the operator being prepared. An absent input is refused by its `what`. */
int load_input(struct load *load, uint32_t slot, const char *what, struct tensor *tensor);
int load_output(struct load *load, struct tensor *tensor);
bool load_has_input(const struct load *load, uint32_t slot);

/* Where the tensor's bytes are while running, aligned to PLAN_ALIGN_BYTES unless it is a constant. */
const int8_t *load_source(const struct load *load, const struct tensor *tensor);
int8_t *load_target(const struct load *load, const struct tensor *tensor);

/* Room in the arena until the engine is gone, aligned for any member of a record; NULL if there is none left, which
 * is no error yet: go on without writing to it. */
void *load_reserve(struct load *load, uint64_t bytes);

/* Keep a copy of the record as the next step. */
int load_keep(struct load *load, const struct step *record, uint32_t bytes);

#endif
