/* SPDX-License-Identifier: ISC */
/* json_build.h - what every JSON answer of the advisor is built with. Any thread. */
#ifndef ADVISOR_JSON_BUILD_H
#define ADVISOR_JSON_BUILD_H

#include <jansson.h>

#include "advisor/arena.h"

/* New references, never NULL. */
json_t *adv_json_text_or_null(const char *text); /* null for NULL, and for what is no UTF-8 */
json_t *adv_json_finite(double x);               /* 0 for what JSON has no number for */

/* The value as text with an end of line, `indent` blanks a level, on the arena. Takes the reference over. */
const char *adv_json_print(AdvArena *arena, json_t *value, int indent);

#endif
