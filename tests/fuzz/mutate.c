/* SPDX-License-Identifier: Apache-2.0 */
/* A mutator that knows what a .tflite file is. Blind flips nearly always end in the reader; these changes leave the
 * file readable and make it ask for something else: another shape, operator, type, option or order. Every position is
 * checked before it is used, because what is mutated may be damaged already. */
#include "mutate.h"

#include <string.h>

#include "engine/tflite_c/schema.h"
#include "fuzz_engine.h"

static uint32_t random_below(struct mutation *m, uint32_t limit)
{
    m->random ^= m->random << 13;
    m->random ^= m->random >> 7;
    m->random ^= m->random << 17;
    return (uint32_t)(m->random >> 32) % (limit + (limit == 0));
}

static bool get(const struct mutation *m, uint64_t at, uint32_t *value)
{
    if (at == 0 || at + 4 > m->size) {
        return false;
    }
    memcpy(value, m->bytes + at, 4); /* little-endian machines only, as everything that runs this */
    return true;
}

static void put(struct mutation *m, uint64_t at, uint32_t value)
{
    if (at != 0 && at + 4 <= m->size) {
        memcpy(m->bytes + at, &value, 4);
    }
}

static uint64_t follow(const struct mutation *m, uint64_t at)
{
    uint32_t offset;

    return get(m, at, &offset) && at + offset + 4 <= m->size ? at + offset : 0;
}

/* Position of a table's field; 0: not there. */
static uint64_t field(const struct mutation *m, uint64_t table, unsigned number)
{
    uint32_t back;
    int64_t vtable;
    uint16_t bytes, offset;

    if (!get(m, table, &back)) {
        return 0;
    }
    vtable = (int64_t)table - (int32_t)back;
    if (vtable < 0 || (uint64_t)vtable + 6 + 2 * number > m->size) {
        return 0;
    }
    memcpy(&bytes, m->bytes + vtable, 2);
    memcpy(&offset, m->bytes + vtable + 4 + 2 * number, 2);
    return 6 + 2 * number <= bytes && offset >= 4 && table + offset < m->size ? table + offset : 0;
}

/* The vector in a field: the position of its count. */
static uint64_t vector(const struct mutation *m, uint64_t table, unsigned number)
{
    return follow(m, field(m, table, number));
}

static uint32_t count_of(const struct mutation *m, uint64_t list)
{
    uint32_t count = 0;

    (void)get(m, list, &count);
    return count <= m->size / 4 ? count : 0;
}

/* Position of a random element of 4 bytes; 0 if there is none. */
static uint64_t any_item(struct mutation *m, uint64_t list)
{
    uint32_t count = count_of(m, list);

    return count > 0 ? list + 4 + 4 * (uint64_t)random_below(m, count) : 0;
}

static uint64_t item_table(const struct mutation *m, uint64_t list, uint32_t index)
{
    return index < count_of(m, list) ? follow(m, list + 4 + 4 * (uint64_t)index) : 0;
}

static uint64_t any_table(struct mutation *m, uint64_t list)
{
    return follow(m, any_item(m, list));
}

static uint32_t any_value(struct mutation *m)
{
    static const uint32_t values[] = {
        0,        1,        2,        3,          4,          5,          6,          7,         8,     9,
        10,       12,       15,       16,         17,         18,         23,         31,        32,    33,
        63,       64,       65,       100,        127,        128,        255,        256,       257,   1000,
        4095,     4096,     8191,     8192,       8193,       32767,      32768,      65535,     65536, 1u << 20,
        1u << 24, 1u << 30, 1u << 31, 0x7fffffff, 0x80000001, 0xffffffff, 0xfffffffe, 0xffffff80};

    /* Mostly small: the rest is refused by the first check. */
    return values[random_below(m, random_below(m, 8) == 0 ? sizeof values / sizeof values[0] : 18)];
}

static void change_shape(struct mutation *m)
{
    uint64_t from = vector(m, any_table(m, m->tensors), TENSOR_SHAPE);
    uint64_t to = vector(m, any_table(m, m->tensors), TENSOR_SHAPE);
    uint32_t rank = count_of(m, to);

    if (from == 0 || to == 0) {
        return;
    }
    switch (random_below(m, 8)) {
    case 0:
        put(m, to, random_below(m, 8)); /* the rank; what follows in the file becomes dimensions */
        break;
    case 1:
    case 2:
        if (rank <= 8 && rank == count_of(m, from) && to + 4 + 4 * rank <= m->size && from + 4 + 4 * rank <= m->size) {
            memmove(m->bytes + to + 4, m->bytes + from + 4, 4 * (size_t)rank);
        }
        break;
    case 3: { /* the same size in another shape */
        uint64_t a = any_item(m, to), b = any_item(m, to);
        uint32_t x = 0, y = 0;

        (void)(get(m, a, &x) && get(m, b, &y));
        put(m, a, y);
        put(m, b, x);
        break;
    }
    default:
        put(m, any_item(m, to), any_value(m));
    }
}

