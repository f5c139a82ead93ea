/* SPDX-License-Identifier: ISC */
/* The grammar is PostgreSQL's VariableSetStmt, VariableResetStmt, DiscardStmt, TransactionStmt (savepoints), PrepareStmt,
 * ExecuteStmt, DeallocateStmt, ListenStmt and UnlistenStmt. Anything that departs from it is a syntax error on the server or EFFECT_UNKNOWN here. */
#include "pooler/session/effects.h"

#include <stdlib.h>
#include <string.h>

#include "pooler/session/effects_priv.h"
#include "pooler/session/stmt_class.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

static void unknown(EffectsWalk *w)
{
    effects_add(w, EFFECT_UNKNOWN, NULL, NULL, false);
}

/* name [. name]..., in lower case because settings ignore case. */
static bool setting_name(EffectsWalk *w, PwBuf *name)
{
    if (!effects_identifier(w, name))
        return false;
    while (effects_at_punct(w, '.')) {
        effects_next(w);
        pw_buf_append_u8(name, '.');
        if (!effects_identifier(w, name))
            return false;
    }
    pw_buf_append_u8(name, 0);
    char *text = settings_name((const char *)pw_buf_head(name));
    pw_buf_consume(name, pw_buf_unread(name));
    pw_buf_append_cstr(name, text);
    free(text);
    return true;
}

/* The value's tokens up to the end of the statement, spelled so that they read the same on any server. */
static bool value_tokens(EffectsWalk *w, PwBuf *value)
{
    for (; !effects_at_end(w); effects_next(w)) {
        const PwToken *t = &w->t;
        if (pw_buf_unread(value) && !effects_at_punct(w, ','))
            pw_buf_append_u8(value, ' ');
        if (t->type == PW_TOK_STRING) {
            char *text = effects_string_value(w);
            if (!text)
                return false;
            settings_append_literal(value, text);
            free(text);
        } else if (t->type == PW_TOK_PARAM || t->type == PW_TOK_BAD || t->open || effects_at(w, "uescape") ||
                   (t->type == PW_TOK_QUOTED && t->text[0] != '"')) {
            return false;
        } else {
            pw_buf_append(value, t->text, t->len);
        }
    }
    pw_buf_append_u8(value, 0);
    return !w->t.open; /* a comment without its end */
}

/* What stands behind the name: TO | =, then DEFAULT or a value; FROM CURRENT. */
static void set_value(EffectsWalk *w, const char *name, bool local)
{
    PwBuf value;
    pw_buf_init(&value);
    if (effects_at(w, "from")) {
        if (!local)
            unknown(w);
        return;
    }
    if (!effects_accept(w, "to")) {
        if (w->t.type == PW_TOK_OP && w->t.len == 1 && w->t.text[0] == '=')
            effects_next(w);
    }
    if (local || settings_name_passes(name))
        return;
    if (effects_at(w, "default"))
        effects_add(w, EFFECT_RESET, name, NULL, false);
    else if (value_tokens(w, &value))
        effects_add(w, EFFECT_SET, name, (const char *)pw_buf_head(&value), false);
    else
        unknown(w);
    pw_buf_finish(&value);
}

