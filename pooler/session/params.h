/* SPDX-License-Identifier: ISC */
/* params.h - the reported parameters (GUC_REPORT) that follow a client from server to server.
 *
 * ParamNames is the list that is tracked, made once at start. A ParamSet holds values of one client or one
 * server; two sets with equal digests hold equal values, so linking costs one comparison. No locks: a set
 * belongs to whoever embeds it. */
#ifndef POOLER_SESSION_PARAMS_H
#define POOLER_SESSION_PARAMS_H

#include <stdbool.h>
#include <stdint.h>

#include "poolwise/buf.h"
#include "poolwise/str.h"

#define PARAMS_MAX 16 /* bits of Relay.changed */

/* Places of the first names of the list. */
enum { PARAM_CLIENT_ENCODING, PARAM_DATESTYLE, PARAM_TIMEZONE, PARAM_STANDARD_CONFORMING_STRINGS, PARAM_APPLICATION_NAME };

/* The process's list: client_encoding, DateStyle, TimeZone, standard_conforming_strings, application_name and
 * `extra` (track_extra_parameters); a `*` there stands for all others that PostgreSQL reports and a session may set, and
 * takes in those that it does not report. Called once, before any thread. */
void params_names_init(const PwStrList *extra);
bool params_take_all(void); /* `*`: a start-up packet may have any parameter */
unsigned params_count(void);
const char *params_name(unsigned i);
const char *params_setting(unsigned i); /* its name in a Settings (settings_name) */
int params_index(const char *name); /* -1: not tracked; ASCII case ignored */

typedef struct ParamSet {
    uint64_t digest;
    const struct ParamValues *values; /* NULL: none is known; may be shared with other sets, on any thread */
    bool backslashes; /* standard_conforming_strings is off: they escape in '...' */
} ParamSet;

void params_init(ParamSet *set);
void params_finish(ParamSet *set);
void params_set(ParamSet *set, unsigned i, const char *value);
const char *params_get(const ParamSet *set, unsigned i);
void params_copy(ParamSet *to, const ParamSet *from);
void params_fill_unset(ParamSet *to, const ParamSet *from); /* only what `to` does not know */

/* Appends "SET name='value';" for each value of `wanted` that `server` has differently; true if any.
 * `all`: for the equal ones too, because the server is about to lose its values.
 * Values that the server never reported are left out: it does not have the parameter. */
bool params_diff(const ParamSet *server, const ParamSet *wanted, bool all, PwBuf *sql);

#endif
