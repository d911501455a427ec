/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TJ_FUZZ_COST_H
#define TJ_FUZZ_COST_H

#include <stddef.h>
#include <stdint.h>

/* About how many products one run of a model computes that has been loaded. A file of 4 KB may ask for days of
 * computing, and rightly so: that is no hang of the engine, but a fuzzer has no time for it. */
uint64_t cost_products(const void *model, size_t model_bytes);

#endif
