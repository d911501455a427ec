/* SPDX-License-Identifier: Apache-2.0 */
/* One hostile model through engine.h. The input is the model file and nothing else, so that every file of the corpus,
 * and every file that breaks something, is a .tflite file. Sizes of arenas and fills of tensors follow from it.
 *
 * Model and arenas are allocated at their exact size; the address sanitizer sees the first byte outside. The promises
 * of engine.h are checked on the way, and the outputs must not depend on how tensors lie in the arena or on what was in
 * it before. */
#define _POSIX_C_SOURCE 200112L

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cost.h"
#include "engine/engine.h"
#include "fuzz_engine.h"
#include "redzone.h"

enum {
    ROOMY_BYTES = 64 * 1024,
    LARGEST_BYTES = 1024 * 1024, /* an arena over which no load is tried again */
    GAPS_BYTES = 64 * 1024,      /* for gaps between thousands of tensors */
    OUTPUT_BYTES = ROOMY_BYTES,
    FILLS = 5,
    MAX_PRODUCTS = 1 << 20 /* models that compute longer are loaded but not run */
};

/* A model and one arena it is loaded into. */
struct trial {
    const uint8_t *model;
    size_t model_bytes;
    uint8_t *arena;
    size_t arena_bytes;
    struct engine *engine;
    struct engine_error error;
    int status;
};

struct order {
    uint32_t count, called;
    uint32_t operators[4096];
};

static uint8_t outputs[FILLS][OUTPUT_BYTES];
static struct order order;

#define CHECK(holds) check((holds), #holds, __LINE__)

static void check(bool holds, const char *what, int line)
{
    if (!holds) {
        fprintf(stderr, "fuzz_engine.c:%d: broken promise: %s\n", line, what);
        abort();
    }
}

static uint8_t *allocate(size_t bytes)
{
    void *memory = NULL;

    CHECK(posix_memalign(&memory, ENGINE_ALIGN_BYTES, bytes + (bytes == 0)) == 0);
    return memory;
}

static uint64_t hash_of(const uint8_t *bytes, size_t count)
{
    uint64_t hash = 14695981039346656037u; /* FNV-1a */

    for (size_t i = 0; i < count; i++) {
        hash = (hash ^ bytes[i]) * 1099511628211u;
    }
    return hash;
}

static uint64_t hash_of_outputs(size_t bytes)
{
    uint64_t hash = 0;

    for (unsigned fill = 0; fill < FILLS; fill++) {
        hash = hash * 31 + hash_of(outputs[fill], bytes);
    }
    return hash;
}

static void check_error(const struct trial *trial)
{
    const struct engine_error *error = &trial->error;

    CHECK(trial->engine == NULL);
    CHECK((int)error->status == trial->status);
    CHECK(trial->status == ENGINE_E_MODEL || trial->status == ENGINE_E_UNSUPPORTED || trial->status == ENGINE_E_ARENA);
    CHECK(memchr(error->text, '\0', sizeof error->text) != NULL && error->text[0] != '\0');
    for (const char *c = error->text; *c != '\0'; c++) {
        CHECK(*c >= 0x20 && *c <= 0x7e && *c != '[' && *c != ']');
    }
}

static void check_tensor(const struct trial *trial, const struct engine_tensor *tensor)
{
    const uint8_t *data = tensor->data;
    size_t bytes = tensor->type == ENGINE_FLOAT32 ? 4 : 1;

    CHECK(tensor->type == ENGINE_INT8 || tensor->type == ENGINE_FLOAT32);
    CHECK(tensor->rank >= 0 && tensor->rank <= ENGINE_MAX_RANK);
    for (int32_t i = 0; i < tensor->rank; i++) {
        CHECK(tensor->dims[i] > 0);
        bytes *= (size_t)tensor->dims[i];
    }
    CHECK(tensor->bytes == bytes && bytes > 0);
    CHECK((uintptr_t)data % 4 == 0);
    CHECK(data >= trial->arena && data + bytes <= trial->arena + trial->arena_bytes);
    CHECK(tensor->scale >= 0.0f && (tensor->type == ENGINE_INT8 || tensor->scale == 0.0f));
}

