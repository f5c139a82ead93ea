/* SPDX-License-Identifier: ISC */
/* command.h - the commands beside report, a file each. Each prints its answer to stdout and returns the exit code. */
#ifndef ADVISOR_COMMAND_COMMAND_H
#define ADVISOR_COMMAND_COMMAND_H

#include "advisor/app.h"

int adv_command_snapshot(const AdvOptions *options);

/* `statement`: the text of one statement. */
int adv_command_explain(const AdvOptions *options, const char *statement);

/* Exit code ADV_EXIT_PROBLEMS when something of level fail_on or worse was found. */
int adv_command_check(const AdvOptions *options);

/* Two reports in JSON. ADV_EXIT_PROBLEMS when the second has findings that the first has not. */
int adv_command_diff(const AdvOptions *options, const char *old_path, const char *new_path);

/* Builds and drops indexes on the scratch database. */
int adv_command_verify(const AdvOptions *options);

/* Writes a summary of what ran, to a file or to the store. */
int adv_command_collect(const AdvOptions *options);

/* The same of what is summed up already, in files and in the store; always to a file. */
int adv_command_merge(const AdvOptions *options);

#endif
