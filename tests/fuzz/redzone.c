/* SPDX-License-Identifier: Apache-2.0 */
#include "redzone.h"

#include <sanitizer/asan_interface.h>
#include <string.h>

#include "engine/tflite_c/kernel.h"

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

static void open_step(uint16_t step)
{
    ASAN_POISON_MEMORY_REGION(area, area_bytes);
    for (uint32_t i = 0; i < placed_count; i++) {
        const struct placed *entry = &placed_entries[i];

        if (entry->first <= step && step <= entry->last) {
            ASAN_UNPOISON_MEMORY_REGION(area + entry->offset, entry->bytes);
        }
        if (entry->first == step) {
            memset(area + entry->offset, garbage, entry->bytes);
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

void redzone_open_all(void)
{
    ASAN_UNPOISON_MEMORY_REGION(area, area_bytes);
}

uint8_t *redzone_area(size_t *bytes)
{
    *bytes = area_bytes;
    return area;
}
