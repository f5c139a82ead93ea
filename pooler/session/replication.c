/* SPDX-License-Identifier: ISC */
#include "pooler/session/replication.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *name, *log;
} kinds[] = {
    [REPLICATION_NONE] = {"none", "no"},
    [REPLICATION_LOGICAL] = {"logical", "database"},
    [REPLICATION_PHYSICAL] = {"physical", "yes"},
};
_Static_assert(PW_ARRAY_LEN(kinds) == REPLICATION_COUNT, "a row for each kind");

/* PostgreSQL's words for booleans; `least`: how much of it must be there, so that "o" is neither on nor off. */
static const struct {
    const char *word;
    size_t least;
    bool value;
} words[] = {
    {"true", 1, true}, {"yes", 1, true}, {"on", 2, true},   {"1", 1, true},
    {"false", 1, false}, {"no", 1, false}, {"off", 2, false}, {"0", 1, false},
};

PwErr replication_parse(const char *value, Replication *ret_kind)
{
    if (strcmp(value, "database") == 0) {
        *ret_kind = REPLICATION_LOGICAL;
        return PW_OK;
    }
    size_t n = strlen(value);
    for (size_t i = 0; i < PW_ARRAY_LEN(words); i++) {
        if (n < words[i].least || n > strlen(words[i].word) || strncasecmp(value, words[i].word, n) != 0)
            continue;
        *ret_kind = words[i].value ? REPLICATION_PHYSICAL : REPLICATION_NONE;
        return PW_OK;
    }
    return PW_ERR_SYNTAX;
}

const char *replication_name(Replication kind)
{
    return kinds[kind].name;
}

const char *replication_log(Replication kind)
{
    return kinds[kind].log;
}
