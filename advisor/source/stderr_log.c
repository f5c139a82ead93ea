/* SPDX-License-Identifier: ISC */
/* stderr_log.c - PostgreSQL's log as text, with any log_line_prefix. */
#include "advisor/source/stderr_log.h"
#include "advisor/source/words.h"

#include <ctype.h>

/* A text that is one line of the log as long as no other follows; then it is put together in `buf`. */
typedef struct Growing {
    AdvSlice text;
    PwBuf *buf;
} Growing;

/* One message while its lines come in. */
typedef struct Open {
    AdvEntry entry;
    Growing message, detail, statement;
    Growing *current; /* what further lines belong to; NULL: to nothing of interest */
    bool any;
} Open;

static void grow(Growing *g, const char *line, size_t len)
{
    if (g->buf->len == 0)
        pw_buf_append(g->buf, g->text.p, g->text.n);
    pw_buf_append_u8(g->buf, '\n');
    pw_buf_append(g->buf, line, len);
    g->text = (AdvSlice){(const char *)g->buf->data, g->buf->len};
}

static void begin(Growing *g, const char *text, size_t len)
{
    g->buf->off = g->buf->len = 0;
    g->text = (AdvSlice){text, len};
}

static void clear(Growing *g)
{
    g->buf->off = g->buf->len = 0;
    g->text = (AdvSlice){0};
}

static void finish(AdvReader *r, Open *open)
{
    if (open->any) {
        open->entry.message = open->message.text;
        open->entry.detail = open->detail.text;
        open->entry.statement = open->statement.text;
        adv_reader_message(r, &open->entry);
    }
    open->any = false;
    open->current = NULL;
    clear(&open->detail);
    clear(&open->statement);
}

/* log_error_verbosity = verbose puts the SQLSTATE in front of what is said: "LOG:  00000: duration: ...". */
static size_t sqlstate_length(const char *p, size_t n)
{
    if (n < 7 || p[5] != ':' || p[6] != ' ')
        return 0;
    for (size_t i = 0; i < 5; i++)
        if (!isdigit((unsigned char)p[i]) && !isupper((unsigned char)p[i]))
            return 0;
    return 7;
}

static void take_line(AdvReader *r, Open *open, const char *line, size_t len)
{
    size_t label, at;
    AdvPart part = len == 0 || line[0] == '\t' ? ADV_PART_NONE : adv_find_part(line, len, &label, &at);
    switch (part) {
    case ADV_PART_LOG:
    case ADV_PART_ERROR:
    case ADV_PART_MESSAGE:
        finish(r, open);
        at += sqlstate_length(line + at, len - at);
        open->entry = (AdvEntry){.severity = part, .prefix = {line, label}};
        begin(&open->message, line + at, len - at);
        open->current = &open->message;
        open->any = true;
        break;
    case ADV_PART_DETAIL:
        begin(&open->detail, line + at, len - at);
        open->current = &open->detail;
        break;
    case ADV_PART_STATEMENT:
        begin(&open->statement, line + at, len - at);
        open->current = &open->statement;
        break;
    case ADV_PART_OTHER:
        open->current = NULL;
        break;
    case ADV_PART_NONE: /* the server puts a tab in front of further lines; some collectors take it away */
        if (open->current) {
            size_t tab = len > 0 && line[0] == '\t';
            grow(open->current, line + tab, len - tab);
        }
        break;
    }
}

/* A machine that lost its power leaves NUL bytes where the last lines should be. */
static const char *skip_hole(const char *p, const char *stop)
{
    while (p < stop && *p == '\0')
        p++;
    return p;
}

void adv_stderr_read(AdvReader *r, const char *data, size_t len)
{
    Open open = {.message.buf = &r->message, .detail.buf = &r->detail, .statement.buf = &r->statement};
    clear(&open.message);
    clear(&open.detail);
    clear(&open.statement);
    for (const char *p = data, *end = data + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        const char *line = skip_hole(p, stop);
        size_t n = (size_t)(stop - line);
        n -= n > 0 && line[n - 1] == '\r';
        if (n > 0 || line == p)
            take_line(r, &open, line, n);
        p = stop + 1;
    }
    finish(r, &open);
}

static bool starts(const char *line, size_t len)
{
    size_t label, at;
    const char *p = skip_hole(line, line + len);
    len -= (size_t)(p - line);
    line = p;
    return len > 0 && line[0] != '\t' && adv_find_part(line, len, &label, &at) <= ADV_PART_MESSAGE;
}

/* One line among the first that has a severity is enough. */
static bool is_stderr(const char *head, size_t len)
{
    size_t label, at;
    for (const char *p = head, *end = head + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        if (adv_find_part(p, n, &label, &at) != ADV_PART_NONE)
            return true;
        p += n + 1;
    }
    return false;
}

const AdvForm adv_form_stderr = {.name = "log of PostgreSQL", .told = true, .is = is_stderr, .starts = starts, .read = adv_stderr_read};
