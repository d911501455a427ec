/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware's m-results line, of a tensor that comes from stdin: type, scale, zero point, result, sizes of the
 * output and of the input as 32-bit words, then the bytes of both; the next one follows. What the device would send
 * goes to stdout. */
#include "bench.h"
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_BYTES = 4096 };

struct head {
    uint32_t type;
    float scale;
    int32_t zero_point;
    uint32_t result;
    uint32_t output_bytes;
    uint32_t input_bytes;
};

struct engine {
    struct engine_tensor output;
};

const struct engine_tensor *engine_output(const struct engine *engine)
{
    return &engine->output;
}

const struct engine_tensor *engine_input(const struct engine *engine)
{
    (void)engine;
    abort();
}

int engine_run(struct engine *engine)
{
    (void)engine;
    abort();
}

void board_uart_write(const uint8_t *data, size_t count)
{
    if (fwrite(data, 1, count, stdout) != count) {
        abort();
    }
}

void board_timing_pin_set(bool level)
{
    (void)level;
    abort();
}

uint64_t board_clock_us(void)
{
    abort();
}

bool board_cycles(uint32_t *cycles)
{
    (void)cycles;
    abort();
}

uint32_t board_core_hz(void)
{
    abort();
}

int main(void)
{
    static uint8_t output_bytes[MAX_BYTES];
    static uint8_t input_bytes[MAX_BYTES];
    struct head head;
    while (fread(&head, sizeof head, 1, stdin) == 1) {
        if (head.output_bytes > MAX_BYTES || head.input_bytes > MAX_BYTES ||
            fread(output_bytes, 1, head.output_bytes, stdin) != head.output_bytes ||
            fread(input_bytes, 1, head.input_bytes, stdin) != head.input_bytes) {
            return EXIT_FAILURE;
        }
        struct input input;
        input_init(&input, input_bytes, MAX_BYTES);
        input.size = head.input_bytes;
        struct engine engine = {{
            .data = output_bytes,
            .bytes = head.output_bytes,
            .type = head.type == 0 ? ENGINE_INT8 : ENGINE_FLOAT32,
            .scale = head.scale,
            .zero_point = head.zero_point,
        }};
        const struct model model = {.result = head.result == 0 ? MODEL_RESULT_OUTPUTS : MODEL_RESULT_MSE};
        struct reply reply = {.used = 0};
        bench_say_results(&engine, &model, &input, &reply);
    }
    return EXIT_SUCCESS;
}
