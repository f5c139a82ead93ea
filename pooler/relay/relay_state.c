/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/session/dotted.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

void relay_state_init(Relay *r)
{
    SessionTracking how = r->local->settings.session_state;
    const Settings *startup = r->state.startup; /* of relay_state_ask_for */
    session_state_init(&r->state);
    r->state.startup = startup;
    r->state.on = !r->session_mode && how != SESSION_TRACKING_OFF;
    r->state.strict = how == SESSION_TRACKING_PIN;
}

void relay_state_finish(Relay *r)
{
    session_state_finish(&r->state);
    sql_names_finish(&r->names);
    relay_state_probe_drop(r);
    settings_unref(r->asked);
    r->asked = NULL;
}

/* ---- requests ---- */

/* The lexer takes bytes from 0x80 up for letters; in these encodings they may be followed by what looks like a quote. */
void relay_state_encoding(Relay *r)
{
    static const char *const unsafe[] = {"SJIS", "BIG5", "GBK", "GB18030", "UHC", "JOHAB", "SHIFT_JIS_2004"};
    const char *encoding = params_get(&r->params, PARAM_CLIENT_ENCODING);
    r->lex_unsafe = false;
    for (size_t i = 0; encoding && i < PW_ARRAY_LEN(unsafe); i++)
        r->lex_unsafe |= strcasecmp(encoding, unsafe[i]) == 0;
}

void relay_state_encoding_changed(Relay *r, const PipelineEntry *head)
{
    unsigned pins = r->state.pins;
    relay_state_encoding(r);
    if (!r->state.on)
        return;
    if (settings_beyond_ascii(r->state.working))
        r->state.pins |= SESSION_PIN_SETTING;
    const Effects *effects = head ? head->effects : NULL;
    if (effects && effects->statements > 1) /* its values are spelled in the encoding before */
        r->state.due |= SESSION_DUE_ALL;
    QueryEntry *q = head && head->query ? head->query : r->ext ? r->ext->bound : NULL;
    if (q)
        r->suspect = query_entry_fingerprint(q);
    relay_state_pinned(r, pins);
}

static bool has_high_bytes(const char *sql, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)sql[i] >= 0x80)
            return true;
    return false;
}

bool relay_state_may_misread(const Relay *r, const char *sql, size_t len)
{
    return relay_state_is_unsettled(r) && (memchr(sql, '\\', len) || has_high_bytes(sql, len));
}

static unsigned class_of(Relay *r, QueryEntry *q, const char *sql, size_t len, bool whole)
{
    uint8_t *note = q ? query_entry_note(q) : NULL;
    if (!whole || (r->lex_unsafe && has_high_bytes(sql, len)) || relay_state_may_misread(r, sql, len))
        return CLASS_SEEN | CLASS_UNKNOWN;
    if (note && *note)
        return *note;
    unsigned class = stmt_classify(sql, len, relay_lex_flags(r), true);
    if (note)
        *note = (uint8_t)class;
    return class;
}

static void sent(Relay *r, QueryEntry *q, unsigned class, const Effects *effects)
{
    unsigned pins = r->state.pins;
    r->settings_sent |= (class & CLASS_TRACK) != 0;
    session_state_sent(&r->state, class, effects);
    if ((class & CLASS_NAMES) && effects) {
        relay_align_executes(r, effects);
        r->names_end |= effects_have(effects, EFFECT_DEALLOCATE_ALL) || effects_have(effects, EFFECT_DISCARD_ALL) ||
                        (effects_have(effects, EFFECT_DEALLOCATE) && r->statements.table);
    }
    if ((class & CLASS_NAMES) && !relay_follows_names(r))
        r->state.due |= SESSION_DUE_ALL;
    if (q && (r->state.due || r->state.pins != pins))
        r->suspect = query_entry_fingerprint(q);
    if (r->state.pins != pins)
        relay_state_pinned(r, pins);
}

void relay_state_ask_about(Relay *r, const char *bytes, size_t n)
{
    if (r->state.due & SESSION_DUE_ALL)
        r->asked = dotted_names(r->asked, bytes, n);
}

