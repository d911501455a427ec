/* SPDX-License-Identifier: Apache-2.0 */
/* The firmware core as a process, under sanitizers: a board over stdin and stdout, and an engine small enough to be
 * predicted. stdin carries orders (type, 32-bit little-endian length, payload), so that a test decides how bytes are
 * split, when one is lost, how long a silence is and when the device boots:
 *   R  boot; payload: the clock's start, 8 bytes        D  bytes for the UART, delivered in one piece
 *   O  a UART overrun                                   W  the next bytes come that many us later, 8 bytes
 *   S  answer the payload, what the board and the engine saw, LF
 *   B  answer the baud rate, LF
 *   F  float32s: answer each as reply_float, LF         U  64-bit numbers: answer each as reply_decimal, LF
 *
 * What the device sends goes to stdout as it is. What an order causes has been sent before the next one is read, so the
 * answer to S is a marker: all bytes before it were worked on. The argument is the size of the input buffer. */
#include "board.h"
#include "device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ARENA_BYTES = 65536,
    INPUT_BYTES = 64, /* without an argument */
    LARGE_BYTES = 27648,
    WIDE_BYTES = 2500, /* three frames of results */
    OPERATORS = 3,
    TRACE_BYTES = 4096
};

/* ---- models: kind, input bytes (0: LARGE_BYTES) ---- */

static const uint8_t plain[] __attribute__((aligned(16))) = {'i', 8};
static const uint8_t pixels[] __attribute__((aligned(16))) = {'i', 4};
static const uint8_t floats[] __attribute__((aligned(16))) = {'o', 4};
static const uint8_t refused[] __attribute__((aligned(16))) = {'x', 8};
static const uint8_t large[] __attribute__((aligned(16))) = {'i', INPUT_BYTES + 1};
static const uint8_t float_in[] __attribute__((aligned(16))) = {'f', 8};
static const uint8_t odd_in[] __attribute__((aligned(16))) = {'p', 8};
static const uint8_t odd_out[] __attribute__((aligned(16))) = {'q', 8};
static const uint8_t many[] __attribute__((aligned(16))) = {'m', 8};
static const uint8_t slow[] __attribute__((aligned(16))) = {'s', 8};
static const uint8_t vww[] __attribute__((aligned(16))) = {'i', 0};
static const uint8_t wide[] __attribute__((aligned(16))) = {'w', 8};
static const uint8_t four[] __attribute__((aligned(16))) = {'e', 4};
static const uint8_t echo[] __attribute__((aligned(16))) = {'E', 8};
static const uint8_t failing[] __attribute__((aligned(16))) = {'r', 8};

#define SHA                   "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define MODEL(id, data, kind) {id, SHA, data, sizeof data, kind, MODEL_RESULT_OUTPUTS}
#define ERROR(id, data, kind) {id, SHA, data, sizeof data, kind, MODEL_RESULT_MSE}

const struct model model_table[] = {
#ifdef FIRST_REFUSED
    MODEL("bad01", refused, MODEL_INPUT_AS_IS),
#endif
    MODEL("kws01", plain, MODEL_INPUT_AS_IS),      MODEL("ic01", pixels, MODEL_INPUT_UINT8),
    MODEL("float", floats, MODEL_INPUT_AS_IS),     MODEL("bad01", refused, MODEL_INPUT_AS_IS),
    MODEL("large", large, MODEL_INPUT_AS_IS),      MODEL("floatin", float_in, MODEL_INPUT_AS_IS),
    MODEL("oddout", odd_out, MODEL_INPUT_AS_IS),   MODEL("fails", failing, MODEL_INPUT_AS_IS),
    MODEL("oddin", odd_in, MODEL_INPUT_AS_IS),     MODEL("floatpx", float_in, MODEL_INPUT_UINT8),
    MODEL("many", many, MODEL_INPUT_AS_IS),        MODEL("slow", slow, MODEL_INPUT_AS_IS),
    MODEL("vww01", vww, MODEL_INPUT_UINT8),        MODEL("wide", wide, MODEL_INPUT_AS_IS),
    MODEL("quant", four, MODEL_INPUT_FLOAT32),     ERROR("ad01", four, MODEL_INPUT_FLOAT32),
    ERROR("adf", echo, MODEL_INPUT_FLOAT32),       MODEL("floatwire", float_in, MODEL_INPUT_FLOAT32),
    ERROR("mseshape", plain, MODEL_INPUT_FLOAT32), ERROR("msewire", plain, MODEL_INPUT_AS_IS),
};
#ifdef NO_MODELS
const uint32_t model_count = 0;
#else
const uint32_t model_count = sizeof model_table / sizeof model_table[0];
#endif
const char build_id[] = "0123456789abcdef";
const char build_version[] = "0.0.0";
const char build_compiler[] = "gcc";
const char build_flags[] = "-O1 -DX=[1]";

