/* SPDX-License-Identifier: ISC */
#include "advisor/report/redact.h"

#include "advisor/text.h"
#include "poolwise/fingerprint.h"

const char *adv_hide_constants(AdvArena *arena, const char *sql)
{
    AdvText text;
    PwLexer lexer = pw_lexer(sql, strlen(sql), 0);
    PwToken token;
    const char *done = sql;
    int n = 0;
    adv_text_init(&text, arena);
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        if (token.type != PW_TOK_STRING && token.type != PW_TOK_NUMBER)
            continue;
        adv_text_add_n(&text, done, (size_t)(token.text - done));
        adv_text_addf(&text, "$%d", ++n);
        done = token.text + token.len;
    }
    adv_text_add(&text, done);
    return adv_text_get(&text);
}

static bool is_word_byte(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || (c & 0x80);
}

/* `text` with every `what` that is no part of a longer word replaced. */
static const char *replaced(AdvArena *arena, const char *text, const char *what, size_t what_len, const char *by)
{
    AdvText out;
    const char *p = text, *at;
    if (!text || what_len == 0 || !memmem(text, strlen(text), what, what_len))
        return text;
    adv_text_init(&out, arena);
    for (const char *from = text; (at = memmem(from, strlen(from), what, what_len)); from = at + what_len) {
        bool inside = (at > text && is_word_byte(at[-1]) && is_word_byte(what[0])) || (is_word_byte(at[what_len]) && is_word_byte(what[what_len - 1]));
        if (inside)
            continue;
        adv_text_add_n(&out, p, (size_t)(at - p));
        adv_text_add(&out, by);
        p = at + what_len;
    }
    adv_text_add(&out, p);
    return adv_text_get(&out);
}

typedef struct Condition {
    const char *text, *hidden;
} Condition;

static void hide_in(AdvArena *arena, const char **text, const Condition *c)
{
    *text = replaced(arena, *text, c->text, strlen(c->text), c->hidden);
}

static void hide_in_script(AdvArena *arena, AdvScript *script, const Condition *c)
{
    for (int i = 0; i < script->n; i++)
        hide_in(arena, &script->statements[i], c);
}

static void hide_condition(AdvArena *arena, AdvFinding *f, const Condition *c)
{
    const char **const texts[] = {&f->reason, &f->wrong_if, &f->ddl, &f->undo};
    for (size_t i = 0; i < PW_ARRAY_LEN(texts); i++)
        hide_in(arena, texts[i], c);
    hide_in_script(arena, &f->script, c);
    hide_in_script(arena, &f->undo_script, c);
    for (int i = 0; i < f->n_evidence; i++) {
        hide_in(arena, &f->evidence[i].plan_before, c);
        hide_in(arena, &f->evidence[i].plan_after, c);
    }
}

/* In copies: the originals are what costs and other findings were made of. */
static void set_condition(AdvArena *arena, AdvFinding *f, const char *hidden)
{
    if (f->create) {
        AdvCandidate *copy = ADV_NEW(arena, AdvCandidate);
        *copy = *f->create;
        copy->def.predicate = hidden;
        f->create = copy;
        return;
    }
    AdvIndex *copy = ADV_NEW(arena, AdvIndex);
    AdvDrop *drop = ADV_NEW(arena, AdvDrop);
    *copy = *f->drop->index;
    copy->predicate = hidden;
    *drop = *f->drop;
    drop->index = copy;
    f->drop = drop;
}

/* The plan of one finding may name the index of another. True when something was hidden. */
static bool hide_conditions(AdvReport *r)
{
    bool any = false;
    for (int i = 0; i < r->n_findings; i++) {
        AdvFinding *f = &r->findings[i];
        const AdvIndex *index = f->create ? &f->create->def : f->drop->index;
        Condition c = {index->predicate, index->predicate ? adv_hide_constants(r->arena, index->predicate) : NULL};
        if (!c.text || strcmp(c.text, c.hidden) == 0)
            continue;
        any = true;
        for (int k = 0; k < r->n_findings; k++)
            hide_condition(r->arena, &r->findings[k], &c);
        set_condition(r->arena, f, c.hidden);
    }
    return any;
}

/* What is said of a statement may quote one of its constants. */
static void hide_quoted(AdvArena *arena, AdvUnhelped *u)
{
    PwLexer lexer = pw_lexer(u->query->text, strlen(u->query->text), 0);
    PwToken token;
    while (pw_lex_next(&lexer, &token) != PW_TOK_END) {
        if (token.type != PW_TOK_STRING && token.type != PW_TOK_NUMBER)
            continue;
        u->why = replaced(arena, u->why, token.text, token.len, "...");
        u->rewrite = replaced(arena, u->rewrite, token.text, token.len, "...");
    }
}

/* Messages of the server and of the parser end with the piece of the statement that they mean. */
static const char *without_quote(AdvArena *arena, const char *why)
{
    static const char *const quotes[] = {" at or near \"", ": \""};
    for (size_t i = 0; why && i < PW_ARRAY_LEN(quotes); i++) {
        const char *at = strstr(why, quotes[i]);
        if (at)
            why = adv_arena_strndup(arena, why, (size_t)(at - why));
    }
    return why;
}

static void hide_statements(AdvArena *arena, const AdvWorkload *w)
{
    char *buffer = adv_arena_alloc(arena, PW_QUERY_TEXT_MAX + 1);
    for (int i = 0; i < w->n_queries; i++) {
        AdvQuery *q = w->queries[i];
        PwNormalised n = pw_normalise(q->text, strlen(q->text), 0, buffer, PW_QUERY_TEXT_MAX + 1);
        q->text = adv_arena_strndup(arena, buffer, n.len);
        q->why_not = without_quote(arena, q->why_not);
    }
}

void adv_report_redact(AdvReport *r)
{
    bool incomplete = hide_conditions(r);
    for (int i = 0; i < r->n_unhelped; i++)
        hide_quoted(r->arena, &r->unhelped[i]);
    for (int i = 0; i < r->n_notes; i++)
        r->notes[i] = without_quote(r->arena, r->notes[i]);
    hide_statements(r->arena, r->workload);
    if (incomplete)
        adv_report_note(r, "values in the conditions of indexes are hidden ($1, $2, ...): a report with values has the complete commands");
}
