/* SPDX-License-Identifier: ISC */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "advisor/source/source.h"
#include "advisor/sql/parse.h"

#define FILE_MAX ((size_t)256 * 1024 * 1024)

void adv_source_sql_text(AdvWorkload *workload, const char *name, const char *text)
{
    AdvPiece *pieces;
    int n;
    adv_sql_split(workload->arena, text, &pieces, &n);
    uint64_t last_group = 0;
    const char *last_statement = "";
    int run = 0;
    for (int i = 0; i < n; i++) {
        const char *statement = adv_arena_strndup(workload->arena, text + pieces[i].start, pieces[i].len);
        uint64_t group = 0;
        workload->statements++;
        const char *origin = adv_arena_printf(workload->arena, "%s:%d", name, pieces[i].line);
        if (adv_sql_fingerprint(statement, &group))
            group = (uint64_t)i | UINT64_C(1) << 63; /* reported when it is analysed */
        AdvQuery *query = adv_workload_add(workload, statement, origin, group, pieces[i].weight);
        run = group == last_group && strcmp(statement, last_statement) != 0 ? run + 1 : 1;
        if (run > query->longest_run)
            query->longest_run = run;
        last_group = group;
        last_statement = statement;
    }
}

static char *read_file(const char *path, const char **ret_why, AdvArena *arena)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (!file) {
        *ret_why = adv_arena_printf(arena, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    size_t len = 0, cap = 65536;
    char *text = malloc(cap);
    while (text) {
        size_t n = fread(text + len, 1, cap - len - 1, file);
        len += n;
        if (n == 0)
            break;
        if (len + 1 < cap)
            continue;
        if (cap > FILE_MAX) {
            *ret_why = adv_arena_printf(arena, "%s is larger than %zu MB", path, FILE_MAX >> 20);
            free(text);
            text = NULL;
            goto out;
        }
        char *larger = realloc(text, cap *= 2);
        if (!larger)
            free(text);
        text = larger;
    }
    if (!text) {
        *ret_why = adv_arena_printf(arena, "not enough memory to read %s", path);
    } else if (ferror(file)) {
        *ret_why = adv_arena_printf(arena, "cannot read %s: %s", path, strerror(errno));
        free(text);
        text = NULL;
    } else if (memchr(text, '\0', len)) {
        *ret_why = adv_arena_printf(arena, "%s holds binary data, not SQL", path);
        free(text);
        text = NULL;
    } else {
        text[len] = '\0';
    }
out:
    if (file != stdin)
        fclose(file);
    return text;
}

PwErr adv_source_sql_file(AdvWorkload *workload, const char *path, const char **ret_note, const char **ret_why)
{
    *ret_note = NULL;
    char *text = read_file(path, ret_why, workload->arena);
    if (!text)
        return PW_ERR_IO;
    double before = workload->statements;
    adv_source_sql_text(workload, path, text);
    free(text);
    if (workload->statements - before < 1)
        *ret_note = adv_arena_printf(workload->arena, "%s holds no statement", path);
    workload->n_sources++;
    return PW_OK;
}
