/* SPDX-License-Identifier: ISC */
/* source.h - the places where statements come from. Each reads one file into the workload. One thread. */
#ifndef ADVISOR_SOURCE_SOURCE_H
#define ADVISOR_SOURCE_SOURCE_H

#include "advisor/workload.h"

/* The query log of the pooler (JSON lines). Bad lines are skipped; *ret_note tells of them, or is NULL. */
PW_MUSTCHECK PwErr adv_source_pooler_log(AdvWorkload *workload, const char *path, const char **ret_note,
                                         const char **ret_why);

/* Any log: of PostgreSQL (stderr, csvlog, jsonlog), pg_stat_statements as CSV, or the query log of the pooler, told apart by the first
 * line. "-" is standard input (not for the pooler's). */
PW_MUSTCHECK PwErr adv_source_log(AdvWorkload *workload, const char *path, const char **ret_note, const char **ret_why);

/* The same of PostgreSQL's forms for text in memory. PW_ERR_UNSUPPORTED when it is none of them. */
PW_MUSTCHECK PwErr adv_source_log_text(AdvWorkload *workload, const char *text, size_t len, const char **ret_note);

/* A script of SQL statements; "-- weight: N" before a statement says how often it runs (else once). */
PW_MUSTCHECK PwErr adv_source_sql_file(AdvWorkload *workload, const char *path, const char **ret_note,
                                       const char **ret_why);

/* The same for text already in memory; `name` is for messages. */
void adv_source_sql_text(AdvWorkload *workload, const char *name, const char *text);

#endif
