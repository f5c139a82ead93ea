/* SPDX-License-Identifier: ISC */
/* command.h - the commands beside report, a file each. Each prints its answer to stdout and returns the exit code. */
#ifndef ADVISOR_COMMAND_COMMAND_H
#define ADVISOR_COMMAND_COMMAND_H

#include "advisor/app.h"

int adv_command_snapshot(const AdvOptions *options);

/* `statement`: the text of one statement. */
int adv_command_explain(const AdvOptions *options, const char *statement);

#endif
