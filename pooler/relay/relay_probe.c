/* SPDX-License-Identifier: ISC */
/* relay_probe.c - asking the server what is left in its session, between two requests of the client that has it (relay_state.h). */
#include <stdlib.h>
#include <string.h>

#include "pooler/relay/relay_count.h"
#include "pooler/relay/relay_listen.h"
#include "pooler/relay/relay_priv.h"
#include "pooler/relay/relay_state.h"
#include "poolwise/log.h"
#include "poolwise/mem.h"
#include "poolwise/wire.h"

void relay_state_probe_drop(Relay *r)
{
    if (r->probe) {
        settings_unref(r->probe->found);
        settings_unref(r->probe->asked);
        settings_unref(r->probe->reported);
    }
    free(r->probe);
    r->probe = NULL;
}

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

/* Names with a dot: those that a library defines are on the list above. "" is unset, as after a RESET. */
#define PROBE_DOTTED                                                                                                            \
    " UNION ALL SELECT n, COALESCE(pg_catalog.current_setting(n, true), ''), 'd' FROM (VALUES "
#define PROBE_DOTTED_END                                                                                                        \
    ") v(n) WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_show_all_settings() s WHERE pg_catalog.lower(s.name) OPERATOR(pg_catalog.=) n)"

static const struct {
    char letter;
    unsigned pin;
} letters[] = {{'l', SESSION_PIN_LISTEN}, {'a', SESSION_PIN_ADVISORY}, {'t', SESSION_PIN_TEMP}, {'c', SESSION_PIN_CURSOR}};

/* Those that the client has set before, and those that what it ran since has named. */
static const Settings *names_to_ask_for(Relay *r)
{
    const Settings *names = r->asked;
    Setting at;
    r->asked = NULL;
    for (size_t pos = 0; settings_next(r->state.committed, &pos, &at);)
        if (strchr(at.name, '.'))
            settings_put(&names, at.name, "", true);
    return names;
}

static void append_names(const Settings *names, PwBuf *sql)
{
    Setting at;
    bool first = true;
    for (size_t pos = 0; settings_next(names, &pos, &at); first = false) {
        pw_buf_append_str(sql, first ? PROBE_DOTTED "(" : ",(");
        settings_append_literal(sql, at.name);
        pw_buf_append_u8(sql, ')');
    }
    if (!first)
        pw_buf_append_str(sql, PROBE_DOTTED_END);
}

static bool ask_for_all(Relay *r)
{
    PwBuf sql;
    pw_buf_init(&sql);
    r->probe->asked = names_to_ask_for(r);
    pw_buf_append_str(&sql, PROBE_ALL);
    append_names(r->probe->asked, &sql);
    pw_buf_append_u8(&sql, 0);
    bool ok = server_send_own(r->server, (const char *)pw_buf_head(&sql));
    pw_buf_finish(&sql);
    return ok;
}

bool relay_state_probe(Relay *r)
{
    relay_state_probe_drop(r);
    r->probe = pw_xcalloc(1, sizeof(*r->probe));
    r->probe->full = (r->state.due & SESSION_DUE_ALL) != 0;
    r->probe->resets = r->startup_reset || r->restore_late;
    r->startup_reset = r->identity_reset = r->restore_late = false;
    r->probe->since = worker_now(r->stream.worker);
    r->hold |= HOLD_PROBE;
    r->unnamed_here = false; /* a Query ends it */
    r->local->session.probes++;
    if (PW_UNLIKELY(r->listen != NULL) && !relay_listen_leave_server(r))
        return false;
    return r->probe->full ? ask_for_all(r) : server_send_own(r->server, PROBE_PINS);
}

static void add(RelayProbe *probe, const Settings **set, const char *name, const char *value, bool flat)
{
    if (!settings_put(set, name, value, flat))
        probe->pins |= SESSION_PIN_SETTING;
}

static void found(RelayProbe *probe, const char *name, const char *value, bool flat)
{
    add(probe, &probe->found, name, value, flat);
}

/* One that the session has set; `spelled` as the server lists it. */
static void found_setting(Relay *r, const char *spelled, const char *value)
{
    char *name = settings_name(spelled);
    if (relay_state_is_reported(r, name))
        add(r->probe, &r->probe->reported, name, "", true);
    else if (!settings_name_passes(name))
        found(r->probe, name, value, true);
    free(name);
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
    } else if (kind[0] == 'd') {
        if (*value)
            found(probe, name, value, true);
    } else if (kind[0] == 's') {
        found_setting(r, name, value);
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

/* What the server told, and of the settings that it does not list (names with a dot that no library defines) and was not
 * asked for what was known. */
static const Settings *merge(const Settings *known, const Settings *asked, const Settings *told)
{
    const Settings *all = settings_ref(told);
    Setting at;
    bool fits = true;
    for (size_t pos = 0; fits && settings_next(known, &pos, &at);)
        if (strchr(at.name, '.') && !settings_get(told, at.name) && !settings_get(asked, at.name))
            fits = settings_put(&all, at.name, at.value, at.flat);
    return all;
}

/* A RESET that no text has shown (in a block or a function): what the start-up packet asked for comes back, with the next server
 * or the next turn on this one, whose settings are unknown. Whether a role was given up by RESET or by NONE, or a name with a dot by RESET or by '', cannot be told. */
static void undo_hidden_resets(Relay *r)
{
    RelayProbe *probe = r->probe;
    PwBuf out;
    Setting at;
    pw_buf_init(&out);
    if (probe->resets) /* a text has shown it, so what they are is known */
        for (size_t pos = 0; settings_next(r->state.committed, &pos, &at);)
            if (settings_get(r->state.startup, at.name) && !settings_get(probe->found, at.name))
                found(probe, at.name, at.value, at.flat);
    for (size_t pos = 0; settings_next(r->state.startup, &pos, &at);) {
        if (settings_is_identity(at.name) || strchr(at.name, '.'))
            continue;
        if (!relay_state_is_reported(r, at.name)) {
            if (!settings_get(probe->found, at.name))
                found(probe, at.name, at.value, true);
            continue;
        }
        unsigned i = (unsigned)params_index(at.name);
        if (!(r->changed >> i & 1) || settings_get(probe->reported, at.name))
            continue;
        params_set(&r->params, i, at.value);
        pw_msg_param_status(&out, params_name(i), at.value); /* it has heard of the RESET */
    }
    if (pw_buf_unread(&out)) {
        relay_state_encoding(r);
        if (r->ident)
            relay_renamed(r);
        if (!relay_tell(r, &out))
            relay_fail_later(r, NULL, "client unexpected eof");
    }
    pw_buf_finish(&out);
}

void relay_state_probe_done(Relay *r)
{
    RelayProbe *probe = r->probe;
    unsigned before = r->state.pins;
    r->hold &= ~(unsigned)HOLD_PROBE;
    bool failed = probe->failed || !probe->answered;
    session_state_probed(&r->state, failed ? before | SESSION_PIN_UNKNOWN : probe->pins);
    if (probe->full && !failed) {
        undo_hidden_resets(r);
        session_state_adopt(&r->state, merge(r->state.committed, probe->asked, probe->found));
        server_set_applied(r->server, r->state.committed);
        r->server->applied_unknown = true; /* of settings that no list shows */
    }
    relay_state_probe_drop(r);
    relay_state_pinned(r, before);
}

