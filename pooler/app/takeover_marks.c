/* SPDX-License-Identifier: ISC */
#include "pooler/app/takeover_marks.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

/* Columns that are looked at, and where they are in the present answer; -1: they are not. */
typedef enum Column { COLUMN_KEY, COLUMN_VALUE, COLUMN_NAME, COLUMN_PAUSED, COLUMN_DISABLED, COLUMN_COUNT } Column;
static const char *const names[] = {"key", "value", "name", "paused", "disabled"};
_Static_assert(PW_ARRAY_LEN(names) == COLUMN_COUNT, "a name for each");

/* Longest value that counts: a database's name. */
#define VALUE_MAX 64

typedef struct Mark {
    char database[VALUE_MAX];
    bool paused, disabled;
} Mark;

static struct {
    int at[COLUMN_COUNT];
    Mark *marks;
    size_t n;
    bool all_paused;
} m;

void takeover_marks_columns(const uint8_t *payload, size_t n)
{
    PwCursor c = pw_cursor(payload, n);
    int n_columns = pw_cursor_be16(&c);
    for (int k = 0; k < COLUMN_COUNT; k++)
        m.at[k] = -1;
    for (int i = 0; i < n_columns && !c.bad; i++) {
        const char *name = pw_cursor_cstr(&c);
        pw_cursor_bytes(&c, 18); /* table, column, type, length, modifier, format */
        for (int k = 0; k < COLUMN_COUNT && !c.bad; k++)
            if (strcmp(name, names[k]) == 0)
                m.at[k] = i;
    }
}

void takeover_marks_row(const uint8_t *payload, size_t n)
{
    char values[COLUMN_COUNT][VALUE_MAX] = {{0}};
    PwCursor c = pw_cursor(payload, n);
    int n_columns = pw_cursor_be16(&c);
    for (int i = 0; i < n_columns && !c.bad; i++) {
        uint32_t len = pw_cursor_be32(&c);
        const uint8_t *text = len == UINT32_MAX ? NULL : pw_cursor_bytes(&c, len);
        for (int k = 0; k < COLUMN_COUNT && !c.bad; k++)
            if (m.at[k] == i && text && len < VALUE_MAX)
                memcpy(values[k], text, len);
    }
    if (strcmp(values[COLUMN_KEY], "paused") == 0 && strcmp(values[COLUMN_VALUE], "yes") == 0)
        m.all_paused = true;
    Mark mark = {.paused = strcmp(values[COLUMN_PAUSED], "1") == 0, .disabled = strcmp(values[COLUMN_DISABLED], "1") == 0};
    if (c.bad || !values[COLUMN_NAME][0] || (!mark.paused && !mark.disabled))
        return;
    memcpy(mark.database, values[COLUMN_NAME], VALUE_MAX);
    m.marks = pw_xrealloc(m.marks, (m.n + 1) * sizeof(*m.marks));
    m.marks[m.n++] = mark;
}

static void apply(const Config *config, const Mark *mark)
{
    bool is_auto, paused = mark->paused && !m.all_paused; /* else it may be paused as all are */
    if (!config_find_database(config, mark->database, &is_auto)) {
        pw_log(PW_LOG_WARNING, "takeover: database \"%s\" was paused or disabled, and is not configured any more", mark->database);
        return;
    }
    if (paused)
        pw_log(PW_LOG_WARNING, "takeover: database \"%s\" is paused, as it was (RESUME ends it)", mark->database);
    if (mark->disabled)
        pw_log(PW_LOG_WARNING, "takeover: database \"%s\" is disabled, as it was (ENABLE ends it)", mark->database);
    admin_start_marked(mark->database, is_auto, paused, mark->disabled);
}

void takeover_marks_apply(const Config *config)
{
    if (m.all_paused) {
        pw_log(PW_LOG_WARNING, "takeover: all databases are paused, as they were (RESUME ends it)");
        admin_start_paused();
    }
    for (size_t i = 0; i < m.n; i++)
        apply(config, &m.marks[i]);
    free(m.marks);
    m.marks = NULL;
    m.n = 0;
}
