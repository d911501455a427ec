/* SPDX-License-Identifier: Apache-2.0 */
/* What an operator is to the interpreter, and what its kernel may ask for while a model is loaded.
 *
 * A new operator is one file in kernels/ and one line in the table of operators.c.
 *
 * prepare() is called twice for each operator. The first time, before tensors have addresses, it tells what it needs:
 * scratch memory, or to work in place. The second time it is given that, and keeps a record of what run() needs. It
 * makes the same calls both times and need not know which time it is: what has no address yet is NULL, or somewhere
 * harmless that must not be written to. It may return as soon as it has told its needs: load->placed says which time it
 * is, and the second time checks everything.
 */
#ifndef TJ_TFLITE_KERNEL_H
#define TJ_TFLITE_KERNEL_H

#include "graph.h"
#include "plan.h"

/* The first member of every kernel's record. */
struct step {
    /* Computes the output. Set by prepare(), which chooses among the kernels for the shape at hand. */
    void (*run)(const struct step *step);
    uint16_t words;          /* to the next step, of 4 bytes; written by load_keep(), like the next one */
    uint16_t operator_index; /* in the model's list */
};

struct load;

struct kernel {
    int32_t code;         /* BUILTIN_... */
    uint8_t options_type; /* OPTIONS_... */
    bool alias;           /* nothing to compute: the output is the bytes of input 0 (prepare keeps no record) */
    /* Check the operator in load->operation completely and keep a record of what run() needs. After it has returned 0,
     * run() must be safe whatever the tensors hold. Returns 0 or a negative status with the error written. */
    int (*prepare)(struct load *load);
};

/* NULL if there is no such kernel. */
const struct kernel *kernel_find(int32_t code);

/* The state of engine_load(). */
struct load {
    struct graph graph;
    struct plan plan;
    struct operation operation; /* the one being prepared */
    uint8_t *arena;
    uint64_t capacity;
    bool placed;      /* tensors have addresses: prepare() is called for the second time */
    uint64_t used;    /* may exceed capacity: then nothing more is written, only counted, to say how much is needed */
    uint64_t tensors; /* offset of the tensor area */
    uint64_t cache;   /* offset of graph.cache; 0 if there never was one */
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

/* `bytes` > 0 of memory for run() alone, aligned to PLAN_ALIGN_BYTES and shared with other operators; at most one call
 * for each operator. */
void *load_scratch(struct load *load, uint32_t bytes);

/* Ask to write the output over the bytes of input 0: true if nobody needs that input afterwards and both have the same
 * size. */
bool load_in_place(struct load *load);

/* Bytes of the model behind the end of a constant: so far may a kernel read (not use) beyond it. */
uint32_t load_slack(const struct load *load, const struct tensor *constant);

/* Keep a copy of the record, record->run set, as the next step. */
int load_keep(struct load *load, const struct step *record, uint32_t bytes);

#endif
