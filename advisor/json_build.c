/* SPDX-License-Identifier: ISC */
#include "advisor/json_build.h"

#include <math.h>
#include <stdlib.h>

json_t *adv_json_text_or_null(const char *text)
{
    json_t *value = text ? json_string(text) : NULL;
    return value ? value : json_null();
}

json_t *adv_json_finite(double x)
{
    return json_real(isfinite(x) ? x : 0);
}

const char *adv_json_print(AdvArena *arena, json_t *value, int indent)
{
    /* 12 digits are more than any estimate knows, and 0.1 stays 0.1 */
    char *dump = json_dumps(value, JSON_INDENT((unsigned)indent) | JSON_REAL_PRECISION(12));
    const char *text = adv_arena_printf(arena, "%s\n", dump ? dump : "{}");
    free(dump);
    json_decref(value);
    return text;
}
