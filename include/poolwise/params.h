/* SPDX-License-Identifier: ISC */
/* params.h - options declared as rows: one row says all there is to know about an option, and parsing,
 * printing, defaults, copying and help derive from it.
 *
 * A row's value lives at `offset` in a struct of the caller:
 *   PW_PARAM_BOOL  bool         PW_PARAM_TIME  PwUsec        PW_PARAM_ENUM  int (or an enum)
 *   PW_PARAM_INT   int          PW_PARAM_STR   char *        PW_PARAM_LIST  PwStrList
 *   PW_PARAM_SIZE  int64_t      PW_PARAM_PATH  char *
 * Strings and lists are owned by the struct. Not thread-safe on the same struct. */
#ifndef POOLWISE_PARAMS_H
#define POOLWISE_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/err.h"
#include "poolwise/str.h"
#include "poolwise/time.h"

typedef enum PwParamType {
    PW_PARAM_BOOL, /* 0 or 1 */
    PW_PARAM_INT,  /* C notation: 10, 0x1f, 0777 */
    PW_PARAM_TIME, /* seconds, a fraction allowed; or with a suffix ms, s, min, h, d */
    PW_PARAM_STR,
    PW_PARAM_PATH,
    PW_PARAM_LIST, /* comma separated */
    PW_PARAM_ENUM, /* one of `words`, case ignored */
    PW_PARAM_SIZE, /* bytes; or with a suffix kB, MB, GB */
    PW_PARAM_TYPE_COUNT
} PwParamType;

typedef struct PwParamWord {
    const char *word; /* the first word of a value is the one printed */
    int value;
} PwParamWord; /* ends with a NULL word */

#define PW_PARAM_NO_MAX INT64_MAX

typedef struct PwParamRow {
    const char *name;
    PwParamType type;
    int64_t min,
        max; /* INT: as is; TIME: microseconds; SIZE: bytes; STR, PATH: bytes of the text */
    const char
        *def; /* as it would be written; NULL: unset (strings are NULL, lists empty, numbers 0) */
    unsigned flags; /* the caller's own; the PW_PARAM_* bits below are reserved */
    size_t offset;
    const PwParamWord *words; /* ENUM only */
    const char *help;         /* one line, lower case */
} PwParamRow;

#define PW_PARAM_RUNTIME (1u << 0) /* may change while the program runs */
#define PW_PARAM_SECRET  (1u << 1) /* never printed, never quoted in an error */
#define PW_PARAM_NEGATIVE_UNSET \
    (1u << 2) /* INT, ENUM, TIME: -1 stands for "unset" and is printed as NULL */
#define PW_PARAM_FLAG_FIRST_FREE (1u << 8)

typedef struct PwParamTable {
    const PwParamRow *rows;
    size_t n;
} PwParamTable;

/* NULL when there is none of that name (names are matched exactly, as PgBouncer does). */
const PwParamRow *pw_param_find(const PwParamTable *table, const char *name);

/* The known name nearest to a mistyped one, or NULL. */
const char *pw_param_nearest(const PwParamTable *table, const char *name);

/* Longest text pw_param_set writes into `why`, with the NUL. */
#define PW_PARAM_WHY 240

/* Parses text and replaces the value in `base`. PW_ERR_SYNTAX or PW_ERR_RANGE with a reason ("must be
 * 0 or 1, not \"yes\"") in why[PW_PARAM_WHY]; then nothing changed. */
PW_MUSTCHECK PwErr pw_param_set(const PwParamRow *row, void *base, const char *text, char *why);

/* The value as it would be written, in PgBouncer's form: times in seconds, booleans 0 and 1.
 * NULL when unset (or secret); the caller frees. */
char *pw_param_print(const PwParamRow *row, const void *base);

/* Are the values of this row equal in two structs? */
bool pw_param_equal(const PwParamRow *row, const void *a, const void *b);

/* Fills a zeroed struct with the defaults. A default that does not parse is a bug: it aborts. */
void pw_params_init(const PwParamTable *table, void *base);
void pw_params_copy(const PwParamTable *table, void *to_zeroed, const void *from); /* deep */
void pw_params_finish(const PwParamTable *table,
                      void *base); /* frees strings and lists, wipes secrets */

/* Parsers on their own. */
PW_MUSTCHECK PwErr pw_parse_time(const char *text, PwUsec *ret_usec);
PW_MUSTCHECK PwErr pw_parse_int(const char *text, int64_t *ret_value);
PW_MUSTCHECK PwErr pw_parse_size(const char *text, int64_t *ret_bytes);
char *pw_print_time(PwUsec usec); /* "0.25", "3600"; the caller frees */

#endif