/* ---- what the test wants to know ---- */

static char trace[TRACE_BYTES]; /* w write, f flush, c clock, y cycles, r run, b baud, _ pin low, ^ pin high */
static size_t trace_used;
static uint64_t clock_us;

static void note(char event)
{
    if (trace_used < sizeof trace) {
        trace[trace_used++] = event;
    }
}

/* ---- engine ---- */

struct engine {
    struct engine_tensor input;
    struct engine_tensor output;
    uint8_t kind;
    int8_t in[LARGE_BYTES];
    union {
        int8_t quantised[WIDE_BYTES];
        float real[8];
    } out;
};

int engine_load(struct engine **engine, const void *model, size_t model_bytes, void *arena, size_t arena_bytes,
                struct engine_error *error)
{
    const uint8_t *bytes = model;
    *engine = NULL;
    if (model_bytes != 2 || arena_bytes < sizeof(struct engine)) {
        abort();
    }
    if (bytes[0] == 'x') {
        error->status = ENGINE_E_UNSUPPORTED;
        strcpy(error->text, "operator 3 TRANSPOSE_CONV: not supported");
        return ENGINE_E_UNSUPPORTED;
    }
    struct engine *e = arena;
    memset(e, 0x55, sizeof *e);
    e->kind = bytes[0];
    e->input = (struct engine_tensor){
        .data = e->in, .bytes = bytes[1] > 0 ? bytes[1] : LARGE_BYTES, .type = ENGINE_INT8, .rank = 1};
    e->output = (struct engine_tensor){
        .data = e->out.quantised, .bytes = 4, .type = ENGINE_INT8, .scale = 1.0F / 256.0F, .zero_point = -128};
    if (e->kind == 'e') {
        e->input.scale = 0.39101523F; /* ad01's */
        e->input.zero_point = 89;
        e->output.scale = 0.25F;
        e->output.zero_point = 3;
    } else if (e->kind == 'E') {
        e->input.type = ENGINE_FLOAT32;
        e->output.type = ENGINE_FLOAT32;
        e->output.bytes = e->input.bytes;
    } else if (e->kind == 'f') {
        e->input.type = ENGINE_FLOAT32;
    } else if (e->kind == 'p') {
        e->input.type = (enum engine_type)7;
    } else if (e->kind == 'o') {
        e->output.type = ENGINE_FLOAT32;
        e->output.bytes = sizeof e->out.real;
    } else if (e->kind == 'w') {
        e->output.bytes = WIDE_BYTES;
    } else if (e->kind == 'q') {
        e->output.type = (enum engine_type)7;
    }
    *engine = e;
    return ENGINE_OK;
}

const struct engine_tensor *engine_input(const struct engine *engine)
{
    return &engine->input;
}

const struct engine_tensor *engine_output(const struct engine *engine)
{
    return &engine->output;
}

/* The outputs are the CRC-32 of the input tensor, a byte each: a test sees which bytes were inferred. */
int engine_run(struct engine *engine)
{
    uint32_t crc = 0xFFFFFFFFU;
    note('r');
    clock_us += engine->kind == 's' ? 5000000 : 1000;
    if (engine->kind == 'r' && engine->in[0] == 1) {
        return ENGINE_E_UNSUPPORTED;
    }
    if (engine->kind == 'e' || engine->kind == 'E') { /* the output is the input */
        memcpy(engine->out.quantised, engine->in, engine->input.bytes);
        return ENGINE_OK;
    }
    for (size_t i = 0; i < engine->input.bytes; i++) {
        crc ^= (uint8_t)engine->in[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc & 1U) != 0 ? (crc >> 1) ^ 0xEDB88320U : crc >> 1;
        }
    }
    crc = ~crc;
    if (engine->kind == 'o') {
        const float zero = (float)engine->in[0];
        const float real[8] = {zero,    -zero,   1.0F / 0.0009765625F, 0.0625F,
                               0.0004F, -1e-30F, (zero + 1.0F) / zero, (zero * 1e30F) * 1e30F - zero / zero};
        memcpy(engine->out.real, real, sizeof real);
        return ENGINE_OK;
    }
    for (unsigned i = 0; i < engine->output.bytes; i++) {
        engine->out.quantised[i] = (int8_t)((int)((crc >> (8 * (i % 4))) & 0xFFU) - 128);
    }
    return ENGINE_OK;
}

/* Operators 0 and 2; kind 'm' has one more than there is room for. Operator 1 is left out. */
int engine_run_observed(struct engine *engine, engine_observer *observer, void *context)
{
    clock_us += 250;
    observer(context, 0);
    const int status = engine_run(engine);
    if (status == ENGINE_OK) {
        observer(context, engine->kind == 'm' ? OPERATORS : 2);
    }
    return status;
}