/* SET SESSION CHARACTERISTICS AS TRANSACTION mode [[,] mode]... */
static void characteristics(EffectsWalk *w)
{
    effects_accept(w, "as");
    effects_accept(w, "transaction");
    while (!effects_at_end(w)) {
        if (effects_accept(w, "isolation")) {
            effects_accept(w, "level");
            const char *level = effects_accept(w, "serializable") ? "'serializable'" : NULL;
            if (!level && effects_accept(w, "repeatable"))
                level = effects_accept(w, "read") ? "'repeatable read'" : NULL;
            else if (!level && effects_accept(w, "read"))
                level = effects_accept(w, "committed") ? "'read committed'" : effects_accept(w, "uncommitted") ? "'read uncommitted'" : NULL;
            if (!level)
                break;
            effects_add(w, EFFECT_SET, "default_transaction_isolation", level, false);
        } else if (effects_accept(w, "read")) {
            const char *only = effects_accept(w, "only") ? "on" : effects_accept(w, "write") ? "off" : NULL;
            if (!only)
                break;
            effects_add(w, EFFECT_SET, "default_transaction_read_only", only, false);
        } else if (effects_accept(w, "not")) {
            effects_accept(w, "deferrable");
            effects_add(w, EFFECT_SET, "default_transaction_deferrable", "off", false);
        } else if (effects_accept(w, "deferrable")) {
            effects_add(w, EFFECT_SET, "default_transaction_deferrable", "on", false);
        } else if (effects_at_punct(w, ',')) {
            effects_next(w);
        } else {
            break;
        }
    }
    if (!effects_at_end(w))
        unknown(w);
}

/* The name of a role or user: an identifier or a string; *ret_value is allocated. */
static bool role_name(EffectsWalk *w, char **ret_value)
{
    char *text = effects_string_value(w);
    if (text) {
        effects_next(w);
    } else {
        PwBuf name;
        pw_buf_init(&name);
        if (!effects_identifier(w, &name)) {
            pw_buf_finish(&name);
            return false;
        }
        pw_buf_append_u8(&name, 0);
        text = pw_xstrdup((const char *)pw_buf_head(&name));
        pw_buf_finish(&name);
    }
    *ret_value = text;
    return true;
}

static void set_role(EffectsWalk *w, bool local)
{
    char *role;
    if (local)
        return;
    if (!role_name(w, &role)) {
        unknown(w);
        return;
    }
    PwBuf literal;
    pw_buf_init(&literal);
    settings_append_literal(&literal, role);
    pw_buf_append_u8(&literal, 0);
    effects_add(w, EFFECT_SET, "role", (const char *)pw_buf_head(&literal), false);
    pw_buf_finish(&literal);
    free(role);
}

static void set_authorization(EffectsWalk *w, bool local)
{
    char *user;
    bool quoted = w->t.type != PW_TOK_WORD;
    if (local) { /* its end brings back the user but not a role that was set before */
        unknown(w);
        return;
    }
    if (!quoted && effects_at(w, "default")) {
        effects_add(w, EFFECT_AUTH, NULL, NULL, false);
    } else if (role_name(w, &user)) {
        PwBuf literal;
        pw_buf_init(&literal);
        settings_append_literal(&literal, user);
        pw_buf_append_u8(&literal, 0);
        effects_add(w, EFFECT_AUTH, NULL, (const char *)pw_buf_head(&literal), false);
        pw_buf_finish(&literal);
        free(user);
    } else {
        unknown(w);
    }
}

/* One of the forms without TO that are a setting by another name: value as it stands. */
static bool set_special(EffectsWalk *w, bool local)
{
    static const struct {
        const char *word, *second, *setting;
    } forms[] = {{"time", "zone", "timezone"}, {"schema", NULL, "search_path"}, {"names", NULL, "client_encoding"},
                 {"xml", "option", "xmloption"}};
    for (size_t i = 0; i < PW_ARRAY_LEN(forms); i++) {
        if (!effects_at(w, forms[i].word))
            continue;
        EffectsWalk back = *w;
        effects_next(w);
        if (w->t.type == PW_TOK_OP || effects_at(w, "to") || effects_at_punct(w, '.') ||
            (forms[i].second && !effects_accept(w, forms[i].second))) {
            w->lexer = back.lexer; /* a setting that is called so */
            w->t = back.t;
            return false;
        }
        if (effects_at_end(w) || effects_at(w, "local")) {
            if (!local)
                effects_add(w, EFFECT_RESET, forms[i].setting, NULL, false);
        } else
            set_value(w, forms[i].setting, local);
        return true;
    }
    return false;
}

