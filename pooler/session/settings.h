/* SPDX-License-Identifier: ISC */
/* settings.h - session settings that no server reports (SET work_mem, SET ROLE, set_config): what one session has set.
 *
 * A Settings is immutable and counted, so that a client's committed state, its savepoints and the servers that carry the
 * same settings share one, and "does this server have what this client wants?" is one comparison of pointers in the usual
 * case. NULL is the empty set. Names are lower case, in order; `role` and `session_authorization` are settings like others
 * but are replayed in an order of their own. References may be given back on any thread. */
#ifndef POOLER_SESSION_SETTINGS_H
#define POOLER_SESSION_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "poolwise/buf.h"

/* Most bytes of one session's settings; past it the client is pinned. */
#define SETTINGS_MAX_BYTES (64 * 1024)

typedef struct Settings Settings;

typedef struct Setting {
    const char *name, *value;
    bool flat; /* value is the text itself (set_config); else SQL behind "SET name TO" */
} Setting;

const Settings *settings_ref(const Settings *s); /* NULL is fine */
void settings_unref(const Settings *s);

/* One setting replaced, added or (value NULL) removed: *set is exchanged for the set that has it, and stays the very same when that
 * changes nothing. False: it would be larger than SETTINGS_MAX_BYTES; *set is as it was. `name` as settings_name spells it; name and
 * value may lie in *set. The caller alone uses the reference *set; other references to the same set see no change. */
bool settings_put(const Settings **set, const char *name, const char *value, bool flat);

bool settings_equal(const Settings *a, const Settings *b);
/* Walks the settings in order: *pos starts at 0. False: no more. */
bool settings_next(const Settings *s, size_t *pos, Setting *ret);
/* The value of a name, NULL when it is not set. */
const char *settings_get(const Settings *s, const char *name);

/* A name as it is kept here: lower case (of ASCII), and the new name of an old one (sort_mem). Allocated. */
char *settings_name(const char *spelled);
/* It belongs to the transaction, or to nobody (SEED cannot be asked for): never part of a Settings. */
bool settings_name_passes(const char *name);

/* role or session_authorization. */
bool settings_is_identity(const char *name);

/* Some name or value is not plain ASCII: it means something only in the client_encoding that it was written in. */
bool settings_beyond_ascii(const Settings *s);
/* search_path names pg_temp: a CREATE may make something temporary without saying so. */
bool settings_temp_path(const Settings *s);
bool settings_mention_temp(const char *text, size_t n);

/* SQL that turns a server with `from` into one with `to`, in three parts that must stand in this order: what gives up role
 * and user; RESETs; what sets, role and user last. True if anything was appended. */
bool settings_sql_before(const Settings *from, const Settings *to, PwBuf *sql);
bool settings_sql_resets(const Settings *from, const Settings *to, PwBuf *sql);
bool settings_sql_after(const Settings *from, const Settings *to, PwBuf *sql);
/* Some RESET is among them: then what connect_query had set may be gone too. */
bool settings_resets(const Settings *from, const Settings *to);

/* A string literal that reads the same whatever standard_conforming_strings and client_encoding are. It may begin and end
 * with a dollar sign: a space or punctuation must stand around it. */
void settings_append_literal(PwBuf *sql, const char *value);
/* A quoted identifier: the name as it is, whatever its case. */
void settings_append_identifier(PwBuf *sql, const char *name);

/* Bytes of all Settings of the process (SHOW MEM). Any thread. */
uint64_t settings_bytes(void);

#endif