static void change_quantization(struct mutation *m, uint64_t tensor)
{
    static const float scales[] = {0.0f,   1.0f, 1.0f / 256, 0.05f, 0.1f,  1e-3f, 1e-10f, 1e-38f,
                                   1e-45f, 2.0f, 100.0f,     1e10f, 3e38f, -1.0f, 0.5f,   1.0f / 128};
    uint64_t table = follow(m, field(m, tensor, TENSOR_QUANTIZATION));
    uint32_t bits;

    switch (random_below(m, 5)) {
    case 0:
    case 1:
        memcpy(&bits, &scales[random_below(m, sizeof scales / sizeof scales[0])], 4);
        put(m, any_item(m, vector(m, table, QUANTIZATION_SCALE)), bits);
        break;
    case 2: {
        uint64_t list = vector(m, table, QUANTIZATION_ZERO_POINT);
        uint32_t value = random_below(m, 3) == 0 ? any_value(m) : random_below(m, 256) - 128;

        if (count_of(m, list) > 0) {
            put(m, list + 4, value);
            put(m, list + 8, value >> 31 ? 0xffffffff : 0);
        }
        break;
    }
    case 3:
        put(m, vector(m, table, 2 + random_below(m, 2)), random_below(m, 2) ? 1 : any_value(m));
        break;
    default:
        put(m, field(m, table, QUANTIZATION_DIMENSION), random_below(m, 5));
    }
}

static void change_tensor(struct mutation *m)
{
    static const uint8_t types[] = {TYPE_INT8,  TYPE_INT8,  TYPE_FLOAT32, TYPE_INT32,   TYPE_UINT8,
                                    TYPE_INT64, TYPE_INT16, TYPE_BOOL,    TYPE_FLOAT16, 5};
    uint64_t tensor = any_table(m, m->tensors);
    uint64_t at;

    switch (random_below(m, 4)) {
    case 0:
        at = field(m, tensor, TENSOR_TYPE);
        if (at != 0) {
            m->bytes[at] = types[random_below(m, sizeof types)];
        }
        break;
    case 1:
        put(m, field(m, tensor, TENSOR_BUFFER), random_below(m, count_of(m, m->buffers) + 1));
        break;
    default:
        change_quantization(m, tensor);
    }
}

/* Another operator of those that the engine has, with the options' type that belongs to it, or with none. */
static void change_code(struct mutation *m)
{
    static const uint8_t codes[][2] = {{0, 11},  {1, 5},   {2, 10}, {3, 1},   {4, 2},   {6, 0},    {9, 8},   {14, 0},
                                       {17, 5},  {18, 21}, {19, 0}, {21, 0},  {22, 17}, {25, 9},   {34, 22}, {40, 27},
                                       {41, 28}, {45, 32}, {60, 0}, {77, 55}, {83, 59}, {114, 87}, {39, 26}, {48, 0}};
    uint32_t choice = random_below(m, sizeof codes / sizeof codes[0]);
    uint64_t operator = any_table(m, m->operators);
    uint32_t number = 0;
    uint64_t code, at;

    (void)get(m, field(m, operator, OPERATOR_CODE), &number);
    code = item_table(m, m->codes, number);
    at = field(m, code, CODE_DEPRECATED_BUILTIN);
    if (at != 0) {
        m->bytes[at] = codes[choice][0];
    }
    put(m, field(m, code, CODE_BUILTIN), codes[choice][0]);
    at = field(m, operator, OPERATOR_OPTIONS_TYPE);
    if (at != 0) {
        m->bytes[at] = random_below(m, 8) == 0 ? OPTIONS_NONE : codes[choice][1];
    }
}

