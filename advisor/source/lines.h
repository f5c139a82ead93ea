/* SPDX-License-Identifier: ISC */
/* lines.h - a text file line by line, with a look at the first one before it is read. One thread. */
#ifndef ADVISOR_SOURCE_LINES_H
#define ADVISOR_SOURCE_LINES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct AdvLines AdvLines;

/* "-" is standard input. NULL with errno when it cannot be opened. */
AdvLines *adv_lines_open(const char *path);
AdvLines *adv_lines_open_text(const char *text, size_t len); /* which must live as long */
void adv_lines_close(AdvLines *lines);

/* The next line without its newline, valid until the next call; NULL at the end. NUL bytes are part of it: see *ret_len. */
char *adv_lines_next(AdvLines *lines, size_t *ret_len);
/* The first line that is not empty, which adv_lines_next gives again; NULL: there is none. Only before the first adv_lines_next. */
const char *adv_lines_peek(AdvLines *lines);

/* The next record of a CSV file: lines are joined as long as a quote is open. NULL at the end. */
char *adv_lines_next_record(AdvLines *lines, size_t *ret_len);

/* Takes a record apart in place; returns the number of fields, of which the first `max` are in fields[]. */
size_t adv_csv_fields(char *record, char **fields, size_t max);

bool adv_lines_failed(const AdvLines *lines); /* the end was an error, not the end of the file */

#endif
