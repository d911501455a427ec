/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TJ_FUZZ_MUTATE_H
#define TJ_FUZZ_MUTATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A model being changed. Positions are offsets into `bytes`; 0: not there. Lists are at their count. */
struct mutation {
    uint8_t *bytes;
    uint64_t size, room;
    uint64_t random; /* state of the generator, never 0 */
    uint64_t subgraph, codes, buffers, tensors, operators;
};

/* Change the model in place; it may grow to `room` bytes. Returns its size. The same seed gives the same change. */
size_t mutate_model(uint8_t *bytes, size_t size, size_t room, unsigned seed);

#endif
