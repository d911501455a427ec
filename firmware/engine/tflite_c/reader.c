/* SPDX-License-Identifier: Apache-2.0 */
#include "reader.h"

#include <string.h>

static uint16_t get_u16(const struct reader *reader, uint32_t at)
{
    const uint8_t *b = reader->bytes + at;
    return (uint16_t)(b[0] | (b[1] << 8));
}

static uint32_t get_u32(const struct reader *reader, uint32_t at)
{
    const uint8_t *b = reader->bytes + at;
    return b[0] | ((uint32_t)b[1] << 8) | ((uint32_t)b[2] << 16) | ((uint32_t)b[3] << 24);
}

static float get_f32(const struct reader *reader, uint32_t at)
{
    uint32_t bits = get_u32(reader, at);
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* True if `bytes` bytes at `at` lie within the buffer; otherwise the file is damaged. */
static bool within(struct reader *reader, uint64_t at, uint64_t bytes)
{
    if (reader->damaged || at > reader->size || bytes > reader->size - at) {
        reader->damaged = true;
        return false;
    }
    return true;
}

static struct reader_table open_table(struct reader *reader, uint64_t at)
{
    struct reader_table table = {0, 0, 0, 0};
    int64_t vtable;
    uint16_t vtable_bytes;
    uint16_t table_bytes;

    if (!within(reader, at, 4)) {
        return table;
    }
    vtable = (int64_t)at - (int32_t)get_u32(reader, (uint32_t)at);
    if (vtable < 0 || !within(reader, (uint64_t)vtable, 4)) {
        reader->damaged = true;
        return table;
    }
    vtable_bytes = get_u16(reader, (uint32_t)vtable);
    table_bytes = get_u16(reader, (uint32_t)vtable + 2);
    if (vtable_bytes < 4 || vtable_bytes % 2 != 0 || table_bytes < 4) {
        reader->damaged = true;
    }
    if (within(reader, (uint64_t)vtable, vtable_bytes) && within(reader, at, table_bytes)) {
        table.at = (uint32_t)at;
        table.vtable = (uint32_t)vtable;
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

    return within(reader, 0, 4) ? open_table(reader, get_u32(reader, 0)) : none;
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

    return at != 0 ? open_table(reader, (uint64_t)at + get_u32(reader, at)) : none;
}

struct reader_vector reader_list(struct reader *reader, const struct reader_table *table, unsigned field,
                                 uint32_t element_bytes)
{
    struct reader_vector list = {0, 0};
    uint32_t at = find(reader, table, field, 4);
    uint64_t start;
    uint32_t count;

    if (at == 0) {
        return list;
    }
    start = (uint64_t)at + get_u32(reader, at);
    if (!within(reader, start, 4)) {
        return list;
    }
    count = get_u32(reader, (uint32_t)start);
    if (within(reader, start + 4, (uint64_t)count * element_bytes)) {
        list.at = (uint32_t)start + 4;
        list.count = count;
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

    return reader->damaged ? none : open_table(reader, (uint64_t)at + get_u32(reader, at));
}
