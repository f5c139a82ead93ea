/* SPDX-License-Identifier: ISC */
#include "advisor/source/lines.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_MAX ((size_t)16 * 1024 * 1024) /* a quote that never closes must not eat the file */

struct AdvLines {
    FILE *file;
    char *line;
    size_t cap;
    size_t len;
    bool peeked; /* line holds what comes next */
    char *record;
    size_t record_cap;
};

static AdvLines *open_file(FILE *file)
{
    if (!file)
        return NULL;
    AdvLines *lines = calloc(1, sizeof(*lines));
    if (!lines) {
        if (file != stdin)
            fclose(file);
        return NULL;
    }
    lines->file = file;
    return lines;
}

AdvLines *adv_lines_open(const char *path)
{
    return open_file(strcmp(path, "-") == 0 ? stdin : fopen(path, "r"));
}

AdvLines *adv_lines_open_text(const char *text, size_t len)
{
    union { const char *in; char *out; } u = {.in = text}; /* opened for reading only */
    return len ? open_file(fmemopen(u.out, len, "r")) : NULL;
}

void adv_lines_close(AdvLines *lines)
{
    if (!lines)
        return;
    if (lines->file != stdin)
        fclose(lines->file);
    free(lines->line);
    free(lines->record);
    free(lines);
}

static bool read_line(AdvLines *lines)
{
    ssize_t n = getline(&lines->line, &lines->cap, lines->file);
    if (n < 0)
        return false;
    while (n > 0 && (lines->line[n - 1] == '\n' || lines->line[n - 1] == '\r'))
        lines->line[--n] = '\0';
    lines->len = (size_t)n;
    return true;
}

char *adv_lines_next(AdvLines *lines, size_t *ret_len)
{
    if (!lines->peeked && !read_line(lines))
        return NULL;
    lines->peeked = false;
    *ret_len = lines->len;
    return lines->line;
}

const char *adv_lines_peek(AdvLines *lines)
{
    while (!lines->peeked || lines->len == 0) {
        if (!read_line(lines))
            return NULL;
        lines->peeked = true;
    }
    return lines->line;
}

static bool append(AdvLines *lines, size_t *at, const char *text, size_t len)
{
    if (*at + len + 2 > lines->record_cap) {
        size_t cap = (*at + len + 2) * 2;
        char *larger = realloc(lines->record, cap);
        if (!larger)
            return false;
        lines->record = larger;
        lines->record_cap = cap;
    }
    memcpy(lines->record + *at, text, len);
    *at += len;
    lines->record[*at] = '\0';
    return true;
}

char *adv_lines_next_record(AdvLines *lines, size_t *ret_len)
{
    size_t len, at = 0;
    bool open = false;
    char *line = adv_lines_next(lines, &len);
    if (!line)
        return NULL;
    do {
        if ((at > 0 && !append(lines, &at, "\n", 1)) || !append(lines, &at, line, len))
            return NULL;
        for (size_t i = 0; i < len; i++)
            open = open != (line[i] == '"');
    } while (open && at < RECORD_MAX && (line = adv_lines_next(lines, &len)));
    *ret_len = at;
    return lines->record;
}

size_t adv_csv_fields(char *record, char **fields, size_t max)
{
    size_t n = 0;
    char *p = record;
    for (;;) {
        char *out = p, *start = p;
        if (*p == '"') {
            p++;
            while (*p && !(*p == '"' && p[1] != '"')) {
                p += *p == '"'; /* a doubled quote is one */
                *out++ = *p++;
            }
            p += *p == '"';
        } else {
            while (*p && *p != ',')
                p++;
            out = p;
        }
        while (*p && *p != ',')
            p++;
        bool more = *p == ',';
        p++;
        *out = '\0';
        if (n < max)
            fields[n] = start;
        n++;
        if (!more)
            return n;
    }
}

bool adv_lines_failed(const AdvLines *lines)
{
    return ferror(lines->file) != 0;
}
