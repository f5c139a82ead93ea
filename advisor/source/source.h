/* SPDX-License-Identifier: ISC */
/* source.h - scripts of SQL, read into the workload. One thread. */
#ifndef ADVISOR_SOURCE_SOURCE_H
#define ADVISOR_SOURCE_SOURCE_H

#include "advisor/workload.h"

/* A script of SQL statements; "-- weight: N" before a statement says how often it runs (else once). */
PW_MUSTCHECK PwErr adv_source_sql_file(AdvWorkload *workload, const char *path, const char **ret_note,
                                       const char **ret_why);

/* The same for text already in memory; `name` is for messages. */
void adv_source_sql_text(AdvWorkload *workload, const char *name, const char *text);

#endif
