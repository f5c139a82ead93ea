/* SPDX-License-Identifier: ISC */
#include "pooler/relay/relay_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "pooler/relay/relay_align.h"
#include "pooler/relay/relay_priv.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

void relay_state_init(Relay *r)
{
    SessionTracking how = r->local->settings.session_state;
    session_state_init(&r->state);
    r->state.on = !r->session_mode && how != SESSION_TRACKING_OFF;
    r->state.strict = how == SESSION_TRACKING_PIN;
}

static void drop_probe(Relay *r)
{
    if (r->probe)
        settings_unref(r->probe->found);
    free(r->probe);
    r->probe = NULL;
}

void relay_state_finish(Relay *r)
{
    session_state_finish(&r->state);
    sql_names_finish(&r->names);
    effects_unref(r->bound_effects);
    r->bound_effects = NULL;
    pw_buf_finish(&r->unnamed_sql);
    drop_probe(r);
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

static bool has_high_bytes(const char *sql, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((uint8_t)sql[i] >= 0x80)
            return true;
    return false;
}

static unsigned class_of(Relay *r, QueryEntry *q, const char *sql, size_t len, bool whole)
{
    uint8_t *note = q ? query_entry_note(q) : NULL;
    if (!whole || (r->lex_unsafe && has_high_bytes(sql, len)))
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
    session_state_sent(&r->state, class, effects);
    if ((class & CLASS_NAMES) && effects) {
        relay_align_executes(r, effects);
        r->names_end = effects_have(effects, EFFECT_DEALLOCATE_ALL) || effects_have(effects, EFFECT_DISCARD_ALL);
    }
    if ((class & CLASS_NAMES) && !relay_follows_names(r))
        r->state.due |= SESSION_DUE_ALL;
    if (q && (r->state.due || r->state.pins != pins))
        r->suspect = query_entry_fingerprint(q);
    if (r->state.pins != pins)
        relay_state_pinned(r, pins);
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
    return effects;
}

void relay_state_parse(Relay *r, QueryEntry *q, const char *sql, size_t avail)
{
    size_t len = strnlen(sql, avail);
    r->unnamed_class = class_of(r, q, sql, len, len < avail);
    pw_buf_finish(&r->unnamed_sql);
    if (r->unnamed_class & (CLASS_TRACK | CLASS_NAMES))
        pw_buf_append(&r->unnamed_sql, sql, len);
}

void relay_state_bind(Relay *r, unsigned class, const char *sql, size_t len, const uint8_t *payload, size_t avail)
{
    bool unnamed_portal = avail == 0 || payload[0] == 0;
    if (unnamed_portal) {
        effects_unref(r->bound_effects);
        r->bound_effects = NULL;
    }
    if (class == CLASS_SEEN || class == 0)
        return;
    Effects *effects = NULL;
    if (class & (CLASS_TRACK | CLASS_NAMES)) {
        EffectsBind bind = {payload, avail};
        effects = effects_parse(sql, len, relay_lex_flags(r), &bind);
    }
    sent(r, r->bound, class, effects);
    if (unnamed_portal) {
        r->bound_effects = effects;
        return;
    }
    if (effects && effects->n) /* which portal is run when is not followed */
        r->state.due |= SESSION_DUE_ALL;
    effects_unref(effects);
}

void relay_state_named_parse(Relay *r, const char *sql, size_t avail)
{
    size_t len = strnlen(sql, avail);
    unsigned class = r->state.on ? class_of(r, NULL, sql, len, len < avail) : CLASS_SEEN;
    if (class & CLASS_TRACK)
        class |= CLASS_UNKNOWN;
    sent(r, NULL, class, NULL);
}

void relay_state_bind_unnamed(Relay *r, const uint8_t *payload, size_t avail)
{
    relay_state_bind(r, r->unnamed_class, (const char *)pw_buf_head(&r->unnamed_sql), pw_buf_unread(&r->unnamed_sql), payload,
                     avail);
}

Effects *relay_state_execute(Relay *r, const uint8_t *payload, size_t avail)
{
    return avail && payload[0] == 0 ? effects_ref(r->bound_effects) : NULL;
}

void relay_state_function(Relay *r, const uint8_t *payload, size_t avail)
{
    if (r->state.on && avail >= 4)
        sent(r, NULL, stmt_classify_function(pw_be32(payload)), NULL);
}

/* ---- replies ---- */

static bool is_reported(void *arg, const char *name)
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
    session_state_complete(&r->state, head->effects, (const char *)tag, is_reported, r);
    relay_state_pinned(r, pins);
    if (!head->effects)
        r->state.statement = 0;
}

/* ---- asking the server ---- */

/* Everything is qualified: the client's search_path holds here too. At an idle ReadyForQuery only cursors WITH HOLD are left.
 * pg_depend knows all objects of the temporary schema, of whatever kind. */
#define PROBE_PINS                                                                                                           \
    "SELECT 'p', pg_catalog.concat("                                                                                         \
    "CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_listening_channels()) THEN 'l' END,"                                      \
    "CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_locks l WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory'"               \
    " AND l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()) THEN 'a' END,"                                           \
    "CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0 AND EXISTS (SELECT 1 FROM pg_catalog.pg_depend d"    \
    " WHERE d.refclassid OPERATOR(pg_catalog.=) 2615 AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"  \
    " THEN 't' END,"                                                                                                         \
    "CASE WHEN EXISTS (SELECT 1 FROM pg_catalog.pg_cursor()) THEN 'c' END,"                                                  \
    "'#', (SELECT pg_catalog.count(*) FROM pg_catalog.pg_prepared_statement() s WHERE s.from_sql))"