/* Load into `bytes` bytes that hold `garbage`. */
static struct trial load(const uint8_t *model, size_t model_bytes, size_t bytes, int garbage)
{
    struct trial trial = {.model = model, .model_bytes = model_bytes, .arena_bytes = bytes};

    trial.arena = allocate(bytes);
    memset(trial.arena, garbage, bytes);
    memset(&trial.error, garbage, sizeof trial.error);
    trial.engine = (struct engine *)(void *)trial.arena;
    trial.status = engine_load(&trial.engine, model, model_bytes, trial.arena, trial.arena_bytes, &trial.error);
    if (trial.status != ENGINE_OK) {
        check_error(&trial);
        return trial;
    }
    CHECK(trial.engine != NULL);
    CHECK(engine_arena_bytes(trial.engine) <= bytes);
    check_tensor(&trial, engine_input(trial.engine));
    check_tensor(&trial, engine_output(trial.engine));
    return trial;
}

static void unload(struct trial *trial)
{
    free(trial->arena);
    trial->arena = NULL;
}

/* Byte `at` of the input, for fill number `fill`. Random bytes are NaN and infinities often enough for floats. */
static uint8_t fill_byte(unsigned fill, uint64_t seed, size_t at)
{
    static const uint8_t constants[] = {0x80, 0x7f, 0x00, 0xff};

    if (fill < sizeof constants) {
        return constants[fill];
    }
    seed ^= at * 0x9e3779b97f4a7c15u;
    seed = (seed ^ (seed >> 31)) * 0xbf58476d1ce4e5b9u;
    return (uint8_t)(seed >> 56);
}

static void fill_input(const struct trial *trial, unsigned fill, uint64_t seed)
{
    const struct engine_tensor *input = engine_input(trial->engine);

    for (size_t i = 0; i < input->bytes; i++) {
        ((uint8_t *)input->data)[i] = fill_byte(fill, seed, i);
    }
}

static void check_input(const struct trial *trial, unsigned fill, uint64_t seed)
{
    const struct engine_tensor *input = engine_input(trial->engine);

    for (size_t i = 0; i < input->bytes; i++) {
        CHECK(((const uint8_t *)input->data)[i] == fill_byte(fill, seed, i));
    }
}

static void note_order(void *context, uint32_t operator_index)
{
    struct order *noted = context;

    CHECK(noted->called < sizeof noted->operators / sizeof noted->operators[0]);
    CHECK(noted->called == 0 || noted->operators[noted->called - 1] < operator_index);
    noted->operators[noted->called++] = operator_index;
}

static void next_gaps(void *context, uint32_t operator_index)
{
    struct order *noted = context;

    CHECK(noted->called < noted->count && noted->operators[noted->called] == operator_index);
    if (++noted->called < noted->count) {
        redzone_open(noted->operators[noted->called]);
    } else {
        redzone_open_end();
    }
}

/* All fills, plainly and observed: the outputs are kept, the engine's own bytes do not change. */
static void run_plain(const struct trial *trial, uint64_t seed)
{
    const struct engine_tensor *output = engine_output(trial->engine);
    size_t area_bytes;
    const uint8_t *area = redzone_area(&area_bytes);
    size_t before = (size_t)(area - trial->arena);
    size_t behind = trial->arena_bytes - before - area_bytes;
    uint64_t own = hash_of(trial->arena, before) ^ hash_of(area + area_bytes, behind);

    for (unsigned fill = 0; fill < FILLS; fill++) {
        fill_input(trial, fill, seed);
        CHECK(engine_run(trial->engine) == ENGINE_OK);
        memcpy(outputs[fill], output->data, output->bytes);
        check_input(trial, fill, seed);
    }
    order.called = 0;
    CHECK(engine_run_observed(trial->engine, note_order, &order) == ENGINE_OK);
    order.count = order.called;
    CHECK(memcmp(outputs[FILLS - 1], output->data, output->bytes) == 0);
    CHECK(own == (hash_of(trial->arena, before) ^ hash_of(area + area_bytes, behind)));
}

