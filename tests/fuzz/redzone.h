/* SPDX-License-Identifier: Apache-2.0 */
/* Lets the address sanitizer see inside the arena.
 *
 * Tensors lie side by side in the arena, so that a kernel that writes one byte too many hits a neighbour and nobody
 * notices. Here the linker (--wrap) puts us between the engine and its plan: every tensor and every scratch memory gets
 * a gap behind it, and while an operator runs all is poisoned but what the plan says is alive then.
 *
 * With REDZONE_PAINTED, for cores that have no sanitizer, all the rest is painted instead, and looked at afterwards. */
#ifndef TJ_REDZONE_H
#define TJ_REDZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redzone_choice {
    bool gaps;       /* between what the plan places; false: the plan as the firmware has it */
    bool no_sharing; /* nothing works in place */
    uint8_t garbage; /* with gaps: what is in a tensor or scratch memory before an operator writes to it */
};

/* For the loads from now on. */
void redzone_choose(struct redzone_choice choice);
bool redzone_has_gaps(void);

/* After a load with gaps: leave open only what is alive while operator `operator_index` runs, or after the last one. */
void redzone_open(uint32_t operator_index);
void redzone_open_end(void);

/* All of the tensor area is open again. */
void redzone_open_all(void);

/* The tensor area of the last load: what lies before and behind it in the arena is the engine's own. */
uint8_t *redzone_area(size_t *bytes);

#endif
