/* SPDX-License-Identifier: Apache-2.0 */
/* Made from host/wire/wire.toml by host/wire/gen.py: change it there, then run `python -m host.wire.gen`.
 * say_x() writes one whole line. say_x_begin() and say_x_end() write what is around a list of values. */
#ifndef TJ_WIRE_TABLE_H
#define TJ_WIRE_TABLE_H

#include "reply.h"

#include <stdint.h>

/* clang-format off */
enum {
    WIRE_LINE_BYTES = 80,
    WIRE_BUFFER_BYTES = 8,
    WIRE_TERMINATOR = 37,
    WIRE_BAUD = 115200,
    WIRE_ITERATIONS = 1,
    WIRE_WARMUP = 10,
    WIRE_FRAMES_VERSION = 1,
    WIRE_FRAME_PAYLOAD_BYTES = 1024,
    WIRE_FRAME_PAUSE_MS = 200,
    WIRE_BAUD_REVERT_MS = 3000,
};

#define WIRE_LINE_END "\r\n"
#define WIRE_ERROR_BEGIN "e-["
#define WIRE_ERROR_END "]"
#define WIRE_VENDOR "tinyjoule"
#define WIRE_PROFILE "ULPMark for tinyML Firmware V0.0.1"
#define WIRE_REASON_INPUT_TYPE "the input is neither int8 nor float32"
#define WIRE_REASON_INPUT_PIXELS "the input is not int8, and its bytes are pixels"
#define WIRE_REASON_OUTPUT_TYPE "the output is neither int8 nor float32"
#define WIRE_REASON_RESULT_MSE "the output cannot be held against the input: they have not as many float32 values"
#define WIRE_REASON_INPUT_LARGE "the input is larger than the buffer for it"

enum wire_frame_type {
    WIRE_FRAME_DATA = 0x10,
    WIRE_FRAME_LOAD = 0x11,
    WIRE_FRAME_RUN = 0x12,
    WIRE_FRAME_PING = 0x13,
    WIRE_FRAME_KEEP = 0x14,
    WIRE_FRAME_ACCEPTED = 0x20,
    WIRE_FRAME_AGAIN = 0x21,
    WIRE_FRAME_RESULT = 0x22,
    WIRE_FRAME_REFUSED = 0x23,
};

enum wire_command_id {
    WIRE_COMMAND_HELP,
    WIRE_COMMAND_NAME,
    WIRE_COMMAND_TIMESTAMP,
    WIRE_COMMAND_PROFILE,
    WIRE_COMMAND_DB_LOAD,
    WIRE_COMMAND_DB_PRINT,
    WIRE_COMMAND_DB_CRC,
    WIRE_COMMAND_DB,
    WIRE_COMMAND_INFER_CRC,
    WIRE_COMMAND_INFER,
    WIRE_COMMAND_PROF,
    WIRE_COMMAND_RESULTS_RAW,
    WIRE_COMMAND_RESULTS,
    WIRE_COMMAND_MODEL,
    WIRE_COMMAND_MODE,
    WIRE_COMMAND_INFO,
    WIRE_COMMAND_FRAMES,
    WIRE_COMMAND_BAUD,
    WIRE_COMMAND_COUNT
};

/* Words of the longest command: what comes after is one too many for every command. */
enum { WIRE_MAX_WORDS = 4 };

/* In the order of the enum. The row without a subcommand stands behind those with one. */
struct wire_row {
    const char *word;
    const char *subcommand; /* NULL: none */
    uint8_t max_arguments;
};

static const struct wire_row wire_rows[] = {
    {"help", NULL, 0},
    {"name", NULL, 0},
    {"timestamp", NULL, 0},
    {"profile", NULL, 0},
    {"db", "load", 1},
    {"db", "print", 2},
    {"db", "crc", 0},
    {"db", NULL, 1},
    {"infer", "crc", 2},
    {"infer", NULL, 2},
    {"prof", NULL, 2},
    {"results", "raw", 2},
    {"results", NULL, 0},
    {"model", NULL, 1},
    {"mode", NULL, 1},
    {"info", NULL, 0},
    {"frames", NULL, 1},
    {"baud", NULL, 1},
};

