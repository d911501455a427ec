/* SPDX-License-Identifier: Apache-2.0 */
/* What the device does with the host's frames: [frames] of wire.toml. For device.c and commands_device.c only. */
#ifndef TJ_FRAMES_H
#define TJ_FRAMES_H

#include "device.h"
#include "frame.h"

#include <stdbool.h>

/* Begin anew with number 0, or stop taking frames. An input that is loaded in part is dropped. */
void frames_switch(struct device *device, bool on);

/* Work on a whole frame and answer it. Blocks for as long as that takes. */
void frames_take(struct device *device, const struct frame *frame);

/* A frame was there whose bytes are worth nothing. */
void frames_damaged(struct device *device);

#endif
