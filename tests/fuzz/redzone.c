/* SPDX-License-Identifier: Apache-2.0 */
#include "redzone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/tflite_c/kernel.h"

#ifndef REDZONE_PAINTED
#include <sanitizer/asan_interface.h>
#endif

enum { GAP_BYTES = 16, MAX_ENTRIES = 2 * GRAPH_MAX_TENSORS };

struct placed {
    uint32_t offset, bytes;
    uint16_t first, last;
};

static struct redzone_choice chosen;
static uint8_t garbage; /* of the last load */
static uint8_t *area;
static size_t area_bytes;
static uint16_t end_step;
static uint32_t placed_count;
static struct placed placed_entries[MAX_ENTRIES];

int __real_plan_place(struct plan *plan, const struct graph *graph);
int __wrap_plan_place(struct plan *plan, const struct graph *graph);
bool __real_load_in_place(struct load *load);
bool __wrap_load_in_place(struct load *load);

void redzone_choose(struct redzone_choice choice)
{
    chosen = choice;
}

bool redzone_has_gaps(void)
{
    return chosen.gaps;
}

int __wrap_plan_place(struct plan *plan, const struct graph *graph)
{
    uint32_t count = 0;
    int status;

    for (uint32_t i = 0; chosen.gaps && i < plan->count; i++) {
        struct plan_entry *entry = &plan->entries[i];

        if (entry->bytes != 0 && entry->bytes < INT32_MAX) {
            /* The planned size is put away in the offset, which is not yet in use. */
            entry->offset = entry->bytes;
            entry->bytes = ((entry->bytes + GAP_BYTES - 1) & ~(uint32_t)(GAP_BYTES - 1)) + GAP_BYTES;
        }
    }
    for (uint32_t i = 0; i < plan->count; i++) {
        const struct plan_entry *entry = &plan->entries[i];

        if (entry->bytes != 0 && entry->root == i) {
            placed_entries[count++] = (struct placed){i, entry->offset, entry->first, entry->last};
        }
    }
    status = __real_plan_place(plan, graph);
    for (uint32_t i = 0; i < count; i++) {
        placed_entries[i].offset = plan->entries[placed_entries[i].offset].offset;
    }
    garbage = chosen.garbage;
    placed_count = count;
    end_step = (uint16_t)(graph->operators.count + 1);
    area = (uint8_t *)plan->entries; /* the plan lies where the tensors will */
    area_bytes = plan->bytes;
    return status;
}

bool __wrap_load_in_place(struct load *load)
{
    return !chosen.no_sharing && __real_load_in_place(load);
}

static bool is_open(const struct placed *entry, uint16_t step)
{
    return entry->first <= step && step <= entry->last;
}

#ifdef REDZONE_PAINTED

enum { MAX_AREA = 512 * 1024 };

static uint8_t open_bits[MAX_AREA / 8]; /* of the area's bytes: the others are painted */
static bool painted;

static bool is_painted(size_t at)
{
    return (open_bits[at / 8] >> at % 8 & 1) == 0;
}

static void check_paint(void)
{
    for (size_t at = 0; painted && at < area_bytes; at++) {
        if (is_painted(at) && area[at] != garbage) {
            fprintf(stderr, "redzone: a kernel wrote to byte %u of the tensor area\n", (unsigned)at);
            abort();
        }
    }
}

static void close_area(uint16_t step)
{
    if (area_bytes > MAX_AREA) {
        abort();
    }
    check_paint();
    painted = true;
    memset(open_bits, 0, sizeof open_bits);
    for (uint32_t i = 0; i < placed_count; i++) {
        const struct placed *entry = &placed_entries[i];

        for (size_t at = entry->offset; is_open(entry, step) && at < entry->offset + entry->bytes; at++) {
            open_bits[at / 8] |= (uint8_t)(1u << at % 8);
        }
    }
    for (size_t at = 0; at < area_bytes; at++) {
        area[at] = is_painted(at) ? garbage : area[at];
    }
}

void redzone_open_all(void)
{
    check_paint();
    painted = false;
}

#else

static void close_area(uint16_t step)
{
    ASAN_POISON_MEMORY_REGION(area, area_bytes);
    for (uint32_t i = 0; i < placed_count; i++) {
        if (is_open(&placed_entries[i], step)) {
            ASAN_UNPOISON_MEMORY_REGION(area + placed_entries[i].offset, placed_entries[i].bytes);
        }
    }
}

void redzone_open_all(void)
{
    ASAN_UNPOISON_MEMORY_REGION(area, area_bytes);
}

#endif

static void open_step(uint16_t step)
{
    close_area(step);
    for (uint32_t i = 0; i < placed_count; i++) {
        if (placed_entries[i].first == step) {
            memset(area + placed_entries[i].offset, garbage, placed_entries[i].bytes);
        }
    }
}

void redzone_open(uint32_t operator_index)
{
    open_step((uint16_t)(operator_index + 1));
}

void redzone_open_end(void)
{
    open_step(end_step);
}

uint8_t *redzone_area(size_t *bytes)
{
    *bytes = area_bytes;
    return area;
}
