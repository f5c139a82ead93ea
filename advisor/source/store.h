/* SPDX-License-Identifier: ISC */
/* store.h - summaries of a fleet in a PostgreSQL database (schema "poolwise"): each host adds its own, one report is made of all.
 *
 * The sums over hosts and days are made by that server, not here: what comes back has the size of one summary. One thread. */
#ifndef ADVISOR_SOURCE_STORE_H
#define ADVISOR_SOURCE_STORE_H

#include "advisor/catalog/db.h"
#include "advisor/source/tally.h"

/* Adds a summary in one transaction, under the name of where it comes from. Makes schema and tables when they are not there. `db` must be writable. */
PW_MUSTCHECK PwErr adv_store_write(AdvDb *db, AdvArena *arena, const AdvTally *tally, bool redact, const char *origin, const char **ret_why);

/* Adds all summaries to the tally. */
PW_MUSTCHECK PwErr adv_store_read(AdvDb *db, AdvArena *arena, AdvTally *tally, const char **ret_note, const char **ret_why);

#endif