/* Where things are made may be told by a string (SET LOCAL search_path = 'pg_temp') or a value, which the class of a text knows nothing of. */
static void look_for_temp(Relay *r, unsigned class, const char *bytes, size_t n)
{
    if ((class & CLASS_TRACK) && settings_mention_temp(bytes, n))
        r->state.due |= SESSION_DUE_PINS;
}

Effects *relay_state_query(Relay *r, QueryEntry *q, const char *sql, size_t avail)
{
    size_t len = strnlen(sql, avail);
    unsigned class = class_of(r, q, sql, len, len < avail);
    if (class == CLASS_SEEN)
        return NULL;
    Effects *effects = NULL;
    if (class & (CLASS_TRACK | CLASS_NAMES))
        effects = effects_parse(sql, len, relay_lex_flags(r), NULL);
    sent(r, q, class, effects);
    relay_state_ask_about(r, sql, len);
    look_for_temp(r, class, sql, len);
    return effects;
}

void relay_state_parse(Relay *r, QueryEntry *q, const char *sql, size_t avail)
{
    size_t len = strnlen(sql, avail);
    r->ext->unnamed_class = class_of(r, q, sql, len, len < avail);
    pw_buf_finish(&r->ext->unnamed_sql);
    if (r->ext->unnamed_class & (CLASS_TRACK | CLASS_NAMES | CLASS_UNKNOWN))
        pw_buf_append(&r->ext->unnamed_sql, sql, len);
}

void relay_state_bind(Relay *r, unsigned class, const char *sql, size_t len, const uint8_t *payload, size_t avail)
{
    bool unnamed_portal = avail == 0 || payload[0] == 0;
    if (unnamed_portal) {
        effects_unref(r->ext->bound_effects);
        r->ext->bound_effects = NULL;
    }
    if (class == CLASS_SEEN || class == 0)
        return;
    Effects *effects = NULL;
    if (class & (CLASS_TRACK | CLASS_NAMES)) {
        EffectsBind bind = {payload, avail};
        effects = effects_parse(sql, len, relay_lex_flags(r), &bind);
    }
    sent(r, r->ext->bound, class, effects);
    if (!unnamed_portal && effects && effects->n) /* which portal is run when is not followed */
        r->state.due |= SESSION_DUE_ALL;
    relay_state_ask_about(r, sql, len);
    relay_state_ask_about(r, (const char *)payload, avail);
    look_for_temp(r, class, sql, len);
    look_for_temp(r, class, (const char *)payload, avail);
    if (unnamed_portal) {
        r->ext->bound_effects = effects;
        return;
    }
    effects_unref(effects);
}

void relay_state_named_parse(Relay *r, const char *sql, size_t avail)
{
    size_t len = strnlen(sql, avail);
    unsigned class = r->state.on ? class_of(r, NULL, sql, len, len < avail) : CLASS_SEEN;
    if (class & CLASS_TRACK)
        class |= CLASS_UNKNOWN;
    sent(r, NULL, class, NULL);
    relay_state_ask_about(r, sql, len);
}

void relay_state_bind_unnamed(Relay *r, const uint8_t *payload, size_t avail)
{
    relay_state_bind(r, r->ext->unnamed_class, (const char *)pw_buf_head(&r->ext->unnamed_sql), pw_buf_unread(&r->ext->unnamed_sql), payload,
                     avail);
}

Effects *relay_state_execute(Relay *r, const uint8_t *payload, size_t avail)
{
    return avail && payload[0] == 0 ? effects_ref(r->ext->bound_effects) : NULL;
}

void relay_state_function(Relay *r, const uint8_t *payload, size_t avail)
{
    if (!r->state.on || avail < 4)
        return;
    sent(r, NULL, stmt_classify_function(pw_be32(payload)), NULL);
    relay_state_ask_about(r, (const char *)payload, avail);
}

/* ---- RESET ---- */

void relay_state_ask_for(Relay *r, const char *name, const char *value)
{
    /* never too large: so long a start-up packet is not read */
    settings_put(&r->state.startup, name, value, true);
}

