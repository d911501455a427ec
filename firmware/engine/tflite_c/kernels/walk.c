/* SPDX-License-Identifier: Apache-2.0 */
#include "walk.h"

struct walk walk_make(void)
{
    struct walk walk = {.dims = {1, 1, 1, 1, 1, 1}};

    return walk;
}

void walk_set(struct walk *walk, int32_t axis, int32_t rank, uint32_t dim, int32_t first_step, int32_t second_step)
{
    int32_t at = ENGINE_MAX_RANK - rank + axis;

    walk->dims[at] = dim;
    walk->steps[0][at] = first_step;
    walk->steps[1][at] = second_step;
}

/* Whether dimension `outer` of `walk` goes on, in both tensors, where dimension `inner` of `merged` ends. */
static bool goes_on(const struct walk *walk, int outer, const struct walk *merged, int inner)
{
    for (int i = 0; i < 2; i++) {
        if ((int64_t)merged->steps[i][inner] * merged->dims[inner] != walk->steps[i][outer]) {
            return false;
        }
    }
    return true;
}

void walk_merge(struct walk *walk)
{
    struct walk merged = walk_make();
    int last = WALK_ROW; /* filled from the innermost outwards */

    for (int i = WALK_ROW; i >= 0; i--) {
        if (walk->dims[i] == 1) {
            continue;
        }
        if (merged.dims[last] != 1) {
            if (goes_on(walk, i, &merged, last)) {
                merged.dims[last] *= walk->dims[i];
                continue;
            }
            last--;
        }
        merged.dims[last] = walk->dims[i];
        merged.steps[0][last] = walk->steps[0][i];
        merged.steps[1][last] = walk->steps[1][i];
    }
    *walk = merged;
}

bool walk_next(const struct walk *walk, struct walk_cursor *cursor)
{
    for (int i = WALK_ROW - 1; i >= 0; i--) {
        if (walk->dims[i] == 1) {
            continue;
        }
        if (++cursor->index[i] < walk->dims[i]) {
            cursor->at[0] += walk->steps[0][i];
            cursor->at[1] += walk->steps[1][i];
            return true;
        }
        cursor->index[i] = 0;
        cursor->at[0] -= walk->steps[0][i] * (int32_t)(walk->dims[i] - 1);
        cursor->at[1] -= walk->steps[1][i] * (int32_t)(walk->dims[i] - 1);
    }
    return false;
}

void walk_steps(const struct tensor *tensor, int32_t steps[ENGINE_MAX_RANK])
{
    int32_t step = 1;

    for (int32_t i = tensor->rank - 1; i >= 0; i--) {
        steps[i] = step;
        step *= tensor->dims[i]; /* at most the number of elements */
    }
}
