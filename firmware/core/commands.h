/* SPDX-License-Identifier: Apache-2.0 */
/* One handler per command of wire.toml, for device_command() only. A handler writes everything but the line that ends
 * the reply. Those that are needed in one file only are in commands.c. */
#ifndef TJ_COMMANDS_H
#define TJ_COMMANDS_H

#include "device.h"
#include "wire_table.h"

#include <stdbool.h>

/* Why there is no active model. */
void command_say_no_model(struct device *device);

/* Whether there is a model and an input for it; says what is missing. */
bool command_check_infer(struct device *device);

/* commands_device.c */
void command_model(struct device *device, const struct wire_command *command);
void command_mode(struct device *device, const struct wire_command *command);
void command_info(struct device *device);
void command_frames(struct device *device, const struct wire_command *command);
void command_baud(struct device *device, const struct wire_command *command);

#endif