#define PROBE_ALL                                                                                                            \
    PROBE_PINS ", '' UNION ALL SELECT n, pg_catalog.current_setting(n) , 'i' FROM (VALUES ('role'), ('session_authorization')) v(n)" \
    " UNION ALL SELECT s.name, s.setting, 's' FROM pg_catalog.pg_show_all_settings() s WHERE s.source OPERATOR(pg_catalog.=) 'session'"

static const struct {
    char letter;
    unsigned pin;
} letters[] = {{'l', SESSION_PIN_LISTEN}, {'a', SESSION_PIN_ADVISORY}, {'t', SESSION_PIN_TEMP}, {'c', SESSION_PIN_CURSOR}};

bool relay_state_probe(Relay *r)
{
    drop_probe(r);
    r->probe = pw_xcalloc(1, sizeof(*r->probe));
    r->probe->full = (r->state.due & SESSION_DUE_ALL) != 0;
    r->probe->since = worker_now(r->stream.worker);
    r->hold |= HOLD_PROBE;
    r->local->session.probes++;
    return server_send_own(r->server, r->probe->full ? PROBE_ALL : PROBE_PINS);
}

static void found(RelayProbe *probe, const char *name, const char *value, bool flat)
{
    bool full;
    const Settings *with = settings_with(probe->found, name, value, flat, &full);
    if (full) {
        probe->pins |= SESSION_PIN_SETTING;
        return;
    }
    settings_unref(probe->found);
    probe->found = with;
}

/* role or session_authorization; `user` is whom the pool logs in as. */
static void found_identity(RelayProbe *probe, const char *name, const char *value, const char *user)
{
    if (strcmp(value, strcmp(name, "role") == 0 ? "none" : user) == 0)
        return;
    PwBuf literal;
    pw_buf_init(&literal);
    settings_append_literal(&literal, value);
    pw_buf_append_u8(&literal, 0);
    found(probe, name, (const char *)pw_buf_head(&literal), false);
    pw_buf_finish(&literal);
}

/* The next column, NUL-terminated, allocated; NULL: the row is broken. */
static char *column(PwCursor *c)
{
    uint32_t len = pw_cursor_be32(c);
    if (c->bad || len == UINT32_MAX)
        return NULL;
    const uint8_t *bytes = pw_cursor_bytes(c, len);
    return bytes ? pw_xstrndup((const char *)bytes, len) : NULL;
}

void relay_state_probe_row(Relay *r, const uint8_t *payload, size_t n, bool whole)
{
    RelayProbe *probe = r->probe;
    PwCursor c = pw_cursor(payload, n);
    unsigned columns = pw_cursor_be16(&c);
    char *name = column(&c), *value = column(&c), *kind = columns > 2 ? column(&c) : pw_xstrdup("");
    if (!whole) {
        probe->pins |= SESSION_PIN_SETTING;
    } else if (!name || !value || !kind) {
        probe->failed = true;
    } else if (kind[0] == 'i') {
        found_identity(probe, name, value, r->local->entry->user->name);
    } else if (kind[0] == 's') {
        for (char *p = name; *p; p++)
            if (*p >= 'A' && *p <= 'Z')
                *p = (char)(*p | 32);
        if (!is_reported(r, name))
            found(probe, name, value, true);
    } else {
        probe->answered = true;
        for (size_t i = 0; i < PW_ARRAY_LEN(letters); i++)
            if (strchr(value, letters[i].letter))
                probe->pins |= letters[i].pin;
        const char *count = strchr(value, '#');
        if (count && strtoul(count + 1, NULL, 10) > sql_names_count(&r->server->names))
            probe->pins |= SESSION_PIN_PREPARED; /* made where nobody saw it */
    }
    free(name);
    free(value);
    free(kind);
}

void relay_state_probe_error(Relay *r, const char *text)
{
    server_log(r->server, PW_LOG_WARNING, "cannot ask for the state of the session: %s", text);
    r->probe->failed = true;
}

/* What the server told, and of the settings that it does not list (names with a dot that no library defines) what was
 * known. */
static const Settings *merge(const Settings *known, const Settings *told)
{
    const Settings *all = settings_ref(told);
    Setting at;
    bool full = false;
    for (size_t pos = 0; settings_next(known, &pos, &at) && !full;) {
        if (!strchr(at.name, '.') || settings_get(told, at.name))
            continue;
        const Settings *with = settings_with(all, at.name, at.value, at.flat, &full);
        if (full)
            break;
        settings_unref(all);
        all = with;
    }
    return all;
}

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

void relay_state_probe_done(Relay *r)
{
    RelayProbe *probe = r->probe;
    unsigned before = r->state.pins;
    r->hold &= ~(unsigned)HOLD_PROBE;
    bool failed = probe->failed || !probe->answered;
    session_state_probed(&r->state, failed ? before | SESSION_PIN_UNKNOWN : probe->pins);
    if (probe->full && !failed) {
        session_state_adopt(&r->state, merge(r->state.committed, probe->found));
        server_set_applied(r->server, r->state.committed);
        r->server->applied_unknown = true; /* of settings that no list shows */
    }
    drop_probe(r);
    relay_state_pinned(r, before);
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