size_t engine_arena_bytes(const struct engine *engine)
{
    return sizeof *engine;
}

const char *engine_name(void)
{
    return "harness 1";
}

/* ---- board ---- */

static uint8_t *order; /* its payload */
static size_t order_used;
static size_t order_bytes;
static uint64_t silence_us;
static bool overrun;
static uint32_t baud;

void board_init(void)
{
}

const char *board_name(void)
{
    return "harness";
}

uint32_t board_core_hz(void)
{
    return 1000000000U; /* the counter wraps after 4.29 s */
}

uint64_t board_clock_us(void)
{
    note('c');
    return clock_us++;
}

bool board_cycles(uint32_t *cycles)
{
    note('y');
    *cycles = (uint32_t)(clock_us * 1000U);
    return true;
}

int board_uart_read(uint8_t *bytes, size_t capacity)
{
    if (overrun) {
        overrun = false;
        return BOARD_E_OVERRUN;
    }
    clock_us += silence_us;
    silence_us = 0;
    const size_t left = order_bytes - order_used;
    const size_t count = left < capacity ? left : capacity;
    memcpy(bytes, order + order_used, count);
    order_used += count;
    return (int)count;
}

void board_uart_write(const uint8_t *bytes, size_t count)
{
    note('w');
    fwrite(bytes, 1, count, stdout);
}

void board_uart_flush(void)
{
    note('f');
}

uint32_t board_uart_capacity(void)
{
    return 4096;
}

uint32_t board_uart_baud(void)
{
    return baud;
}

uint32_t board_uart_baud_max(void)
{
    return 2000000;
}

bool board_uart_baud_possible(uint32_t wanted)
{
    return wanted >= 9600 && wanted <= board_uart_baud_max();
}

int board_uart_set_baud(uint32_t wanted)
{
    note('b');
    if (!board_uart_baud_possible(wanted)) {
        return BOARD_E_BAUD;
    }
    baud = wanted;
    return BOARD_OK;
}

void board_timing_pin_set(bool high)
{
    note(high ? '^' : '_');
}

/* ---- orders ---- */

static void answer_numbers(char type)
{
    struct reply reply = {.used = 0};
    const size_t step = type == 'F' ? sizeof(float) : sizeof(uint64_t);
    for (size_t at = 0; at + step <= order_bytes; at += step) {
        float real;
        uint64_t number;
        if (type == 'F') {
            memcpy(&real, order + at, step);
            reply_float(&reply, real);
        } else {
            memcpy(&number, order + at, step);
            reply_decimal(&reply, number);
        }
        reply_line_end(&reply);
    }
}

static void serve(char type, struct device *device, const struct device_config *config)
{
    if (type == 'R') {
        memcpy(&clock_us, order, sizeof clock_us);
        baud = 115200;
        device_start(device, config);
    } else if (type == 'D') {
        while (order_used < order_bytes) {
            device_poll(device);
        }
    } else if (type == 'O') {
        overrun = true;
        device_poll(device);
    } else if (type == 'W') {
        memcpy(&silence_us, order, sizeof silence_us);
    } else if (type == 'B') {
        printf("%u\n", (unsigned)baud);
    } else if (type == 'S') {
        fwrite(order, 1, order_bytes, stdout);
        printf("%.*s\n", (int)trace_used, trace);
        trace_used = 0;
    } else {
        answer_numbers(type);
    }
}

int main(int count, char **arguments)
{
    const size_t input_bytes = count > 1 ? strtoul(arguments[1], NULL, 10) : INPUT_BYTES;
    /* From the heap: an access out of bounds meets the sanitizer's red zone. */
    const struct device_config config = {.arena = aligned_alloc(16, ARENA_BYTES),
                                         .arena_bytes = ARENA_BYTES,
                                         .input = malloc(input_bytes),
                                         .input_bytes = (uint32_t)input_bytes,
                                         .operators = calloc(OPERATORS, sizeof(struct profile_operator)),
                                         .operators_capacity = OPERATORS};
    struct device *device = malloc(sizeof *device);
    uint8_t head[5];
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        order_used = 0;
        order_bytes = head[1] | (size_t)head[2] << 8 | (size_t)head[3] << 16 | (size_t)head[4] << 24;
        order = malloc(order_bytes + 1);
        if (fread(order, 1, order_bytes, stdin) != order_bytes) {
            return 2;
        }
        serve((char)head[0], device, &config);
        free(order);
        fflush(stdout);
    }
    free(config.arena);
    free(config.input);
    free(config.operators);
    free(device);
    return 0;
}
