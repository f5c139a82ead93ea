/* SPDX-License-Identifier: ISC */
/* terminal.h - the text report as a terminal shows it best: in its width, with colours, and without what could command the terminal. */
#ifndef ADVISOR_REPORT_TERMINAL_H
#define ADVISOR_REPORT_TERMINAL_H

#include <stdbool.h>

#include "advisor/arena.h"

/* `columns`: lines are broken there, except commands, which are copied. A statement may hold any byte: control characters become '?'. */
const char *adv_for_terminal(AdvArena *arena, const char *report, int columns, bool colours);

/* The width of standard output; 0 when it is no terminal. */
int adv_terminal_columns(void);
/* NO_COLOR is not set, and the terminal is not a dumb one. */
bool adv_terminal_has_colours(void);

#endif
