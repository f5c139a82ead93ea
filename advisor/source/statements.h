/* SPDX-License-Identifier: ISC */
/* statements.h - statements out of a live database. One thread. */
#ifndef ADVISOR_SOURCE_STATEMENTS_H
#define ADVISOR_SOURCE_STATEMENTS_H

#include "advisor/catalog/db.h"
#include "advisor/source/tally.h"

/* All that pg_stat_statements holds of the database that `db` is connected to. *ret_note (on the arena) tells what it hid, or is NULL. */
PW_MUSTCHECK PwErr adv_source_statements(AdvTally *tally, AdvArena *arena, AdvDb *db, const char **ret_note, const char **ret_why);

#endif
