/* SPDX-License-Identifier: ISC */
/* console.h - what a running pooler has seen since its start, asked over its console. One thread. */
#ifndef ADVISOR_SOURCE_CONSOLE_H
#define ADVISOR_SOURCE_CONSOLE_H

#include "advisor/catalog/db.h"
#include "advisor/source/filter.h"
#include "advisor/source/tally.h"

/* `db` comes from adv_db_connect_console. *ret_note and *ret_why are on the arena; *ret_note may be NULL. */
PW_MUSTCHECK PwErr adv_source_console(AdvTally *tally, const AdvFilter *filter, AdvArena *arena, AdvDb *db, const char **ret_note, const char **ret_why);

#endif