static void change_operator(struct mutation *m)
{
    uint64_t operator = any_table(m, m->operators);
    uint64_t list = vector(m, operator, OPERATOR_INPUTS + random_below(m, 2));
    uint64_t options, at;

    switch (random_below(m, 6)) {
    case 0:
        change_code(m);
        break;
    case 1:
        put(m, any_item(m, list), random_below(m, count_of(m, m->tensors) + 2) - 1);
        break;
    case 2:
        put(m, list, random_below(m, 5));
        break;
    case 3:
        put(m, field(m, operator, OPERATOR_CODE), random_below(m, count_of(m, m->codes) + 1));
        break;
    default:
        options = follow(m, field(m, operator, OPERATOR_OPTIONS));
        at = field(m, options, random_below(m, 8));
        if (at != 0 && random_below(m, 2) == 0) {
            m->bytes[at] = (uint8_t)any_value(m);
        } else {
            put(m, at, any_value(m));
        }
    }
}

/* Swap, or double, what two entries of a list of tables point to. */
static void change_order(struct mutation *m)
{
    const uint64_t lists[] = {m->operators, m->tensors, m->codes, m->buffers, m->operators};
    uint64_t list = lists[random_below(m, sizeof lists / sizeof lists[0])];
    uint64_t a = any_item(m, list), b = any_item(m, list);
    uint64_t at_a = follow(m, a), at_b = follow(m, b);

    if (random_below(m, 6) == 0) {
        put(m, list, random_below(m, count_of(m, list) + 2));
    } else if (at_a != 0 && at_b != 0) {
        put(m, a, (uint32_t)(at_b - a));
        if (random_below(m, 2) == 0) {
            put(m, b, (uint32_t)(at_a - b));
        }
    }
}

/* Constants are weights, but also paddings, axes and the like, of 4 bytes each. */
static void change_constant(struct mutation *m)
{
    uint64_t list = vector(m, any_table(m, m->buffers), BUFFER_DATA);
    uint32_t count = 0;

    if (get(m, list, &count) && count >= 4 && count <= m->size) {
        put(m, list + 4 + 4 * (uint64_t)random_below(m, count > 64 ? 16 : count / 4),
            random_below(m, 3) == 0 ? 0 - random_below(m, 5) : any_value(m));
    }
}

/* The model's input and output are whatever tensors. */
static void change_ends(struct mutation *m)
{
    uint64_t list = vector(m, m->subgraph, random_below(m, 2) ? SUBGRAPH_INPUTS : SUBGRAPH_OUTPUTS);

    put(m, any_item(m, list), random_below(m, count_of(m, m->tensors)));
}

static uint64_t tensor_bytes(const struct mutation *m, uint64_t tensor)
{
    static const uint8_t widths[] = {4, 2, 4, 1, 8, 1, 1, 2, 8, 1};
    uint64_t shape = vector(m, tensor, TENSOR_SHAPE);
    uint64_t type = field(m, tensor, TENSOR_TYPE);
    uint64_t bytes = 4;

    if (type != 0) {
        bytes = m->bytes[type] < sizeof widths ? widths[m->bytes[type]] : 1;
    }
    for (uint32_t i = 0; i < count_of(m, shape); i++) {
        uint32_t size = 0;

        (void)get(m, shape + 4 + 4 * (uint64_t)i, &size);
        bytes *= size;
        if (bytes > m->room) {
            return 0;
        }
    }
    return bytes;
}

/* A constant gets as many bytes as its shape wants, at the end of the file if there are not enough where it is. */
static void repair_constant(struct mutation *m, uint64_t tensor)
{
    uint32_t number = 0, count = 0;
    uint64_t bytes = tensor_bytes(m, tensor);
    uint64_t at, list, end;

    if (!get(m, field(m, tensor, TENSOR_BUFFER), &number) || number == 0 || bytes == 0) {
        return;
    }
    at = field(m, item_table(m, m->buffers, number), BUFFER_DATA);
    list = follow(m, at);
    if (!get(m, list, &count) || count == 0 || count == bytes) {
        return;
    }
    if (bytes < count) {
        put(m, list, (uint32_t)bytes);
        return;
    }
    end = (m->size + 3) & ~(uint64_t)3;
    if (end + 4 + bytes > m->room || list + 4 + count > m->size) {
        return;
    }
    memset(m->bytes + m->size, 0, end - m->size);
    m->size = end + 4 + bytes;
    for (uint64_t i = 0; i < bytes; i++) {
        m->bytes[end + 4 + i] = m->bytes[list + 4 + i % count];
    }
    put(m, end, (uint32_t)bytes);
    put(m, at, (uint32_t)(end - at));
}

static uint32_t out_size(uint32_t in, uint32_t taps, uint32_t stride, uint32_t dilation, bool valid)
{
    uint64_t span = ((uint64_t)taps - 1) * dilation + 1;

    if (in == 0 || taps == 0 || stride == 0 || (valid && span > in)) {
        return 1;
    }
    return (uint32_t)((valid ? in - span : in - 1u) / stride + 1);
}

