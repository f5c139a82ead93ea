/* SPDX-License-Identifier: ISC */
#include "advisor/source/csv.h"

static void undouble(PwBuf *out, const char *p, const char *end)
{
    out->off = out->len = 0;
    for (const char *quote; (quote = memchr(p, '"', (size_t)(end - p))); p = quote + 2) {
        pw_buf_append(out, p, (size_t)(quote + 1 - p));
        if (quote + 2 >= end)
            return;
    }
    pw_buf_append(out, p, (size_t)(end - p));
}

/* Where a record begins between p and end although a quote is open; NULL: nowhere. */
static const char *lost(const AdvCsv *csv, const char *p, const char *end)
{
    if (!csv->starts)
        return NULL;
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        const char *newline = ++p < csv->end ? memchr(p, '\n', (size_t)(csv->end - p)) : NULL;
        if (csv->starts(p, (size_t)((newline ? newline : csv->end) - p)))
            return p;
        if (p >= end)
            return NULL;
    }
    return NULL;
}

/* p is after the opening quote. Returns where the field ends, its closing quote or where the text is torn. */
static const char *quoted_end(const AdvCsv *csv, const char *p, bool *doubled, bool *torn)
{
    const char *from = p;
    *doubled = *torn = false;
    for (;;) {
        const char *quote = p < csv->end ? memchr(p, '"', (size_t)(csv->end - p)) : NULL;
        const char *stop = quote ? quote : csv->end, *at = lost(csv, from, stop);
        if (at || !quote) {
            *torn = true;
            return at ? at : csv->end;
        }
        if (quote + 1 == csv->end || quote[1] != '"')
            return quote;
        *doubled = true;
        p = from = quote + 2;
    }
}

static AdvSlice read_quoted(AdvCsv *csv, PwBuf *buffer, bool *torn)
{
    bool doubled;
    const char *start = csv->p + 1, *end = quoted_end(csv, start, &doubled, torn);
    AdvSlice field = {start, (size_t)(end - start)};
    csv->p = end;
    if (*torn)
        return field;
    if (doubled && buffer) {
        undouble(buffer, start, end);
        field = (AdvSlice){(const char *)buffer->data, buffer->len};
    }
    csv->p++;
    while (csv->p < csv->end && *csv->p != ',' && *csv->p != '\n')
        csv->p++;
    return field;
}

static AdvSlice read_plain(AdvCsv *csv)
{
    const char *start = csv->p;
    while (csv->p < csv->end && *csv->p != ',' && *csv->p != '\n')
        csv->p++;
    AdvSlice field = {start, (size_t)(csv->p - start)};
    if (field.n > 0 && start[field.n - 1] == '\r')
        field.n--;
    return field;
}

size_t adv_csv_next(AdvCsv *csv, AdvSlice *fields, PwBuf *const *buffers, size_t max)
{
    size_t n = 0;
    while (csv->p < csv->end) {
        bool torn = false;
        AdvSlice field = *csv->p == '"' ? read_quoted(csv, n < max && buffers ? buffers[n] : NULL, &torn) : read_plain(csv);
        if (torn) { /* without the field that has no end */
            fields[0] = n > 0 ? fields[0] : (AdvSlice){field.p, 0};
            return n > 0 ? n : 1;
        }
        if (n < max)
            fields[n] = field;
        n++;
        if (csv->p == csv->end)
            return n;
        if (*csv->p++ == '\n')
            return n;
        if (csv->p == csv->end) { /* an empty field at the very end */
            if (n < max)
                fields[n] = (AdvSlice){csv->end, 0};
            return n + 1;
        }
    }
    return n;
}
