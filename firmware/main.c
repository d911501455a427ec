/* SPDX-License-Identifier: Apache-2.0 */
/* Gives the device its memory, wakes the board and serves the host for ever. */
#include "board.h"
#include "device.h"

#ifndef TJ_ARENA_BYTES
#error "TJ_ARENA_BYTES: bytes for the engine's tensors, see custom_arena_bytes in board.ini"
#endif
#ifndef TJ_INPUT_BYTES
#error "TJ_INPUT_BYTES: bytes of the largest input, see custom_input_bytes in board.ini"
#endif
#ifndef TJ_PROFILE_OPERATORS
#define TJ_PROFILE_OPERATORS 256 /* of the largest model that can be profiled, 24 bytes each */
#endif

static uint8_t arena[TJ_ARENA_BYTES] __attribute__((aligned(ENGINE_ALIGN_BYTES)));
static uint8_t input[TJ_INPUT_BYTES];
static struct profile_operator operators[TJ_PROFILE_OPERATORS];
static struct device device;

int main(void)
{
    const struct device_config config = {.arena = arena,
                                         .arena_bytes = sizeof arena,
                                         .input = input,
                                         .input_bytes = sizeof input,
                                         .operators = operators,
                                         .operators_capacity = TJ_PROFILE_OPERATORS};
    board_init();
    device_start(&device, &config);
    for (;;) {
        device_poll(&device);
    }
}