void relay_state_startup(Relay *r)
{
    session_state_adopt(&r->state, settings_ref(r->state.startup));
    if (!r->state.on) {
        settings_unref(r->state.startup);
        r->state.startup = NULL;
    }
    for (unsigned i = 0; i < params_count() && r->state.on; i++)
        if (params_get(&r->params, i))
            relay_state_ask_for(r, params_setting(i), params_get(&r->params, i));
}

void relay_state_resets(Relay *r, const Effects *effects)
{
    bool identity = settings_get(r->state.startup, "role") || settings_get(r->state.startup, "session_authorization");
    for (unsigned i = 0; r->state.startup && i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        bool named = e->kind == EFFECT_RESET && settings_get(r->state.startup, e->name);
        bool whom = identity && (e->kind == EFFECT_DISCARD_ALL || (e->kind == EFFECT_AUTH && !e->value) || (named && settings_is_identity(e->name)));
        r->startup_reset |= named || whom || e->kind == EFFECT_RESET_ALL || e->kind == EFFECT_DISCARD_ALL;
        r->identity_reset |= whom;
    }
    if (PW_UNLIKELY(r->identity_reset))
        r->state.due |= SESSION_DUE_ALL; /* who it is in the end only the server knows */
}

typedef struct Executes {
    unsigned open, ended; /* in the group that has no Sync yet; in the last one that has */
} Executes;

static void count_executes(void *arg, PipelineEntry *e)
{
    Executes *n = arg;
    n->open += e->kind == PIPE_EXECUTE;
    if (e->kind != PIPE_SYNC)
        return;
    n->ended = n->open;
    n->open = 0;
}

static bool may_restore(Relay *r, uint8_t type, const uint8_t *payload, size_t n)
{
    Pipeline *p = &r->server->pipeline;
    if (p->copy_in || p->skipping)
        return false;
    if (type == PW_F_SYNC) {
        Executes executes = {0, 0};
        pipeline_visit(p, count_executes, &executes);
        return executes.ended <= 1; /* the RESET; another one may be a COPY */
    }
    if (type != PW_F_QUERY)
        return false;
    for (size_t i = 0; i + 4 <= n; i++)
        if (strncasecmp((const char *)payload + i, "copy", 4) == 0)
            return false;
    return true;
}

bool relay_state_may_restore(Relay *r, uint8_t type, const uint8_t *payload, size_t n)
{
    bool may = may_restore(r, type, payload, n);
    r->restore_late |= !may && (type == PW_F_SYNC || type == PW_F_QUERY);
    return may;
}

/* On a direct connection a RESET goes back to what the start-up packet asked for; our servers know nothing of that. Whether the RESET
 * took place (an error, a rolled back transaction) only the server knows: it did where nothing is set by the session; a setting with a dot, which
 * is on no list, is the empty string then. */
#define RESTORE_BEFORE "SELECT pg_catalog.set_config(n, v, false) FROM (VALUES "
#define RESTORE_BEHIND                                                                                                        \
    ") x(n, v) WHERE pg_catalog.current_setting(n, true) OPERATOR(pg_catalog.<>) v AND (EXISTS (SELECT 1 FROM"                \
    " pg_catalog.pg_show_all_settings() s WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) n"                            \
    " AND s.source OPERATOR(pg_catalog.<>) 'session') OR (pg_catalog.strpos(n, '.') OPERATOR(pg_catalog.>) 0"                 \
    " AND pg_catalog.current_setting(n, true) OPERATOR(pg_catalog.=) ''))"

/* It did where the session is nobody but whom it logged in as. A role that may not be taken now is left: the probe tells. */
static void restore_identity(const Relay *r, PwBuf *out)
{
    const char *user = settings_get(r->state.startup, "session_authorization"), *role = settings_get(r->state.startup, "role");
    if (user) {
        pw_buf_append_str(out, "SELECT pg_catalog.set_config('session_authorization',");
        settings_append_literal(out, user);
        pw_buf_append_str(out, ",false) WHERE pg_catalog.current_setting('session_authorization') OPERATOR(pg_catalog.=)");
        settings_append_literal(out, r->local->entry->user->name);
        pw_buf_append_u8(out, ';');
    }
    if (role) {
        pw_buf_append_str(out, "SELECT pg_catalog.set_config('role',r.rolname,false) FROM pg_catalog.pg_roles r WHERE"
                               " pg_catalog.current_setting('role') OPERATOR(pg_catalog.=) 'none' AND"
                               " pg_catalog.pg_has_role(SESSION_USER,r.oid,'MEMBER') AND r.rolname OPERATOR(pg_catalog.=)");
        settings_append_literal(out, role);
        pw_buf_append_u8(out, ';');
    }
}

