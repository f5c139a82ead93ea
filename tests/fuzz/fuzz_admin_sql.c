/* SPDX-License-Identifier: ISC */
/* fuzz_admin_sql.c - what a console is sent: never a word longer than its place, never half a request. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pooler/admin/admin_parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ends_within(const char *text, size_t size)
{
    if (!memchr(text, 0, size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *sql = malloc(size + 1);
    if (!sql)
        abort();
    memcpy(sql, data, size);
    sql[size] = '\0';
    AdminRequest r;
    memset(&r, 'x', sizeof(r));
    PwErr err = admin_parse(sql, &r);
    if (err == PW_OK) {
        ends_within(r.word, sizeof(r.word));
        ends_within(r.arg, sizeof(r.arg));
        ends_within(r.extra, sizeof(r.extra));
        ends_within(r.value, sizeof(r.value));
        if ((!r.word[0] && (r.arg[0] || r.is_set)) || (r.is_set && (!r.arg[0] || r.extra[0])) || (!r.is_set && r.value[0]) || (r.extra[0] && !r.arg[0]))
            abort();
    } else if (err != PW_ERR_SYNTAX && err != PW_ERR_TOO_LARGE) {
        abort();
    }
    free(sql);
    return 0;
}
