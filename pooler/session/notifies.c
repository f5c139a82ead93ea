/* SPDX-License-Identifier: ISC */
#include "pooler/session/notifies.h"

#include <stdlib.h>

#include "pooler/session/effects_priv.h"

typedef struct Told {
    void (*each)(void *arg, const char *channel, const char *payload);
    void *arg;
} Told;

/* NOTIFY channel [, payload] */
static void from_notify(EffectsWalk *w, const Told *told)
{
    PwBuf name;
    char *payload = NULL;
    pw_buf_init(&name);
    bool ok = effects_identifier(w, &name);
    if (ok && effects_at_punct(w, ',')) {
        effects_next(w);
        payload = effects_string_value(w);
        ok = payload != NULL;
    }
    if (ok) {
        pw_buf_append_u8(&name, 0);
        told->each(told->arg, (const char *)pw_buf_head(&name), payload ? payload : "");
    }
    free(payload);
    pw_buf_finish(&name);
}

/* SELECT [pg_catalog.]pg_notify(channel, payload) */
static void from_select(EffectsWalk *w, const Told *told)
{
    EffectsArg channel = {NULL, false}, payload = {NULL, false};
    if (effects_accept(w, "pg_catalog"))
        effects_next(w);
    if (!effects_accept(w, "pg_notify") || !effects_at_punct(w, '('))
        return;
    effects_next(w);
    bool ok = effects_argument(w, &channel) && effects_at_punct(w, ',');
    if (ok) {
        effects_next(w);
        ok = effects_argument(w, &payload) && effects_at_punct(w, ')');
    }
    if (ok)
        told->each(told->arg, channel.text, payload.text);
    free(channel.text);
    free(payload.text);
}

void notifies_each(const char *sql, size_t len, unsigned lex_flags, const EffectsBind *bind,
                   void (*each)(void *arg, const char *channel, const char *payload), void *arg)
{
    EffectsWalk w = {.lexer = pw_lexer(sql, len, lex_flags), .bind = bind};
    Told told = {each, arg};
    effects_next(&w);
    while (w.t.type != PW_TOK_END) {
        if (effects_accept(&w, "notify"))
            from_notify(&w, &told);
        else if (effects_accept(&w, "select"))
            from_select(&w, &told);
        while (!effects_at_end(&w))
            effects_next(&w);
        if (w.t.type != PW_TOK_END)
            effects_next(&w);
    }
}