static const char *const wire_help[] = {
    "help              : this text",
    "name              : the name of the device",
    "timestamp         : the clock in microseconds, a falling edge of the timing pin, or both",
    "profile           : the firmware's profile and the active model",
    "db load N         : expect an input of N bytes",
    "db print          : the bytes received, in hex",
    "db crc            : CRC-32 of the input loaded whole",
    "db HH[HH]*        : the input's next bytes, in hex",
    "infer crc [N [W]] : like infer, with the CRC-32 of the output tensor's bytes instead of the outputs",
    "infer [N=1 [W=10]]: W inferences to warm up, then N timed ones, of the input loaded whole",
    "prof [N=1 [W=10]] : like infer crc, with the time of each operator besides",
    "results raw [O [N]]: bytes of the last inference's output tensor, in hex: N or all, from O on",
    "results           : the last inference's outputs",
    "model [ID]        : make a model of `info` the active one, or name the active one",
    "mode [MODE]       : performance (m-lap-us), energy (timing pin) or both; or tell which",
    "info              : firmware, board, engine, models and limits",
    "frames VERSION    : take binary frames beside text, from number 0 on; 0 switches them off",
    "baud N            : the UART's rate from the end of this answer on",
};

enum wire_mode {
    WIRE_MODE_PERFORMANCE,
    WIRE_MODE_ENERGY,
    WIRE_MODE_BOTH,
    WIRE_MODE_COUNT
};

static const char *const wire_modes[] = {
    "performance",
    "energy",
    "both",
};

enum wire_info {
    WIRE_INFO_VERSION,
    WIRE_INFO_BUILD_ID,
    WIRE_INFO_BOARD,
    WIRE_INFO_CORE_HZ,
    WIRE_INFO_ENGINE,
    WIRE_INFO_COMPILER,
    WIRE_INFO_FLAGS,
    WIRE_INFO_MODELS,
    WIRE_INFO_MODEL,
    WIRE_INFO_MODEL_SHA256,
    WIRE_INFO_MODEL_BYTES,
    WIRE_INFO_ARENA_BYTES,
    WIRE_INFO_ARENA_CAPACITY_BYTES,
    WIRE_INFO_INPUT_BYTES,
    WIRE_INFO_OUTPUT_ELEMENTS,
    WIRE_INFO_MODE,
    WIRE_INFO_CYCLES,
    WIRE_INFO_BAUD_MAX,
    WIRE_INFO_COUNT
};

static const char *const wire_info_keys[] = {
    "version",
    "build-id",
    "board",
    "core-hz",
    "engine",
    "compiler",
    "flags",
    "models",
    "model",
    "model-sha256",
    "model-bytes",
    "arena-bytes",
    "arena-capacity-bytes",
    "input-bytes",
    "output-elements",
    "mode",
    "cycles",
    "baud-max",
};

static inline void say_ready(struct reply *reply)
{
    reply_text(reply, "m-ready");
    reply_line_end(reply);
}

static inline void say_init_done(struct reply *reply)
{
    reply_text(reply, "m-init-done");
    reply_line_end(reply);
}

static inline void say_timestamp_mode(struct reply *reply, const char *mode)
{
    reply_text(reply, "m-timestamp-mode-");
    reply_text(reply, mode);
    reply_line_end(reply);
}

static inline void say_lap(struct reply *reply, uint64_t us)
{
    reply_text(reply, "m-lap-us-");
    reply_decimal(reply, us);
    reply_line_end(reply);
}

