/* SPDX-License-Identifier: ISC */
#include "pooler/session/state.h"

#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "poolwise/err.h"
#include "poolwise/mem.h"

static const char *const pin_names[] = {"listen",   "advisory_lock", "temp_table", "hold_cursor",
                                        "prepared", "setting",       "unknown",    "load"};
_Static_assert(PW_ARRAY_LEN(pin_names) == SESSION_PIN_COUNT, "one name a pin");

const char *session_pin_text(unsigned pins, char buf[SESSION_PIN_TEXT])
{
    size_t n = 0;
    buf[0] = '\0';
    for (unsigned i = 0; i < SESSION_PIN_COUNT; i++) {
        if (!(pins & 1u << i))
            continue;
        size_t len = strlen(pin_names[i]);
        if (n)
            buf[n++] = '+';
        memcpy(buf + n, pin_names[i], len + 1);
        n += len;
    }
    return buf;
}

void session_state_init(SessionState *st)
{
    memset(st, 0, sizeof(*st));
}

static void drop_savepoints(SessionState *st, unsigned keep)
{
    while (st->n_savepoints > keep) {
        SessionSavepoint *sp = &st->savepoints[--st->n_savepoints];
        free(sp->name);
        settings_unref(sp->settings);
        settings_unref(sp->channels);
    }
}

void session_state_finish(SessionState *st)
{
    drop_savepoints(st, 0);
    free(st->savepoints);
    settings_unref(st->committed);
    settings_unref(st->working);
    settings_unref(st->channels);
    settings_unref(st->channels_working);
    settings_unref(st->startup);
    session_state_init(st);
}

static void note_dirty(SessionState *st)
{
    st->dirty = st->n_savepoints > 0 || st->working != st->committed || st->channels_working != st->channels;
}

/* Takes over the reference. */
static void set_working(SessionState *st, const Settings *settings)
{
    settings_unref(st->working);
    st->working = settings;
    note_dirty(st);
}

/* The same. */
static void set_channels(SessionState *st, const Settings *channels)
{
    settings_unref(st->channels_working);
    st->channels_working = channels;
    note_dirty(st);
}

static void commit(SessionState *st)
{
    drop_savepoints(st, 0);
    settings_unref(st->committed);
    st->committed = settings_ref(st->working);
    settings_unref(st->channels);
    st->channels = settings_ref(st->channels_working);
    st->failed = false;
    note_dirty(st);
}

static void roll_back(SessionState *st)
{
    drop_savepoints(st, 0);
    st->failed = false;
    set_working(st, settings_ref(st->committed));
    set_channels(st, settings_ref(st->channels));
}

/* ---- requests ---- */

void session_state_sent(SessionState *st, unsigned class, const Effects *effects)
{
    if (class & CLASS_LOAD)
        st->pins |= SESSION_PIN_LOAD;
    if ((class & CLASS_UNKNOWN) || effects_have(effects, EFFECT_UNKNOWN))
        st->due |= SESSION_DUE_ALL;
    if ((class & CLASS_NAMES) && (st->pins & SESSION_PIN_PREPARED))
        st->due |= SESSION_DUE_ALL; /* what its EXECUTEs did was not looked at */
    if ((class & CLASS_PIN) || ((class & CLASS_UNPIN) && st->pins))
        st->due |= SESSION_DUE_PINS;
    for (unsigned i = 0; effects && i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        bool kept = e->kind == EFFECT_SET || e->kind == EFFECT_AUTH || e->kind == EFFECT_PREPARE;
        if ((st->strict && kept) || (e->kind == EFFECT_UNKNOWN && e->flat))
            st->pins |= SESSION_PIN_SETTING;
    }
}

/* ---- effects ---- */

static void set(SessionState *st, const char *name, const char *value, bool flat)
{
    if (!settings_put(&st->working, name, value, flat))
        st->pins |= SESSION_PIN_SETTING;
    note_dirty(st);
}