static uint32_t option(const struct mutation *m, uint64_t options, unsigned number, uint32_t absent)
{
    uint32_t value = absent;

    (void)get(m, field(m, options, number), &value);
    return value;
}

/* The output of an operator with a window gets the size that follows; any other gets the shape of input 0. */
static void repair_output(struct mutation *m, uint64_t operator)
{
    uint64_t inputs = vector(m, operator, OPERATOR_INPUTS), outputs = vector(m, operator, OPERATOR_OUTPUTS);
    uint64_t options = follow(m, field(m, operator, OPERATOR_OPTIONS));
    uint64_t type = field(m, operator, OPERATOR_OPTIONS_TYPE), padding = field(m, options, 0);
    uint32_t kind = type != 0 ? m->bytes[type] : OPTIONS_NONE;
    uint32_t numbers[3] = {0};
    uint64_t from, weights, to;

    (void)(get(m, inputs + 4, &numbers[0]) && get(m, outputs + 4, &numbers[1]) && get(m, inputs + 8, &numbers[2]));
    from = vector(m, item_table(m, m->tensors, numbers[0]), TENSOR_SHAPE);
    to = vector(m, item_table(m, m->tensors, numbers[1]), TENSOR_SHAPE);
    weights = vector(m, item_table(m, m->tensors, numbers[2]), TENSOR_SHAPE);
    if (count_of(m, from) != count_of(m, to) || kind == OPTIONS_FULLY_CONNECTED) {
        return;
    }
    for (uint32_t i = 0; i < count_of(m, to); i++) {
        uint32_t in = 1, taps = 1, dilation = 1;

        (void)get(m, from + 4 + 4 * (uint64_t)i, &in);
        if ((kind == OPTIONS_CONV_2D || kind == OPTIONS_DEPTHWISE_CONV_2D || kind == OPTIONS_POOL_2D) && i > 0) {
            if (kind == OPTIONS_POOL_2D) {
                taps = option(m, options, 5 - i, 1); /* 3: width, 4: height */
            } else {
                (void)get(m, weights + 4 + 4 * (uint64_t)i, &taps);
                dilation = option(m, options, (kind == OPTIONS_CONV_2D ? 6 : 7) - i, 1);
            }
            if (i < 3) {
                in = out_size(in, taps, option(m, options, 3 - i, 0), dilation, padding != 0 && m->bytes[padding] == 1);
            } else if (kind != OPTIONS_POOL_2D) {
                (void)get(m, weights + 4 + (kind == OPTIONS_CONV_2D ? 0u : 12u), &in);
            }
        }
        put(m, to + 4 + 4 * (uint64_t)i, in);
    }
}

static void repair(struct mutation *m)
{
    for (uint32_t i = 0; i < count_of(m, m->operators); i++) {
        repair_output(m, item_table(m, m->operators, i));
    }
    for (uint32_t i = 0; i < count_of(m, m->tensors); i++) {
        repair_constant(m, item_table(m, m->tensors, i));
    }
}

size_t mutate_model(uint8_t *bytes, size_t size, size_t room, unsigned seed)
{
    static void (*const changes[])(struct mutation *) = {change_shape,    change_shape,    change_tensor,
                                                         change_operator, change_operator, change_order,
                                                         change_constant, change_ends};
    struct mutation m = {.bytes = bytes, .size = size, .room = room, .random = seed * 0x9e3779b97f4a7c15u | 1};
    uint64_t root;

    (void)random_below(&m, 1);
    if (size < 8) {
        return size;
    }
    memcpy(&root, bytes, 8);
    root &= 0xffffffff;
    m.subgraph = item_table(&m, vector(&m, root, MODEL_SUBGRAPHS), 0);
    m.codes = vector(&m, root, MODEL_CODES);
    m.buffers = vector(&m, root, MODEL_BUFFERS);
    m.tensors = vector(&m, m.subgraph, SUBGRAPH_TENSORS);
    m.operators = vector(&m, m.subgraph, SUBGRAPH_OPERATORS);
    for (uint32_t left = 1 + random_below(&m, 4); left != 0; left--) {
        changes[random_below(&m, sizeof changes / sizeof changes[0])](&m);
    }
    if (random_below(&m, 2) == 0) {
        repair(&m);
    }
    return m.size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t room, unsigned seed)
{
    if (seed % 8 == 0 || count < 8) {
        return LLVMFuzzerMutate(bytes, count, room);
    }
    return mutate_model(bytes, count, room, seed);
}
