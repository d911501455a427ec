/* SPDX-License-Identifier: Apache-2.0 */
/* The device as the host sees it: takes bytes from the board, answers every terminator of the text with exactly one
 * reply, and every frame as wire.toml says.
 *
 * Rules
 * 1. At most one model is active. A `model` command that fails leaves none.
 * 2. An inference runs only on an input loaded whole, after the model was selected, of the size the model needs.
 * 3. Results are those of the input that is loaded: a new load drops them.
 * 4. Bytes that come while an inference runs wait in the board's queue. A frame whose bytes pause is dropped, and a
 * line at another rate than the boot one goes back to it when nothing good has come for a while ([frames] of
 * wire.toml): a host that was killed at any point leaves a device that answers the next one.
 */
#ifndef TJ_DEVICE_H
#define TJ_DEVICE_H

#include "bench.h"
#include "engine.h"
#include "frame.h"
#include "input.h"
#include "model.h"
#include "profile.h"
#include "reply.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory from the caller, for as long as the device is used. */
struct device_config {
    uint8_t *arena; /* aligned to ENGINE_ALIGN_BYTES */
    size_t arena_bytes;
    uint8_t *input; /* any alignment */
    uint32_t input_bytes;
    struct profile_operator *operators; /* for `prof`: one per operator of the largest model, in its order */
    uint32_t operators_capacity;        /* a model with more of them runs, but has no profile */
};

/* The frames of the host, in order. */
struct frames {
    struct frame_reader reader;
    struct frame_writer writer;
    bool on;
    uint8_t wanted; /* number of the next frame */
    bool gap;       /* it did not come when it should have, and the host was told so */
    uint8_t beyond; /* in a gap: how far the last frame that did come was beyond it; 0: none has */
};

/* The caller's; device_start() before use. */
struct device {
    struct device_config config;
    struct wire wire;
    struct frames frames;
    struct input input;
    struct reply reply;
    struct engine *engine;     /* NULL: no model is active */
    const struct model *model; /* the active one, or the one refused last; NULL: neither */
    const char *refusal;       /* why `model` is not active; NULL when it is, or when there is none */
    struct engine_error error; /* what `refusal` may point into */
    enum wire_mode mode;
    uint32_t boot_baud;
    uint32_t next_baud; /* the line's rate once the present answer has been sent; 0: as it is */
    uint64_t good_us;   /* end of the last answer to something good; holds at another rate than the boot one */
    bool has_results;
    bool has_window;
    struct bench_window window; /* the last one of the active model, with has_window */
};

/* Load the first model of the image, if there is one, and send the boot banner. board_init() has been called. */
void device_start(struct device *device, const struct device_config *config);

/* Wait for bytes and work on them. Blocks until there are some, and for as long as their commands take. */
void device_poll(struct device *device);

/* Make a model the active one, or none when it is refused: then device->refusal says why. Drops input and results. */
void device_select(struct device *device, const struct model *model);

/* Like device_select, with no model. */
void device_deselect(struct device *device);

/* commands.c: answer one command, all but the line that ends the reply. */
void device_command(struct device *device, const struct wire_command *command);

/* commands.c: the boot banner, all but the line that ends it. */
void device_banner(struct device *device);

#endif
