/* SPDX-License-Identifier: ISC */
#include "advisor/source/pglog.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>

/* "duration: 12.345 ms" at the start: the milliseconds, and the rest after the blanks. -1: it is none. */
static double read_duration(const char *message, const char **ret_rest)
{
    static const char head[] = "duration: ";
    if (strncmp(message, head, strlen(head)) != 0)
        return -1;
    char *end;
    double ms = strtod(message + strlen(head), &end);
    if (strncmp(end, " ms", 3) != 0 || !(ms >= 0))
        return -1;
    end += 3;
    while (*end == ' ')
        end++;
    *ret_rest = end;
    return ms;
}

/* "execute S_1: SELECT ...", "execute <unnamed>/C_2: ...", "execute fetch from S_1/C_2: ...": the text; NULL: none, or a further
 * fetch, whose statement was counted by its first. */
static const char *after_execute(const char *rest)
{
    if (strncmp(rest, "execute ", 8) != 0 || strncmp(rest, "execute fetch from ", 19) == 0)
        return NULL;
    const char *colon = strstr(rest, ": ");
    return colon ? colon + 2 : NULL;
}

/* "parameters: $1 = '7'" (before PostgreSQL 16) or "Parameters: ..." */
static const char *parameters(const char *detail)
{
    if (!detail || (strncmp(detail, "parameters: ", 12) != 0 && strncmp(detail, "Parameters: ", 12) != 0))
        return NULL;
    return detail + 12;
}

/* auto_explain: "plan:" and then text ("Query Text: ...", the plan behind it begins with a cost) or JSON. */
static void take_plan(AdvCollector *c, const char *plan, double ms)
{
    static const char head[] = "Query Text: ";
    while (isspace((unsigned char)*plan))
        plan++;
    if (*plan == '{') {
        json_t *root = json_loads(plan, JSON_DISABLE_EOF_CHECK, NULL);
        const char *text = json_string_value(json_object_get(root, "Query Text"));
        if (text)
            adv_collect(c, text, strlen(text), NULL, 1, ms, -1);
        json_decref(root);
        return;
    }
    if (strncmp(plan, head, strlen(head)) != 0)
        return;
    plan += strlen(head);
    const char *end = strstr(plan, "  (cost=");
    size_t len = end ? (size_t)(end - plan) : strlen(plan);
    while (end && len > 0 && plan[len - 1] != '\n')
        len--;
    const char *values = strstr(plan, "\nQuery Parameters: "); /* from PostgreSQL 16 on */
    if (values && (size_t)(values - plan) < len)
        len = (size_t)(values - plan);
    if (len > 0)
        adv_collect(c, plan, len, NULL, 1, ms, -1);
}

void adv_pglog_message(AdvCollector *c, AdvLogTotals *totals, char *message, size_t len, const char *detail)
{
    const char *rest = message, *text = NULL;
    totals->messages++;
    double ms = read_duration(message, &rest);
    if (strncmp(rest, "statement: ", 11) == 0)
        text = rest + 11;
    else if (ms >= 0 && strncmp(rest, "plan:", 5) == 0) {
        if (totals->explained++ >= 0 && totals->statements < 1)
            take_plan(c, rest + 5, ms);
        return;
    } else {
        text = after_execute(rest);
    }
    if (!text)
        return;
    totals->statements++;
    adv_collect(c, text, len - (size_t)(text - message), parameters(detail), 1, ms > 0 ? ms : 0, -1);
}
