/* SPDX-License-Identifier: ISC */
/* files.h - from what the user names (files, patterns, directories) to files, each once. One thread. */
#ifndef ADVISOR_SOURCE_FILES_H
#define ADVISOR_SOURCE_FILES_H

#include <stdbool.h>
#include <stdint.h>

#include "poolwise/err.h"
#include "poolwise/str.h"

typedef struct AdvFile {
    char *path;
    uint64_t size; /* 0: not known */
    uint64_t device, inode;
    bool named; /* by itself, not by a directory or pattern: it must be a log */
} AdvFile;

typedef struct AdvFiles {
    size_t n;
    AdvFile *items;
    uint64_t size; /* of all */
    uint64_t twins; /* files left out since they hold the same log in another form: x.log and x.json beside x.csv */
} AdvFiles;

/* PW_ERR_NOT_FOUND or PW_ERR_IO with *ret_why (to be freed). A directory stands for the files in it, not for those further down;
 * a directory and a pattern for regular files only. */
PW_MUSTCHECK PwErr adv_files_expand(const PwStrList *names, AdvFiles *ret_files, char **ret_why);
void adv_files_finish(AdvFiles *files);

/* Moves the files of SQL (*.sql, perhaps compressed) to `ret_scripts`. */
void adv_files_take_scripts(AdvFiles *files, AdvFiles *ret_scripts);

/* Where a file is now that was given another name in its directory (rotated), to be freed; NULL: it is gone. */
char *adv_files_moved(const AdvFile *file);

#endif
