/* SPDX-License-Identifier: ISC */
#include "pooler/config/ident.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "pooler/config/hba_lexer.h"
#include "poolwise/mem.h"

typedef struct Mapping {
    STAILQ_ENTRY(Mapping) link;
    char *system_user;
    char *pg_user; /* NULL: all */
} Mapping;

struct IdentMap {
    STAILQ_ENTRY(IdentMap) link;
    char *name;
    STAILQ_HEAD(, Mapping) mappings; /* in file order */
};

struct Ident {
    STAILQ_HEAD(, IdentMap) maps;
};

const IdentMap *ident_find(const Ident *ident, const char *name)
{
    const IdentMap *map = NULL;
    if (ident)
        STAILQ_FOREACH(map, &ident->maps, link)
            if (strcmp(map->name, name) == 0)
                break;
    return map;
}

const char *ident_map_name(const IdentMap *map)
{
    return map->name;
}

bool ident_map_allows(const IdentMap *map, const char *pg_user, bool (*has_name)(void *arg, const char *system_user),
                      void *arg)
{
    const Mapping *m;
    STAILQ_FOREACH(m, &map->mappings, link)
        if ((!m->pg_user || strcmp(m->pg_user, pg_user) == 0) && has_name(arg, m->system_user))
            return true;
    return false;
}

static IdentMap *map_for(Ident *ident, const char *name)
{
    IdentMap *map;
    STAILQ_FOREACH(map, &ident->maps, link)
        if (strcmp(map->name, name) == 0)
            return map;
    map = pw_xcalloc(1, sizeof(*map));
    map->name = pw_xstrdup(name);
    STAILQ_INIT(&map->mappings);
    STAILQ_INSERT_TAIL(&ident->maps, map, link);
    return map;
}

/* NULL, or what is wrong with the line. */
static const char *read_line(Ident *ident, HbaLexer *lx)
{
    char *field[3] = {NULL, NULL, NULL};
    const char *wrong = NULL;
    bool all = false;
    size_t n = 0;
    for (; n < 3 && lx->kind == HBA_TOKEN_WORD; n++) {
        all = !lx->quoted && strcmp(hba_lexer_word(lx), "all") == 0; /* of the last field, in the end */
        field[n] = pw_xstrdup(hba_lexer_word(lx));
        hba_lexer_next(lx);
    }
    if (lx->kind == HBA_TOKEN_BAD)
        wrong = "a quote does not end";
    else if (n < 3)
        wrong = "a line is MAP SYSTEM-USER PG-USER";
    else if (lx->kind != HBA_TOKEN_END)
        wrong = "there is something behind the PostgreSQL user";
    else if (field[0][0] == '\0')
        wrong = "the map has no name";
    if (!wrong) {
        Mapping *m = pw_xcalloc(1, sizeof(*m));
        m->system_user = field[1];
        m->pg_user = all ? NULL : field[2];
        field[1] = NULL;
        if (!all)
            field[2] = NULL;
        IdentMap *map = map_for(ident, field[0]);
        STAILQ_INSERT_TAIL(&map->mappings, m, link);
    }
    for (n = 0; n < 3; n++)
        free(field[n]);
    return wrong;
}

Ident *ident_parse(const char *name, const char *text, size_t n, PwDiag *diags)
{
    Ident *ident = pw_xcalloc(1, sizeof(*ident));
    STAILQ_INIT(&ident->maps);
    const char *end = text + n;
    for (int line = 1; text < end; line++) {
        const char *eol = memchr(text, '\n', (size_t)(end - text));
        size_t len = (size_t)((eol ? eol : end) - text);
        HbaLexer lx;
        hba_lexer_init(&lx, text, len);
        const char *wrong = lx.kind == HBA_TOKEN_END ? NULL : read_line(ident, &lx);
        if (wrong)
            pw_diag_add(diags, PW_DIAG_WARNING, name, line, NULL, "could not parse ident config line %d: %s", line,
                        wrong);
        hba_lexer_finish(&lx);
        text += len + (eol ? 1 : 0);
    }
    return ident;
}

static void map_destroy(IdentMap *map)
{
    Mapping *m;
    while ((m = STAILQ_FIRST(&map->mappings))) {
        STAILQ_REMOVE_HEAD(&map->mappings, link);
        free(m->system_user);
        free(m->pg_user);
        free(m);
    }
    free(map->name);
    free(map);
}

void ident_destroy(Ident *ident)
{
    if (!ident)
        return;
    IdentMap *map;
    while ((map = STAILQ_FIRST(&ident->maps))) {
        STAILQ_REMOVE_HEAD(&ident->maps, link);
        map_destroy(map);
    }
    free(ident);
}
