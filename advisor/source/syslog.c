/* SPDX-License-Identifier: ISC */
/* syslog.c - PostgreSQL's log in syslog's files: "Nov 26 00:00:01 host postgres[77]: [5-1] LOG:  ...", further lines of the message as "[5-2] #011...", with
 * lines of other processes in between. So messages are put together by process, one block after the other. The journal, and a server with
 * syslog_sequence_numbers = off, write no numbers. */
#include <ctype.h>
#include <stdlib.h>

#include "advisor/source/reader.h"
#include "advisor/source/stderr_log.h"
#include "advisor/source/words.h"
#include "poolwise/mem.h"

typedef struct Mark {
    AdvSlice pid;
    AdvSlice rest;   /* after "[5-1] " */
    unsigned number; /* of the line in its message; 0: it has none */
} Mark;

static bool read_digits(const char **p, const char *end, unsigned *ret)
{
    const char *start = *p;
    *ret = 0;
    while (*p < end && **p >= '0' && **p <= '9')
        *ret = 10 * *ret + (unsigned)(*(*p)++ - '0');
    return *p > start;
}

/* "[5-2] " */
static bool read_number(const char **p, const char *end, unsigned *ret)
{
    unsigned message;
    const char *q = *p;
    if (q == end || *q++ != '[' || !read_digits(&q, end, &message) || q == end || *q++ != '-' || !read_digits(&q, end, ret) || end - q < 2 || q[0] != ']' || q[1] != ' ')
        return false;
    *p = q + 2;
    return true;
}

/* The name in front of '[': of a log_line_prefix such as "%t [%p]: [%l-1] " there is none. */
static AdvSlice name_before(const char *line, const char *open)
{
    const char *p = open;
    while (p > line && (isalnum((unsigned char)p[-1]) || (p[-1] && strchr("_-./@", p[-1]))))
        p--;
    return (AdvSlice){p, (size_t)(open - p)};
}

/* "name[77]: [5-2] rest" somewhere in the first 120 bytes; without the number the name must be that of the server. */
static bool find_mark(const char *line, size_t len, Mark *ret)
{
    const char *end = line + len, *limit = line + (len < 120 ? len : 120);
    for (const char *p = line; (p = memchr(p, ']', (size_t)(limit - p))); p++) {
        const char *open = memrchr(line, '[', (size_t)(p - line)), *rest = p + 3;
        AdvSlice name = open ? name_before(line, open) : (AdvSlice){0};
        unsigned number = 0;
        if (name.n == 0 || end - p < 3 || p[1] != ':' || p[2] != ' ')
            continue;
        if (!read_number(&rest, end, &number) && !adv_slice_begins(name, "postgres", 8))
            continue;
        *ret = (Mark){{open + 1, (size_t)(p - open - 1)}, {rest, (size_t)(end - rest)}, number};
        return true;
    }
    return false;
}

#define MESSAGE_MAX ((size_t)16 * 1024 * 1024) /* what never ends must not eat the memory */
#define PROCESSES 512 /* whose message is not finished; when there are more, all are taken to be */

typedef struct Process {
    char pid[16];
    PwBuf text;
} Process;

typedef struct AdvSyslog {
    size_t n;
    Process *last; /* of the line before; NULL: none */
    Process processes[PROCESSES];
} AdvSyslog;

static void flush(AdvReader *r, Process *p)
{
    if (p->text.len > 0)
        adv_stderr_read(r, (const char *)p->text.data, p->text.len);
    p->text.off = p->text.len = 0;
}

static Process *process_of(AdvReader *r, AdvSlice pid)
{
    AdvSyslog *s = r->syslog;
    size_t i = 0;
    while (i < s->n && !adv_slice_is(pid, s->processes[i].pid))
        i++;
    if (i < s->n)
        return &s->processes[i];
    if (s->n == PROCESSES)
        for (s->n = 0, s->last = NULL, i = 0; i < PROCESSES; i++)
            flush(r, &s->processes[i]);
    Process *p = &s->processes[s->n++];
    memcpy(p->pid, pid.p, pid.n);
    p->pid[pid.n] = '\0';
    return p;
}

static bool begins_tab(AdvSlice s, size_t *ret_len)
{
    *ret_len = adv_slice_begins(s, "\t", 1) ? 1 : adv_slice_begins(s, "#011", 4) ? 4 : 0;
    return *ret_len > 0;
}

/* The server puts a tab in front of further lines of a text; a numbered piece without one is what was too long for a line of syslog. */
static void append(Process *p, AdvSlice rest, bool further, bool numbered)
{
    size_t tab;
    bool new_line = begins_tab(rest, &tab) || !numbered;
    rest = adv_slice_from(rest, tab);
    if (further && new_line)
        pw_buf_append_u8(&p->text, '\t');
    else if (further && p->text.len > 0)
        p->text.len--;
    pw_buf_append(&p->text, rest.p, rest.n);
    pw_buf_append_u8(&p->text, '\n');
}

static bool has_label(AdvSlice text)
{
    size_t label, at;
    return adv_find_part(text.p, text.n, &label, &at) != ADV_PART_NONE;
}

static void take_line(AdvReader *r, const char *line, size_t len)
{
    Mark mark;
    size_t tab;
    if (!find_mark(line, len, &mark) || mark.pid.n >= sizeof(((Process *)0)->pid)) {
        if (r->syslog->last && len > 0 && line[0] == '\t') /* a prefix that looks like syslog's, of a server that writes files itself */
            append(r->syslog->last, (AdvSlice){line, len}, true, false);
        return;
    }
    Process *p = r->syslog->last = process_of(r, mark.pid);
    bool further = mark.number > 1 || (mark.number == 0 && (begins_tab(mark.rest, &tab) || !has_label(mark.rest)));
    /* A label such as DETAIL comes as a message of its own: what belongs together is what comes until the next severity. */
    if (!further && adv_form_stderr.starts(mark.rest.p, mark.rest.n))
        flush(r, p);
    append(p, mark.rest, further, mark.number > 0);
    if (p->text.len > MESSAGE_MAX)
        flush(r, p);
}

static void read_syslog(AdvReader *r, const char *data, size_t len)
{
    if (!r->syslog)
        r->syslog = pw_xcalloc(1, sizeof(*r->syslog));
    for (const char *p = data, *end = data + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        take_line(r, p, (size_t)(stop - p));
        p = stop + 1;
    }
}

static void finish_syslog(AdvReader *r)
{
    for (size_t i = 0; r->syslog && i < PROCESSES; i++) {
        flush(r, &r->syslog->processes[i]);
        pw_buf_finish(&r->syslog->processes[i].text);
    }
    free(r->syslog);
    r->syslog = NULL;
}

/* Lines of other programs may come first. */
static bool is_syslog(const char *head, size_t len)
{
    Mark mark;
    for (const char *p = head, *end = head + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        if (find_mark(p, n, &mark) && (mark.number > 0 || has_label(mark.rest)))
            return true;
        p += n + 1;
    }
    return false;
}

const AdvForm adv_form_syslog = {.name = "log of PostgreSQL from syslog", .told = true, .serial = true, .is = is_syslog, .read = read_syslog, .finish = finish_syslog};
