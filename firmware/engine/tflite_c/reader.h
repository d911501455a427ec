/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a flatbuffer that nobody has checked before.
 *
 * Rules
 * 1. Every offset, vtable entry and count is checked against the buffer before it is followed; bytes are put together
 *    one by one, so nothing is ever read unaligned or in the wrong byte order.
 * 2. The first thing that does not hold sets `damaged` for good. From then on every getter returns its default, an
 *    absent table or an empty vector, so a caller may read several fields and look at `damaged` once.
 * 3. Nothing loops on offsets: each getter follows one step, so cycles in the file cannot hang the reader.
 */
#ifndef TJ_TFLITE_READER_H
#define TJ_TFLITE_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reader {
    const uint8_t *bytes;
    uint32_t size;
    bool damaged;
};

/* at 0: the table is not there, and all its fields have their defaults. */
struct reader_table {
    uint32_t at;
    uint32_t vtable;
    uint16_t vtable_bytes;
    uint16_t table_bytes;
};

/* count 0: empty or not there. The elements lie within the buffer. */
struct reader_vector {
    uint32_t at; /* of the first element */
    uint32_t count;
};

void reader_open(struct reader *reader, const void *bytes, uint32_t size);
struct reader_table reader_root(struct reader *reader);

bool reader_has(struct reader *reader, const struct reader_table *table, unsigned field);
int8_t reader_i8(struct reader *reader, const struct reader_table *table, unsigned field, int8_t absent);
int32_t reader_i32(struct reader *reader, const struct reader_table *table, unsigned field, int32_t absent);
float reader_f32(struct reader *reader, const struct reader_table *table, unsigned field, float absent);
struct reader_table reader_child(struct reader *reader, const struct reader_table *table, unsigned field);
struct reader_vector reader_list(struct reader *reader, const struct reader_table *table, unsigned field,
                                 uint32_t element_bytes);

/* Element `index` of a vector of that element type; index < count. */
int32_t reader_item_i32(const struct reader *reader, const struct reader_vector *list, uint32_t index);
int64_t reader_item_i64(const struct reader *reader, const struct reader_vector *list, uint32_t index);
float reader_item_f32(const struct reader *reader, const struct reader_vector *list, uint32_t index);
struct reader_table reader_item_table(struct reader *reader, const struct reader_vector *list, uint32_t index);

#endif
