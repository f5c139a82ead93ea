/* SPDX-License-Identifier: ISC */
#include "advisor/source/file.h"
#include "advisor/source/source.h"
#include "advisor/sql/parse.h"

#include <stdlib.h>

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

PwErr adv_source_sql_file(AdvWorkload *workload, const char *path, const char **ret_note, const char **ret_why)
{
    *ret_note = NULL;
    char *text = adv_file_read(workload->arena, path, ret_why);
    if (!text)
        return PW_ERR_IO;
    double before = workload->statements;
    adv_source_sql_text(workload, path, text);
    free(text);
    if (workload->statements - before < 1)
        *ret_note = adv_arena_printf(workload->arena, "%s holds no statement", path);
    return PW_OK;
}