void relay_state_restore(Relay *r, PwBuf *out, PwUsec now)
{
    Setting at;
    bool identity = r->identity_reset;
    r->identity_reset = false;
    r->identity_sent = identity;
    r->startup_reset = false;
    r->unnamed_here = false; /* a Query ends it */
    size_t mark = pw_msg_begin(out, PW_F_QUERY);
    if (PW_UNLIKELY(identity))
        restore_identity(r, out);
    pw_buf_append_str(out, RESTORE_BEFORE);
    for (size_t pos = 0, first = 1; settings_next(r->state.startup, &pos, &at); first = 0) {
        pw_buf_append_str(out, first ? "(" : ",(");
        settings_append_literal(out, at.name);
        pw_buf_append_u8(out, ',');
        settings_append_literal(out, at.value);
        pw_buf_append_u8(out, ')');
    }
    pw_buf_append_cstr(out, RESTORE_BEHIND);
    pw_msg_end(out, mark);
    pipeline_push(&r->server->pipeline, PIPE_QUERY, PIPE_SWALLOW, NULL, NULL, now);
}

/* ---- replies ---- */

bool relay_state_is_reported(void *arg, const char *name)
{
    const Relay *r = arg;
    int i = params_index(name);
    return i >= 0 && params_get(&r->server->params, (unsigned)i);
}

void relay_state_complete(Relay *r, const PipelineEntry *head, const uint8_t *tag, size_t n)
{
    if (!r->state.on || n == 0 || tag[n - 1] != 0)
        return;
    unsigned pins = r->state.pins;
    if (head->effects)
        relay_align_completed(r, head->effects, r->state.statement, (const char *)tag);
    session_state_complete(&r->state, head->effects, (const char *)tag, relay_state_is_reported, r);
    relay_state_pinned(r, pins);
    if (!head->effects)
        r->state.statement = 0;
}

/* ---- pins ---- */

void relay_state_pinned(Relay *r, unsigned before)
{
    char was[SESSION_PIN_TEXT], is[SESSION_PIN_TEXT], text[2 * SESSION_PIN_TEXT + 80];
    unsigned pins = r->state.pins;
    if (pins == before)
        return;
    if (pins & ~before)
        r->pin_query = r->suspect;
    for (unsigned i = 0; i < SESSION_PIN_COUNT; i++)
        r->local->session.pins[i] += (pins & ~before) >> i & 1;
    session_pin_text(before, was);
    session_pin_text(pins, is);
    if (pins)
        snprintf(text, sizeof(text), "keeps its server: %s (query %016llx)", is, (unsigned long long)r->pin_query);
    else
        snprintf(text, sizeof(text), "no longer keeps its server: %s is over", was);
    /* the first time it is news */
    r->ops->log(r, r->pin_told ? PW_LOG_DEBUG : PW_LOG_LOG, text);
    r->pin_told |= pins == 0;
}

bool relay_state_abandon(Relay *r)
{
    Server *s = r->server;
    if (!r->state.on) {
        s->applied_unknown = true; /* only clients that are followed look at it */
        return true;
    }
    if (r->state.pins & SESSION_PIN_LOAD)
        return false;
    bool clean = pipeline_is_clean(&s->pipeline);
    if (r->state.pins || r->state.due || r->probe || (!clean && r->effects_in_flight))
        s->wash = true;
    else if ((r->hold & HOLD_SYNC) || (!clean && r->state.dirty))
        s->applied_unknown = true;
    else
        server_set_applied(s, r->state.committed); /* what a transaction had set goes with its ROLLBACK */
    return true;
}
