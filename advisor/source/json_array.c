/* SPDX-License-Identifier: ISC */
/* json_array.c - records in JSON that are not one a line: an array, printed over many lines or in one ("gcloud logging read --format=json"), objects one behind the other (jq),
 * or an array in an object ("aws logs get-log-events").
 *
 * Only the borders of the records are looked for here: brackets outside of strings, whatever the lines. What does not fit (a text that was cut and goes on with another one) costs
 * the record that it happens in. A record is kept as long as it is not whole, so that blocks may end anywhere. */
#include <stdlib.h>

#include "advisor/source/json_log.h"
#include "advisor/source/pieces.h"
#include "poolwise/mem.h"

#define RECORD_MAX ((size_t)64 * 1024 * 1024)
#define DEPTH_MAX 63

typedef struct AdvJsonSplit {
    PwBuf record;    /* what earlier blocks had of it */
    uint64_t kinds;  /* of the brackets that are open, the innermost lowest: 1 is an object */
    unsigned depth;  /* how many; 0: outside of records */
    bool in_string, escaped;
    char last;       /* the last byte outside of strings that is no blank */
} AdvJsonSplit;

/* Arrays of records inside of an object. */
static const char *const wrappers[] = {"\"events\"", "\"records\"", "\"logEvents\"", "\"entries\""};

static void keep(AdvJsonSplit *s, const char *from, const char *to)
{
    pw_buf_append(&s->record, from, (size_t)(to - from));
}

static void drop(AdvJsonSplit *s)
{
    s->depth = 0;
    s->kinds = 0;
    s->record.off = s->record.len = 0;
}

static void tear(AdvReader *r, AdvJsonSplit *s)
{
    adv_tally_counts(r->tally)->bad++;
    drop(s);
}

/* Is what came before '[' the name of an array that holds the records? */
static bool is_wrapper(const AdvJsonSplit *s)
{
    const char *p = (const char *)s->record.data;
    size_t n = s->record.len;
    while (n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\n' || p[n - 1] == '\r' || p[n - 1] == '\t' || p[n - 1] == ':'))
        n--;
    for (size_t i = 0; i < PW_ARRAY_LEN(wrappers); i++) {
        size_t len = strlen(wrappers[i]);
        if (n >= len && memcmp(p + n - len, wrappers[i], len) == 0)
            return true;
    }
    return false;
}

/* Returns where what must be kept begins; NULL: nothing must. */
static const char *open_bracket(AdvReader *r, AdvJsonSplit *s, const char *from, const char *p)
{
    bool object = *p == '{';
    /* In an object only a name is followed by a value. */
    if (s->depth > 0 && (s->kinds & 1) && s->last != ':')
        tear(r, s);
    if (s->depth == DEPTH_MAX)
        tear(r, s);
    if (s->depth == 0 && !object)
        return NULL;
    if (s->depth == 0)
        from = p;
    if (s->depth == 1 && !object) {
        keep(s, from, p);
        from = p;
        if (is_wrapper(s)) {
            drop(s);
            return NULL;
        }
    }
    s->depth++;
    s->kinds = s->kinds << 1 | object;
    return from;
}

static const char *close_bracket(AdvReader *r, AdvJsonSplit *s, const char *from, const char *p)
{
    if (s->depth == 0)
        return NULL;
    if ((s->kinds & 1) != (*p == '}')) {
        tear(r, s);
        return NULL;
    }
    s->kinds >>= 1;
    if (--s->depth > 0)
        return from;
    AdvSlice record = {from, (size_t)(p + 1 - from)};
    if (s->record.len > 0) {
        keep(s, from, p + 1);
        record = (AdvSlice){(const char *)s->record.data, s->record.len};
    }
    if (!adv_json_record(r, record))
        adv_tally_counts(r->tally)->bad++;
    drop(s);
    return NULL;
}

/* Returns the last byte looked at. */
static const char *pass_string(AdvReader *r, AdvJsonSplit *s, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (s->escaped) {
            s->escaped = false;
        } else if (*p == '\\') {
            s->escaped = true;
        } else if (*p == '"') {
            s->in_string = false;
            return p;
        } else if (*p == '\n') { /* no string holds one */
            s->in_string = false;
            if (s->depth > 0)
                tear(r, s);
            return p;
        }
    }
    return end - 1;
}

static void read_array(AdvReader *r, const char *data, size_t len)
{
    if (!r->split)
        r->split = pw_xcalloc(1, sizeof(*r->split));
    AdvJsonSplit *s = r->split;
    const char *from = s->depth > 0 ? data : NULL;
    for (const char *p = data, *end = data + len; p < end; p++) {
        if (s->in_string) {
            p = pass_string(r, s, p, end);
            from = s->depth > 0 ? from : NULL;
            continue;
        }
        switch (*p) {
        case '"':
            s->in_string = true;
            s->escaped = false;
            break;
        case '{':
        case '[':
            from = open_bracket(r, s, from, p);
            break;
        case '}':
        case ']':
            from = close_bracket(r, s, from, p);
            break;
        default:
            break;
        }
        if (*p != ' ' && *p != '\n' && *p != '\r' && *p != '\t')
            s->last = *p;
    }
    if (from)
        keep(s, from, data + len);
    if (s->record.len > RECORD_MAX)
        tear(r, s);
}

static void finish(AdvReader *r)
{
    if (r->split && r->split->depth > 0)
        tear(r, r->split);
    if (r->split)
        pw_buf_finish(&r->split->record);
    free(r->split);
    r->split = NULL;
    adv_pieces_flush(r);
}

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t'))
        p++;
    return p;
}

/* {"events": [ */
static bool is_wrapped(const char *p, const char *end)
{
    p = skip_blanks(p + 1, end);
    for (size_t i = 0; i < PW_ARRAY_LEN(wrappers); i++) {
        size_t n = strlen(wrappers[i]);
        if ((size_t)(end - p) < n || memcmp(p, wrappers[i], n) != 0)
            continue;
        p = skip_blanks(p + n, end);
        p = p < end && *p == ':' ? skip_blanks(p + 1, end) : end;
        return p < end && *p == '[';
    }
    return false;
}

/* How many brackets a line leaves open. */
static int left_open(const char *p, const char *end)
{
    int depth = 0;
    bool in_string = false;
    for (; p < end; p++)
        if (in_string && *p == '\\')
            p++;
        else if (*p == '"')
            in_string = !in_string;
        else if (!in_string)
            depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
    return depth;
}

/* A record over several lines: the first does not hold all of it, and the second does not begin another. */
static bool is_over_lines(const char *p, const char *end)
{
    const char *newline = memchr(p, '\n', (size_t)(end - p)), *second = newline ? skip_blanks(newline, end) : end;
    return second < end && *second != '{' && left_open(p, newline) > 0;
}

static bool is_array(const char *head, size_t len)
{
    const char *end = head + len;
    const char *inside = head[0] == '[' ? skip_blanks(head + 1, end) : end;
    bool wanted = head[0] == '{' ? is_wrapped(head, end) || is_over_lines(head, end) : inside < end && *inside == '{';
    return wanted && adv_json_is_told(head, len);
}

const AdvForm adv_form_json_array = {.name = "log of PostgreSQL in JSON", .told = true, .serial = true, .anywhere = true, .is = is_array, .read = read_array, .finish = finish};
