/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TJ_FUZZ_ENGINE_H
#define TJ_FUZZ_ENGINE_H

#include <stddef.h>
#include <stdint.h>

/* Everything that can be asked of one model; aborts, or a sanitizer does, when something is wrong. Returns what
 * engine_load() said in a roomy arena, and a hash of all outputs, 0 if the model was not run. */
int fuzz_one(const uint8_t *bytes, size_t count, uint64_t *outputs_hash);

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);
size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *bytes, size_t count, size_t room); /* libFuzzer's own mutations */

#endif
