/* SPDX-License-Identifier: Apache-2.0 */
/* A byte queue between one interrupt and the main program: one side only puts, the other only takes, so neither needs
 * to lock. Works on a core where an aligned 32-bit store is one access. Nothing here blocks. */
#ifndef TJ_SOC_RING_H
#define TJ_SOC_RING_H

#include <stdbool.h>
#include <stdint.h>

/* All zero but `bytes` and `size` is the start. */
struct ring {
    volatile uint32_t put_count;   /* bytes ever put; written by the putting side only */
    volatile uint32_t taken_count; /* bytes ever taken; written by the taking side only */
    volatile uint8_t *bytes;       /* the caller's */
    uint32_t size;                 /* of them: a power of two, so that the counters may wrap at 32 bits */
};

/* Bytes in the queue, 0 to its size. From either side. */
static inline uint32_t ring_count(const struct ring *ring)
{
    uint32_t taken = ring->taken_count; /* two statements: the order of two volatile reads has to be written down */
    return ring->put_count - taken;
}

/* Put one byte. Returns false, with the byte not taken over, when the queue is full. */
static inline bool ring_put(struct ring *ring, uint8_t byte)
{
    if (ring_count(ring) == ring->size) {
        return false;
    }
    uint32_t put = ring->put_count;
    ring->bytes[put & (ring->size - 1U)] = byte;
    ring->put_count = put + 1; /* last: it is what shows the byte to the other side */
    return true;
}

/* Take the oldest byte. Returns false, with *byte untouched, when the queue is empty. */
static inline bool ring_take(struct ring *ring, uint8_t *byte)
{
    if (ring_count(ring) == 0) {
        return false;
    }
    uint32_t taken = ring->taken_count;
    *byte = ring->bytes[taken & (ring->size - 1U)];
    ring->taken_count = taken + 1;
    return true;
}

#endif