/* With gaps that are poisoned, in an arena that held something else: the same outputs. */
static void run_with_gaps(const uint8_t *model, size_t model_bytes, size_t used, uint64_t seed, bool no_sharing)
{
    struct trial trial;

    redzone_choose((struct redzone_choice){true, no_sharing, no_sharing ? 0x80 : 0x7f});
    trial = load(model, model_bytes, GAPS_BYTES + 4 * used, no_sharing ? 0xff : 0x00);
    redzone_choose((struct redzone_choice){false, false, 0});
    if (trial.status != ENGINE_OK) { /* of thousands of tensors */
        CHECK(trial.status == ENGINE_E_ARENA);
        unload(&trial);
        return;
    }
    for (unsigned fill = 0; fill < FILLS; fill++) {
        const struct engine_tensor *output = engine_output(trial.engine);

        redzone_open_all();
        fill_input(&trial, fill, seed);
        order.called = 0;
        if (order.count > 0) {
            redzone_open(order.operators[0]);
        } else {
            redzone_open_end();
        }
        CHECK(engine_run_observed(trial.engine, next_gaps, &order) == ENGINE_OK);
        CHECK(order.called == order.count);
        CHECK(memcmp(outputs[fill], output->data, output->bytes) == 0);
        check_input(&trial, fill, seed);
    }
    redzone_open_all();
    unload(&trial);
}

/* A refusal that names a size is kept to: with so many bytes, the arena is not what is missing. */
static void try_named_size(const uint8_t *model, size_t model_bytes, const struct engine_error *error)
{
    uint32_t had, needed;
    int end = 0;
    struct trial trial;

    if (sscanf(error->text, "arena: %" SCNu32 " bytes, %" SCNu32 " needed%n", &had, &needed, &end) != 2 || end == 0) {
        return;
    }
    CHECK(needed > had);
    if (needed <= LARGEST_BYTES) {
        trial = load(model, model_bytes, needed, 0x5a);
        CHECK(trial.status != ENGINE_E_ARENA);
        unload(&trial);
    }
}

static void try_small(const uint8_t *model, size_t model_bytes, size_t bytes)
{
    struct trial trial = load(model, model_bytes, bytes, 0x5a);

    if (trial.status == ENGINE_E_ARENA) {
        try_named_size(model, model_bytes, &trial.error);
    }
    unload(&trial);
}

static int try_model(const uint8_t *model, size_t model_bytes, uint64_t seed, uint64_t *outputs_hash)
{
    struct trial roomy = load(model, model_bytes, ROOMY_BYTES, 0xa5);
    int status = roomy.status;
    size_t used;

    if (status != ENGINE_OK) {
        unload(&roomy);
        try_small(model, model_bytes, (size_t)(seed % 1024));
        if (status == ENGINE_E_ARENA) {
            try_named_size(model, model_bytes, &roomy.error);
        }
        return status;
    }
    used = engine_arena_bytes(roomy.engine);
    unload(&roomy);
    try_small(model, model_bytes, (size_t)(seed % used));
    try_small(model, model_bytes, used - 1);
    roomy = load(model, model_bytes, used, 0xc3);
    CHECK(roomy.status == ENGINE_OK && engine_arena_bytes(roomy.engine) == used);
    if (cost_products(model, model_bytes) <= MAX_PRODUCTS) {
        run_plain(&roomy, seed);
        *outputs_hash = hash_of_outputs(engine_output(roomy.engine)->bytes);
        run_with_gaps(model, model_bytes, used, seed, false);
        run_with_gaps(model, model_bytes, used, seed, true);
    }
    unload(&roomy);
    return status;
}

int fuzz_one(const uint8_t *bytes, size_t count, uint64_t *outputs_hash)
{
    uint64_t seed = hash_of(bytes, count);
    uint8_t *model = allocate(count);
    int status;

    memcpy(model, bytes, count);
    *outputs_hash = 0;
    status = try_model(model, count, seed, outputs_hash);
    CHECK(memcmp(model, bytes, count) == 0);
    free(model);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint64_t outputs_hash;

    (void)fuzz_one(bytes, count, &outputs_hash);
    return 0;
}