static void parse_set(EffectsWalk *w)
{
    bool local = effects_accept(w, "local");
    if (!local && effects_accept(w, "session") && effects_accept(w, "characteristics")) {
        characteristics(w);
        return;
    }
    if (effects_at(w, "session") || effects_at(w, "authorization")) {
        effects_accept(w, "session");
        if (effects_accept(w, "authorization"))
            set_authorization(w, local);
        else
            unknown(w);
        return;
    }
    if (effects_at(w, "transaction") || effects_at(w, "constraints"))
        return;
    if (set_special(w, local))
        return;
    PwBuf name;
    pw_buf_init(&name);
    if (!setting_name(w, &name)) {
        unknown(w);
    } else {
        const char *text = (const char *)pw_buf_head(&name);
        bool has_to = effects_at(w, "to") || w->t.type == PW_TOK_OP;
        if (strcmp(text, "session_authorization") == 0 && has_to) {
            effects_next(w);
            set_authorization(w, local);
        } else if (strcmp(text, "role") == 0) {
            if (has_to)
                effects_next(w);
            if (!has_to || !effects_at(w, "default"))
                set_role(w, local);
            else if (!local)
                effects_add(w, EFFECT_RESET, text, NULL, false);
        } else {
            set_value(w, text, local);
        }
    }
    pw_buf_finish(&name);
}

static void parse_reset(EffectsWalk *w)
{
    PwBuf name;
    pw_buf_init(&name);
    if (effects_accept(w, "all"))
        effects_add(w, EFFECT_RESET_ALL, NULL, NULL, false);
    else if (effects_accept(w, "session"))
        effects_add(w, EFFECT_AUTH, NULL, NULL, false);
    else if (effects_at(w, "transaction"))
        ;
    else if (effects_accept(w, "time"))
        effects_add(w, EFFECT_RESET, "timezone", NULL, false);
    else if (!setting_name(w, &name))
        unknown(w);
    else if (strcmp((const char *)pw_buf_head(&name), "session_authorization") == 0)
        effects_add(w, EFFECT_AUTH, NULL, NULL, false);
    else
        effects_add(w, EFFECT_RESET, (const char *)pw_buf_head(&name), NULL, false);
    pw_buf_finish(&name);
}

static void parse_discard(EffectsWalk *w)
{
    if (effects_at(w, "all"))
        effects_add(w, EFFECT_DISCARD_ALL, NULL, NULL, false);
}

/* A name as the server keeps it: cut after 63 bytes, but not inside a character, which beyond ASCII only the server can tell. */
static bool kept_name(EffectsWalk *w, PwBuf *name)
{
    char cut[EFFECTS_NAME_SIZE] = "";
    if (!effects_identifier(w, name))
        return false;
    size_t n = pw_buf_unread(name);
    if (n >= sizeof(cut)) {
        memcpy(cut, pw_buf_head(name), sizeof(cut) - 1);
        for (size_t i = 0; i < n; i++)
            if (pw_buf_head(name)[i] >= 0x80)
                return false;
        pw_buf_consume(name, n);
        pw_buf_append_str(name, cut);
    }
    pw_buf_append_u8(name, 0);
    return true;
}

static void named(EffectsWalk *w, EffectKind kind)
{
    PwBuf name;
    pw_buf_init(&name);
    if (kept_name(w, &name)) {
        effects_add(w, kind, (const char *)pw_buf_head(&name), NULL, false);
    } else {
        unknown(w);
    }
    pw_buf_finish(&name);
}

static void parse_savepoint(EffectsWalk *w)
{
    named(w, EFFECT_SAVEPOINT);
}

static void parse_release(EffectsWalk *w)
{
    effects_accept(w, "savepoint");
    named(w, EFFECT_RELEASE);
}

/* ROLLBACK [WORK | TRANSACTION] TO [SAVEPOINT] name; without TO its tag says everything. */
static void parse_rollback(EffectsWalk *w)
{
    if (!effects_accept(w, "work"))
        effects_accept(w, "transaction");
    if (!effects_accept(w, "to"))
        return;
    effects_accept(w, "savepoint");
    named(w, EFFECT_ROLLBACK_TO);
}

