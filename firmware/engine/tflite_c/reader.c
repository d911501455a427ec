/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "a flatbuffer is little-endian, and so has the core to be"
#endif

/* memcpy(): wherever it lies; one load on cores that can do that. */
static inline uint16_t get_u16(const struct reader *reader, uint32_t at)
{
    uint16_t value;

    memcpy(&value, reader->bytes + at, sizeof value);
    return value;
}

static inline uint32_t get_u32(const struct reader *reader, uint32_t at)
{
    uint32_t value;

    memcpy(&value, reader->bytes + at, sizeof value);
    return value;
}

static float get_f32(const struct reader *reader, uint32_t at)
{
    uint32_t bits = get_u32(reader, at);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* True if `bytes` bytes at `at` lie within the buffer; otherwise the file is damaged. */
static inline bool within(struct reader *reader, uint32_t at, uint32_t bytes)
{
    if (reader->damaged || at > reader->size || bytes > reader->size - at) {
        reader->damaged = true;
        return false;
    }
    return true;
}

/* The place that the offset at `at` leads to; beyond 4 GB it is the end of the address space, which no file holds. */
static inline uint32_t follow(const struct reader *reader, uint32_t at)
{
    uint32_t to = at + get_u32(reader, at);

    return to >= at ? to : UINT32_MAX;
}

static struct reader_table open_table(struct reader *reader, uint32_t at)
{
    struct reader_table table = {0, 0, 0, 0};
    uint32_t vtable;
    uint16_t vtable_bytes;
    uint16_t table_bytes;

    if (!within(reader, at, 4)) {
        return table;
    }
    /* Signed, and counted backwards. What wraps around ends outside: the buffer is smaller than 2 GB. */
    vtable = at - get_u32(reader, at);
    if (!within(reader, vtable, 4)) {
        return table;
    }
    vtable_bytes = get_u16(reader, vtable);
    table_bytes = get_u16(reader, vtable + 2);
    if (vtable_bytes < 4 || vtable_bytes % 2 != 0 || table_bytes < 4) {
        reader->damaged = true;
    }
    if (within(reader, vtable, vtable_bytes) && within(reader, at, table_bytes)) {
        table.at = at;
        table.vtable = vtable;
        table.vtable_bytes = vtable_bytes;
        table.table_bytes = table_bytes;
    }
    return table;
}

/* Where the field's `bytes` bytes are; 0 if it is not there. */
static uint32_t find(struct reader *reader, const struct reader_table *table, unsigned field, unsigned bytes)
{
    uint32_t entry = 4 + 2 * (uint32_t)field;
    uint16_t offset;

    if (reader->damaged || table->at == 0 || entry + 2 > table->vtable_bytes) {
        return 0;
    }
    offset = get_u16(reader, table->vtable + entry);
    if (offset == 0) {
        return 0;
    }
    if (offset < 4 || offset + bytes > table->table_bytes) {
        reader->damaged = true;
        return 0;
    }
    return table->at + offset;
}

void reader_open(struct reader *reader, const void *bytes, uint32_t size)
{
    reader->bytes = bytes;
    reader->size = size;
    reader->damaged = false;
}

struct reader_table reader_root(struct reader *reader)
{
    static const struct reader_table none = {0, 0, 0, 0};

    return within(reader, 0, 4) ? open_table(reader, follow(reader, 0)) : none;
}

bool reader_has(struct reader *reader, const struct reader_table *table, unsigned field)
{
    return find(reader, table, field, 1) != 0;
}

int8_t reader_i8(struct reader *reader, const struct reader_table *table, unsigned field, int8_t absent)
{
    uint32_t at = find(reader, table, field, 1);

    return at != 0 ? (int8_t)reader->bytes[at] : absent;
}

int32_t reader_i32(struct reader *reader, const struct reader_table *table, unsigned field, int32_t absent)
{
    uint32_t at = find(reader, table, field, 4);

    return at != 0 ? (int32_t)get_u32(reader, at) : absent;
}

float reader_f32(struct reader *reader, const struct reader_table *table, unsigned field, float absent)
{
    uint32_t at = find(reader, table, field, 4);

    return at != 0 ? get_f32(reader, at) : absent;
}

struct reader_table reader_child(struct reader *reader, const struct reader_table *table, unsigned field)
{
    static const struct reader_table none = {0, 0, 0, 0};
    uint32_t at = find(reader, table, field, 4);

    return at != 0 ? open_table(reader, follow(reader, at)) : none;
}

struct reader_vector reader_list(struct reader *reader, const struct reader_table *table, unsigned field,
                                 uint32_t element_bytes)
{
    struct reader_vector list = {0, 0};
    uint32_t at = find(reader, table, field, 4);
    uint32_t start;
    uint64_t bytes;

    if (at == 0) {
        return list;
    }
    start = follow(reader, at);
    if (!within(reader, start, 4)) {
        return list;
    }
    list.count = get_u32(reader, start);
    list.at = start + 4;
    bytes = (uint64_t)list.count * element_bytes;
    if (!within(reader, list.at, bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)bytes)) {
        list.at = list.count = 0;
    }
    return list;
}

int32_t reader_item_i32(const struct reader *reader, const struct reader_vector *list, uint32_t index)
{
    return (int32_t)get_u32(reader, list->at + 4 * index);
}

int64_t reader_item_i64(const struct reader *reader, const struct reader_vector *list, uint32_t index)
{
    uint64_t low = get_u32(reader, list->at + 8 * index);
    uint64_t high = get_u32(reader, list->at + 8 * index + 4);

    return (int64_t)(low | (high << 32));
}

float reader_item_f32(const struct reader *reader, const struct reader_vector *list, uint32_t index)
{
    return get_f32(reader, list->at + 4 * index);
}

struct reader_table reader_item_table(struct reader *reader, const struct reader_vector *list, uint32_t index)
{
    static const struct reader_table none = {0, 0, 0, 0};
    uint32_t at = list->at + 4 * index;

    return reader->damaged ? none : open_table(reader, follow(reader, at));
}
