/* SPDX-License-Identifier: ISC */
/* container.c - what containers print, as the runtimes of Kubernetes keep it: "2026-03-01T12:00:00.123456789Z stderr F ..." in front of each line. Behind it stand lines of a stderr
 * log or records in JSON; a long line comes in several, all but the last with P in the place of F. */
#include "advisor/source/json_log.h"
#include "advisor/source/pieces.h"
#include "advisor/source/prefix.h"

typedef struct Wrapped {
    bool partial;
    AdvSlice rest;
} Wrapped;

/* The time with its zone: "Z", "+01:00". */
static size_t stamp_length(AdvSlice s)
{
    size_t n = s.n > 10 && s.p[10] == 'T' ? adv_time_length(s) : 0;
    if (n > 0 && n < s.n && s.p[n] == 'Z')
        return n + 1;
    return n > 0 && n + 6 <= s.n && (s.p[n] == '+' || s.p[n] == '-') && s.p[n + 3] == ':' ? n + 6 : 0;
}

static bool unwrap(const char *line, size_t len, Wrapped *ret)
{
    static const char out[] = " stdout ", err[] = " stderr ";
    AdvSlice s = {line, len};
    size_t n = stamp_length(s);
    s = adv_slice_from(s, n);
    if (n == 0 || !(adv_slice_begins(s, out, strlen(out)) || adv_slice_begins(s, err, strlen(err))))
        return false;
    s = adv_slice_from(s, strlen(out));
    const char *blank = s.n ? memchr(s.p, ' ', s.n < 20 ? s.n : 20) : NULL; /* there may be more tags behind the first */
    if (s.n == 0 || (*s.p != 'F' && *s.p != 'P') || (!blank && s.n > 1))
        return false;
    ret->partial = *s.p == 'P';
    ret->rest = blank ? adv_slice_from(s, (size_t)(blank - s.p) + 1) : (AdvSlice){s.p + s.n, 0};
    return true;
}

static void take(AdvReader *r, AdvSlice text)
{
    if (text.n == 0 || *text.p != '{')
        adv_piece(r, text, false);
    else if (!adv_json_record(r, text))
        adv_tally_counts(r->tally)->bad++;
}

static void take_line(AdvReader *r, AdvSlice rest, bool partial)
{
    if (r->line.len > 0 || partial) {
        pw_buf_append(&r->line, rest.p, rest.n);
        rest = (AdvSlice){(const char *)r->line.data, r->line.len};
    }
    if (partial)
        return;
    take(r, rest);
    r->line.off = r->line.len = 0;
}

static void read_container(AdvReader *r, const char *data, size_t len)
{
    Wrapped w;
    for (const char *p = data, *end = data + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        if (unwrap(p, (size_t)(stop - p), &w))
            take_line(r, w.rest, w.partial);
        else
            adv_tally_counts(r->tally)->bad += stop - p > 1;
        p = stop + 1;
    }
    if (r->line.len > 0)
        take_line(r, (AdvSlice){"", 0}, false);
    adv_pieces_flush(r);
}

static bool starts(const char *line, size_t len)
{
    Wrapped w;
    return unwrap(line, len, &w) && w.rest.n > 0 && (*w.rest.p == '{' || adv_form_stderr.starts(w.rest.p, w.rest.n));
}

/* Other things that the container printed may come first. */
static bool is_container(const char *head, size_t len)
{
    Wrapped w;
    for (const char *p = head, *end = head + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p));
        size_t n = (size_t)((newline ? newline : end) - p);
        if (!unwrap(p, n, &w))
            return false;
        if (starts(p, n))
            return true;
        p += n + 1;
    }
    return false;
}

const AdvForm adv_form_container = {.name = "log of a container", .told = true, .is = is_container, .starts = starts, .read = read_container};