/* Past the rest of the statement. */
static void skip_statement(EffectsWalk *w)
{
    unsigned depth = 0;
    while (w->t.type != PW_TOK_END && !(depth == 0 && effects_at_punct(w, ';'))) {
        if (effects_at_punct(w, '('))
            depth++;
        else if (effects_at_punct(w, ')') && depth > 0)
            depth--;
        effects_next(w);
    }
}

static void parse_prepare(EffectsWalk *w)
{
    const char *start = w->start;
    if (effects_at(w, "transaction"))
        return;
    PwBuf name;
    pw_buf_init(&name);
    if (!kept_name(w, &name)) {
        unknown(w);
    } else {
        const char *inside = w->t.text;
        while (!effects_at_end(w) && !effects_at(w, "as"))
            effects_next(w);
        if (effects_at(w, "as"))
            inside = w->lexer.p;
        skip_statement(w);
        const char *end = w->t.type == PW_TOK_END ? w->lexer.end : w->t.text;
        w->inner_class = stmt_classify(inside, inside < end ? (size_t)(end - inside) : 0, w->lexer.flags, true);
        char *text = pw_xstrndup(start, (size_t)(end - start));
        effects_add(w, EFFECT_PREPARE, (const char *)pw_buf_head(&name), text, false);
        free(text);
    }
    pw_buf_finish(&name);
}

static void parse_execute(EffectsWalk *w)
{
    named(w, EFFECT_EXECUTE);
}

static void parse_deallocate(EffectsWalk *w)
{
    effects_accept(w, "prepare");
    if (effects_at(w, "all"))
        effects_add(w, EFFECT_DEALLOCATE_ALL, NULL, NULL, false);
    else
        named(w, EFFECT_DEALLOCATE);
}

/* EXPLAIN ... EXECUTE name, CREATE TABLE ... AS EXECUTE name: the name is used. */
static void parse_inner_execute(EffectsWalk *w)
{
    while (!effects_at_end(w) && !effects_at(w, "execute"))
        effects_next(w);
    if (effects_accept(w, "execute") && !effects_at(w, "function") && !effects_at(w, "procedure"))
        named(w, EFFECT_EXECUTE);
}

static const struct {
    const char *word;
    void (*parse)(EffectsWalk *w);
} verbs[] = {
    {"set", parse_set},         {"reset", parse_reset},     {"discard", parse_discard},
    {"savepoint", parse_savepoint}, {"release", parse_release}, {"rollback", parse_rollback},
    {"prepare", parse_prepare}, {"execute", parse_execute}, {"deallocate", parse_deallocate},
    {"explain", parse_inner_execute}, {"create", parse_inner_execute}, {"select", effects_set_config},
    {"listen", effects_listen}, {"unlisten", effects_unlisten},
};

static void statement(EffectsWalk *w)
{
    w->start = w->t.text;
    w->saw_config = false;
    bool prepares = effects_at(w, "prepare"); /* runs nothing yet: inner_class tells what its EXECUTE does */
    for (size_t i = 0; i < PW_ARRAY_LEN(verbs); i++)
        if (effects_at(w, verbs[i].word)) {
            effects_next(w);
            verbs[i].parse(w);
            break;
        }
    skip_statement(w);
    if (w->saw_config && !prepares)
        effects_unknown_config(w);
}

Effects *effects_parse(const char *sql, size_t len, unsigned lex_flags, const EffectsBind *bind)
{
    EffectsWalk w = {.lexer = pw_lexer(sql, len, lex_flags), .bind = bind};
    pw_buf_init(&w.text);
    pw_buf_init(&w.list);
    effects_next(&w);
    while (w.t.type != PW_TOK_END) {
        if (effects_at_punct(&w, ';')) {
            effects_next(&w);
            continue;
        }
        statement(&w);
        w.statement++;
    }
    return effects_finish(&w);
}
