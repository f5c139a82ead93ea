/* SPDX-License-Identifier: ISC */
#include "poolwise/diag.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "poolwise/mem.h"

static const char *const level_names[] = {
    [PW_DIAG_ERROR] = "error",
    [PW_DIAG_WARNING] = "warning",
};
static_assert(PW_ARRAY_LEN(level_names) == PW_DIAG_LEVEL_COUNT, "each level has a name");

void pw_diag_init(PwDiag *diag)
{
    *diag = (PwDiag){0};
}

void pw_diag_finish(PwDiag *diag)
{
    for (size_t i = 0; i < diag->n; i++) {
        free(diag->items[i].file);
        free(diag->items[i].text);
        free(diag->items[i].hint);
    }
    free(diag->items);
    *diag = (PwDiag){0};
}

void pw_diag_add(PwDiag *diag, PwDiagLevel level, const char *file, int line, const char *hint,
                 const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    diag->items = pw_xrealloc(diag->items, (diag->n + 1) * sizeof(*diag->items));
    diag->items[diag->n++] = (PwDiagItem){
        .level = level,
        .file = file != NULL ? pw_xstrdup(file) : NULL,
        .line = line,
        .text = pw_xstrdup(text),
        .hint = hint != NULL ? pw_xstrdup(hint) : NULL,
    };
    if (level == PW_DIAG_ERROR)
        diag->n_errors++;
    else
        diag->n_warnings++;
}

char *pw_diag_format(const PwDiagItem *item)
{
    char place[32] = "";
    if (item->line > 0)
        (void)snprintf(place, sizeof(place), "%d:", item->line);
    return pw_xasprintf("%s%s%s%s%s: %s%s%s%s", item->file != NULL ? item->file : "",
                        item->file != NULL ? ":" : "", place, item->file != NULL ? " " : "",
                        level_names[item->level], item->text, item->hint != NULL ? " (hint: " : "",
                        item->hint != NULL ? item->hint : "", item->hint != NULL ? ")" : "");
}