static inline void say_name(struct reply *reply, const char *vendor)
{
    reply_text(reply, "m-name-dut-[");
    reply_text(reply, vendor);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_profile(struct reply *reply, const char *profile)
{
    reply_text(reply, "m-profile-[");
    reply_text(reply, profile);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_model(struct reply *reply, const char *model)
{
    reply_text(reply, "m-model-[");
    reply_text(reply, model);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_expecting(struct reply *reply, uint32_t count)
{
    reply_text(reply, "m-[Expecting ");
    reply_decimal(reply, count);
    reply_text(reply, " bytes]");
    reply_line_end(reply);
}

static inline void say_load_done(struct reply *reply)
{
    reply_text(reply, "m-load-done");
    reply_line_end(reply);
}

static inline void say_buffer_begin(struct reply *reply)
{
    reply_text(reply, "m-buffer-");
}

static inline void say_buffer_end(struct reply *reply)
{
    reply_line_end(reply);
}

static inline void say_crc32(struct reply *reply, uint32_t crc)
{
    reply_text(reply, "m-crc32-[");
    reply_hex32(reply, crc);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_warmup_start(struct reply *reply, uint32_t count)
{
    reply_text(reply, "m-warmup-start-");
    reply_decimal(reply, count);
    reply_line_end(reply);
}

static inline void say_warmup_done(struct reply *reply)
{
    reply_text(reply, "m-warmup-done");
    reply_line_end(reply);
}

static inline void say_infer_start(struct reply *reply, uint32_t count)
{
    reply_text(reply, "m-infer-start-");
    reply_decimal(reply, count);
    reply_line_end(reply);
}

static inline void say_infer_done(struct reply *reply)
{
    reply_text(reply, "m-infer-done");
    reply_line_end(reply);
}

static inline void say_results_begin(struct reply *reply)
{
    reply_text(reply, "m-results-[");
}

static inline void say_results_end(struct reply *reply)
{
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_output(struct reply *reply, uint32_t count, uint32_t crc)
{
    reply_text(reply, "m-output-[");
    reply_decimal(reply, count);
    reply_text(reply, " bytes, CRC-32 ");
    reply_hex32(reply, crc);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_raw_begin(struct reply *reply)
{
    reply_text(reply, "m-raw-");
}

static inline void say_raw_end(struct reply *reply)
{
    reply_line_end(reply);
}

static inline void say_prof_operator(struct reply *reply, uint32_t index, uint32_t runs, uint64_t us, uint64_t cycles)
{
    reply_text(reply, "m-prof-operator-");
    reply_decimal(reply, index);
    reply_text(reply, "-runs-");
    reply_decimal(reply, runs);
    reply_text(reply, "-us-");
    reply_decimal(reply, us);
    reply_text(reply, "-cycles-");
    reply_decimal(reply, cycles);
    reply_line_end(reply);
}

static inline void say_prof_whole(struct reply *reply, uint32_t runs, uint64_t us, uint64_t cycles)
{
    reply_text(reply, "m-prof-whole-runs-");
    reply_decimal(reply, runs);
    reply_text(reply, "-us-");
    reply_decimal(reply, us);
    reply_text(reply, "-cycles-");
    reply_decimal(reply, cycles);
    reply_line_end(reply);
}

static inline void say_info_begin(struct reply *reply, const char *key)
{
    reply_text(reply, "m-info-");
    reply_text(reply, key);
    reply_text(reply, "-[");
}

static inline void say_info_end(struct reply *reply)
{
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_frames(struct reply *reply, uint32_t version, uint32_t payload, uint32_t window)
{
    reply_text(reply, "m-frames-[version ");
    reply_decimal(reply, version);
    reply_text(reply, ", payload ");
    reply_decimal(reply, payload);
    reply_text(reply, ", window ");
    reply_decimal(reply, window);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_baud(struct reply *reply, uint32_t baud)
{
    reply_text(reply, "m-baud-[");
    reply_decimal(reply, baud);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_unknown_command(struct reply *reply, const char *command)
{
    reply_text(reply, "e-[Unknown command: ");
    reply_text(reply, command);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_iterations(struct reply *reply)
{
    reply_text(reply, "e-[Inference iterations must be >0]");
    reply_line_end(reply);
}

static inline void say_error_warmup(struct reply *reply)
{
    reply_text(reply, "e-[Inference warmup must be >=0]");
    reply_line_end(reply);
}

static inline void say_error_db_subcommand(struct reply *reply)
{
    reply_text(reply, "e-[Command 'db' requires a subcommand]");
    reply_line_end(reply);
}

static inline void say_error_db_load_argument(struct reply *reply)
{
    reply_text(reply, "e-[Command 'db load' requires the # of bytes]");
    reply_line_end(reply);
}

static inline void say_error_db_load_zero(struct reply *reply)
{
    reply_text(reply, "e-[Command 'db load' must be >0 bytes]");
    reply_line_end(reply);
}

static inline void say_error_hex_count(struct reply *reply)
{
    reply_text(reply, "e-[Insufficent number of hex digits]");
    reply_line_end(reply);
}

static inline void say_error_hex_digit(struct reply *reply, const char *digits)
{
    reply_text(reply, "e-[Invalid hex digit '");
    reply_text(reply, digits);
    reply_text(reply, "']");
    reply_line_end(reply);
}

static inline void say_error_oversize(struct reply *reply, uint32_t size, uint32_t limit)
{
    reply_text(reply, "Supplied buffer size ");
    reply_decimal(reply, size);
    reply_text(reply, " exceeds maximum of ");
    reply_decimal(reply, limit);
    reply_line_end(reply);
}

static inline void say_error_empty(struct reply *reply)
{
    reply_text(reply, "e-[Empty command]");
    reply_line_end(reply);
}

static inline void say_error_line_too_long(struct reply *reply, uint32_t length, uint32_t limit)
{
    reply_text(reply, "e-[Line too long: ");
    reply_decimal(reply, length);
    reply_text(reply, " characters, at most ");
    reply_decimal(reply, limit);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_invalid_byte(struct reply *reply, uint8_t byte)
{
    reply_text(reply, "e-[Invalid byte 0x");
    reply_hex8(reply, byte);
    reply_text(reply, " in a command]");
    reply_line_end(reply);
}

static inline void say_error_overrun(struct reply *reply)
{
    reply_text(reply, "e-[UART overrun: the command and the load were dropped]");
    reply_line_end(reply);
}

static inline void say_error_too_many_arguments(struct reply *reply, const char *argument)
{
    reply_text(reply, "e-[Too many arguments: ");
    reply_text(reply, argument);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_number(struct reply *reply, const char *number)
{
    reply_text(reply, "e-[Invalid number: ");
    reply_text(reply, number);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_data_before_load(struct reply *reply)
{
    reply_text(reply, "e-[Data before 'db load']");
    reply_line_end(reply);
}

static inline void say_error_load_failed(struct reply *reply)
{
    reply_text(reply, "e-[The load failed: start again with 'db load']");
    reply_line_end(reply);
}

static inline void say_error_input_none(struct reply *reply)
{
    reply_text(reply, "e-[No input is loaded]");
    reply_line_end(reply);
}

static inline void say_error_input_short(struct reply *reply, uint32_t count, uint32_t size)
{
    reply_text(reply, "e-[The input is not whole: ");
    reply_decimal(reply, count);
    reply_text(reply, " of ");
    reply_decimal(reply, size);
    reply_text(reply, " bytes]");
    reply_line_end(reply);
}

static inline void say_error_input_size(struct reply *reply, uint32_t size, const char *model, uint32_t needed)
{
    reply_text(reply, "e-[The input has ");
    reply_decimal(reply, size);
    reply_text(reply, " bytes, model ");
    reply_text(reply, model);
    reply_text(reply, " needs ");
    reply_decimal(reply, needed);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_model_none(struct reply *reply)
{
    reply_text(reply, "e-[No model is active]");
    reply_line_end(reply);
}

static inline void say_error_model_unknown(struct reply *reply, const char *model)
{
    reply_text(reply, "e-[Unknown model: ");
    reply_text(reply, model);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_model_refused(struct reply *reply, const char *model, const char *reason)
{
    reply_text(reply, "e-[Model ");
    reply_text(reply, model);
    reply_text(reply, ": ");
    reply_text(reply, reason);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_mode_unknown(struct reply *reply, const char *mode)
{
    reply_text(reply, "e-[Unknown mode: ");
    reply_text(reply, mode);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_output_range(struct reply *reply, uint32_t size, uint32_t offset)
{
    reply_text(reply, "e-[The output has ");
    reply_decimal(reply, size);
    reply_text(reply, " bytes, none at ");
    reply_decimal(reply, offset);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_results_none(struct reply *reply)
{
    reply_text(reply, "e-[No results: run 'infer' first]");
    reply_line_end(reply);
}

static inline void say_error_prof_operators(struct reply *reply, const char *model, uint32_t limit)
{
    reply_text(reply, "e-[No room to profile model ");
    reply_text(reply, model);
    reply_text(reply, ": it has more than ");
    reply_decimal(reply, limit);
    reply_text(reply, " operators]");
    reply_line_end(reply);
}

static inline void say_error_input_open(struct reply *reply, uint32_t count)
{
    reply_text(reply, "e-[The input is not whole: ");
    reply_decimal(reply, count);
    reply_text(reply, " bytes, and its last frame is missing]");
    reply_line_end(reply);
}

static inline void say_error_input_crc(struct reply *reply, uint32_t crc, uint32_t meant)
{
    reply_text(reply, "e-[The input has CRC-32 ");
    reply_hex32(reply, crc);
    reply_text(reply, ", not ");
    reply_hex32(reply, meant);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_frame_type(struct reply *reply, uint8_t type)
{
    reply_text(reply, "e-[Unknown type of frame: 0x");
    reply_hex8(reply, type);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_frame_short(struct reply *reply, uint32_t count, uint32_t least)
{
    reply_text(reply, "e-[The frame has ");
    reply_decimal(reply, count);
    reply_text(reply, " data bytes, its type at least ");
    reply_decimal(reply, least);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_keep(struct reply *reply, uint32_t count, uint32_t size)
{
    reply_text(reply, "e-[No ");
    reply_decimal(reply, count);
    reply_text(reply, " bytes to keep: the input before this one has ");
    reply_decimal(reply, size);
    reply_text(reply, "]");
    reply_line_end(reply);
}

static inline void say_error_frames_version(struct reply *reply, uint32_t version, uint32_t known)
{
    reply_text(reply, "e-[Frames of version ");
    reply_decimal(reply, version);
    reply_text(reply, " are unknown, version ");
    reply_decimal(reply, known);
    reply_text(reply, " is known]");
    reply_line_end(reply);
}

static inline void say_error_baud(struct reply *reply, uint32_t baud)
{
    reply_text(reply, "e-[Baud ");
    reply_decimal(reply, baud);
    reply_text(reply, " is not possible]");
    reply_line_end(reply);
}

static inline void say_error_engine_failed(struct reply *reply, uint32_t status)
{
    reply_text(reply, "e-[Inference failed with engine status -");
    reply_decimal(reply, status);
    reply_text(reply, "]");
    reply_line_end(reply);
}

#endif
