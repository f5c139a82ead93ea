/* SPDX-License-Identifier: ISC */
/* syslog.c - PostgreSQL's log in syslog's files: "Nov 26 00:00:01 host postgres[77]: [5-1] LOG:  ...", further lines of the message as "[5-2] #011...", with
 * lines of other processes in between. So messages are put together by process, one block after the other. */
#include <stdlib.h>

#include "advisor/source/reader.h"
#include "advisor/source/stderr_log.h"
#include "poolwise/mem.h"

typedef struct Mark {
    AdvSlice pid;
    AdvSlice rest;   /* after "[5-1] " */
    unsigned number; /* of the line in its message */
} Mark;

static bool read_digits(const char **p, const char *end, unsigned *ret)
{
    const char *start = *p;
    *ret = 0;
    while (*p < end && **p >= '0' && **p <= '9')
        *ret = 10 * *ret + (unsigned)(*(*p)++ - '0');
    return *p > start;
}

/* "name[77]: [5-2] rest" somewhere in the first 120 bytes. */
static bool find_mark(const char *line, size_t len, Mark *ret)
{
    const char *end = line + len, *limit = line + (len < 120 ? len : 120);
    for (const char *p = line; (p = memchr(p, ']', (size_t)(limit - p)));) {
        const char *close = p++;
        unsigned message, number;
        const char *q = p;
        if (end - q < 7 || memcmp(q, ": [", 3) != 0)
            continue;
        q += 3;
        if (!read_digits(&q, end, &message) || q == end || *q++ != '-' || !read_digits(&q, end, &number) || end - q < 2 || q[0] != ']' || q[1] != ' ')
            continue;
        const char *open = memrchr(line, '[', (size_t)(close - line));
        if (!open)
            return false;
        *ret = (Mark){{open + 1, (size_t)(close - open - 1)}, {q + 2, (size_t)(end - q - 2)}, number};
        return true;
    }
    return false;
}

#define PROCESSES 512 /* whose message is not finished; when there are more, all are taken to be */

typedef struct Process {
    char pid[16];
    PwBuf text;
} Process;

typedef struct AdvSyslog {
    size_t n;
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
        for (s->n = 0, i = 0; i < PROCESSES; i++)
            flush(r, &s->processes[i]);
    Process *p = &s->processes[s->n++];
    memcpy(p->pid, pid.p, pid.n);
    p->pid[pid.n] = '\0';
    return p;
}

/* The server puts a tab in front of further lines of a text; a piece without one is what was too long for a line of syslog. */
static void append(Process *p, AdvSlice rest, bool further)
{
    bool tab = adv_slice_begins(rest, "\t", 1), number = adv_slice_begins(rest, "#011", 4);
    rest = adv_slice_from(rest, tab ? 1 : number ? 4 : 0);
    if (further && (tab || number))
        pw_buf_append_u8(&p->text, '\t');
    else if (further && p->text.len > 0)
        p->text.len--;
    pw_buf_append(&p->text, rest.p, rest.n);
    pw_buf_append_u8(&p->text, '\n');
}

static void take_line(AdvReader *r, const char *line, size_t len)
{
    Mark mark;
    if (!find_mark(line, len, &mark) || mark.pid.n >= sizeof(((Process *)0)->pid))
        return;
    Process *p = process_of(r, mark.pid);
    /* A label such as DETAIL comes as a message of its own: what belongs together is what comes until the next severity. */
    if (mark.number == 1 && adv_form_stderr.starts(mark.rest.p, mark.rest.n))
        flush(r, p);
    append(p, mark.rest, mark.number > 1);
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

static bool is_syslog(const char *head, size_t len)
{
    Mark mark;
    const char *newline = memchr(head, '\n', len);
    return find_mark(head, newline ? (size_t)(newline - head) : len, &mark);
}

const AdvForm adv_form_syslog = {.name = "log of PostgreSQL from syslog", .told = true, .serial = true, .is = is_syslog, .read = read_syslog, .finish = finish_syslog};