/* SET name TO DEFAULT and RESET name. */
static void reset(SessionState *st, const char *name, SessionIsReported is_reported, void *arg)
{
    const char *before = settings_get(st->startup, name);
    set(st, name, before && !is_reported(arg, name) ? before : NULL, true);
}

/* RESET ALL spares user and role; DISCARD ALL does not. */
static void reset_all(SessionState *st, bool spare, SessionIsReported is_reported, void *arg)
{
    const Settings *old = settings_ref(st->working);
    Setting at;
    set_working(st, NULL);
    for (size_t pos = 0; settings_next(st->startup, &pos, &at);)
        if (!spare || !settings_is_identity(at.name))
            reset(st, at.name, is_reported, arg);
    for (size_t pos = 0; spare && settings_next(old, &pos, &at);)
        if (settings_is_identity(at.name))
            set(st, at.name, at.value, at.flat);
    settings_unref(old);
}

/* Without a value: back to what the session began with, its role too. */
static void set_authorization(SessionState *st, const Effect *e, SessionIsReported is_reported, void *arg)
{
    if (e->value) {
        set(st, "session_authorization", e->value, e->flat);
        set(st, "role", NULL, false);
        return;
    }
    reset(st, "session_authorization", is_reported, arg);
    reset(st, "role", is_reported, arg);
}

/* value NULL: no longer. */
static void set_channel(SessionState *st, const char *name, const char *value)
{
    if (!settings_put(&st->channels_working, name, value, true))
        st->due |= SESSION_DUE_PINS; /* it keeps its server for this one */
    note_dirty(st);
}

static void push_savepoint(SessionState *st, const char *name)
{
    if (!st->dirty)
        return;
    if (st->n_savepoints == st->cap_savepoints) {
        st->cap_savepoints = st->cap_savepoints ? st->cap_savepoints * 2 : 4;
        st->savepoints = pw_xrealloc(st->savepoints, st->cap_savepoints * sizeof(*st->savepoints));
    }
    st->savepoints[st->n_savepoints++] = (SessionSavepoint){pw_xstrdup(name), settings_ref(st->working), settings_ref(st->channels_working)};
}

/* Its place, or n_savepoints. */
static unsigned find_savepoint(const SessionState *st, const char *name)
{
    for (unsigned i = st->n_savepoints; i > 0; i--)
        if (strcmp(st->savepoints[i - 1].name, name) == 0)
            return i - 1;
    return st->n_savepoints;
}

static void release(SessionState *st, const char *name)
{
    unsigned at = find_savepoint(st, name);
    drop_savepoints(st, at < st->n_savepoints ? at : 0);
    note_dirty(st);
}

static void rollback_to(SessionState *st, const char *name)
{
    unsigned at = find_savepoint(st, name);
    st->failed = false;
    if (at == st->n_savepoints) {
        drop_savepoints(st, 0);
        set_working(st, settings_ref(st->committed));
        set_channels(st, settings_ref(st->channels));
        return;
    }
    drop_savepoints(st, at + 1);
    set_working(st, settings_ref(st->savepoints[at].settings));
    set_channels(st, settings_ref(st->savepoints[at].channels));
}

static void apply(SessionState *st, const Effect *e, SessionIsReported is_reported, void *arg)
{
    switch ((EffectKind)e->kind) {
    case EFFECT_SET:
        if (!is_reported(arg, e->name))
            set(st, e->name, e->value, e->flat);
        return;
    case EFFECT_RESET:
        reset(st, e->name, is_reported, arg);
        return;
    case EFFECT_RESET_ALL:
        reset_all(st, true, is_reported, arg);
        return;
    case EFFECT_AUTH:
        set_authorization(st, e, is_reported, arg);
        return;
    case EFFECT_LISTEN:
        set_channel(st, e->name, "");
        return;
    case EFFECT_UNLISTEN:
        if (e->name)
            set_channel(st, e->name, NULL);
        else
            set_channels(st, NULL);
        return;
    case EFFECT_DISCARD_ALL:
        reset_all(st, false, is_reported, arg);
        set_channels(st, NULL);
        st->pins &= ~(unsigned)SESSION_PIN_SETTING; /* the probe behind it tells of the others */
        return;
    case EFFECT_SAVEPOINT:
        push_savepoint(st, e->name);
        return;
    case EFFECT_RELEASE:
        release(st, e->name);
        return;
    case EFFECT_ROLLBACK_TO:
        rollback_to(st, e->name);
        return;
    case EFFECT_UNKNOWN:
    case EFFECT_PREPARE: /* the names of SQL-level prepared statements are kept elsewhere */
    case EFFECT_EXECUTE:
    case EFFECT_DEALLOCATE:
    case EFFECT_DEALLOCATE_ALL:
    case EFFECT_KIND_COUNT:
        return;
    }
}

static bool is_rollback_to(const Effects *effects, unsigned statement)
{
    for (unsigned i = 0; effects && i < effects->n; i++)
        if (effects->list[i].statement == statement && effects->list[i].kind == EFFECT_ROLLBACK_TO)
            return true;
    return false;
}

void session_state_complete(SessionState *st, const Effects *effects, const char *tag, SessionIsReported is_reported, void *arg)
{
    unsigned statement = st->statement++;
    if (st->dirty) {
        if (strcmp(tag, "COMMIT") == 0 || strcmp(tag, "PREPARE TRANSACTION") == 0)
            commit(st);
        else if (strcmp(tag, "ROLLBACK") == 0 && !is_rollback_to(effects, statement))
            roll_back(st);
    }
    bool any = false;
    for (unsigned i = 0; effects && i < effects->n; i++) {
        const Effect *e = &effects->list[i];
        if (e->statement != statement)
            continue;
        any = true;
        if (effect_fits_tag(e, tag))
            apply(st, e, is_reported, arg);
        else
            st->due |= SESSION_DUE_ALL;
    }
    /* a SET that nobody foresaw: of a text that was understood wrongly */
    if (!any && !effects && strcmp(tag, "SET") == 0)
        st->due |= SESSION_DUE_ALL;
}

void session_state_error(SessionState *st)
{
    st->failed |= st->dirty;
}

void session_state_ready(SessionState *st, uint8_t txn_status)
{
    if (txn_status != 'I') {
        st->failed = false;
        return;
    }
    if (st->failed) {
        /* some statements (VACUUM, CALL with COMMIT) end what was before them, error or not: the server knows */
        st->due |= SESSION_DUE_ALL;
        roll_back(st);
    } else if (st->dirty) {
        commit(st);
    }
}

/* ---- what a text means ---- */

uint64_t session_parse_digest(const ParamSet *params, const Settings *settings)
{
    static const char *const reported[] = {"client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings", "IntervalStyle"};
    static const char *const others[] = {"array_nulls", "backslash_quote", "intervalstyle", "lc_monetary", "lc_numeric", "role",
                                         "search_path", "session_authorization", "timezone_abbreviations", "transform_null_equals", "xmloption"};
    uint64_t digest = 0;
    for (size_t i = 0; i < PW_ARRAY_LEN(reported); i++) {
        int at = params_index(reported[i]);
        const char *value = at >= 0 ? params_get(params, (unsigned)at) : NULL;
        if (value)
            digest ^= XXH3_64bits_withSeed(value, strlen(value), i + 1);
    }
    for (size_t i = 0; settings && i < PW_ARRAY_LEN(others); i++) {
        const char *value = settings_get(settings, others[i]);
        if (value)
            digest ^= XXH3_64bits_withSeed(value, strlen(value), i + 101);
    }
    return digest;
}

/* ---- probes ---- */

void session_state_probed(SessionState *st, unsigned pins)
{
    st->pins = (st->pins & ~(unsigned)SESSION_PINS_PROBED) | pins;
    st->due = 0;
}

void session_state_adopt(SessionState *st, const Settings *settings)
{
    drop_savepoints(st, 0);
    settings_unref(st->committed);
    st->committed = settings;
    set_working(st, settings_ref(settings));
}
