/* SPDX-License-Identifier: ISC */
/* userlist.h - the users of an auth_file, PgBouncer's format: "user" "secret", one a line.
 *
 * Inside quotes "" is one quote; what follows the secret is ignored; a line that starts with ';' is a comment.
 * A malformed line ends the reading, the users before it stay. The last line of a user wins.
 * Immutable and atomically reference-counted: RELOAD loads a new list and drops its reference to
 * the old one, sessions that still use it keep it alive. Any thread. */
#ifndef POOLER_AUTH_USERLIST_H
#define POOLER_AUTH_USERLIST_H

#include <stdbool.h>
#include <stddef.h>

#include "pooler/auth/secrets.h"
#include "poolwise/diag.h"
#include "poolwise/err.h"

#define USERLIST_FILE_MAX (256u * 1024 * 1024) /* bytes; a larger file is not read */

typedef struct UserList UserList;

/* Reads a file. What is wrong with it goes to diags with its line (a malformed line is an error there, yet the
 * call gives PW_OK and a list). PW_ERR_IO (errno says why) or PW_ERR_TOO_LARGE: no list; a diag tells. */
PW_MUSTCHECK PwErr userlist_load(const char *path, UserList **ret_list, PwDiag *diags);

/* The same from memory; `name` stands for the file in diags. */
PW_MUSTCHECK PwErr userlist_parse(const char *name, const char *text, size_t len, UserList **ret_list,
                                  PwDiag *diags);

/* A list without users (auth_file unset). */
UserList *userlist_create_empty(void);

UserList *userlist_ref(UserList *list); /* returns list */
void userlist_unref(UserList *list);    /* the last one wipes and frees; NULL is fine */

/* The user's secret or NULL when there is no such user. It lives as long as the list. */
const Secret *userlist_find(const UserList *list, const char *user);

/* Is the file of `fresh` empty or malformed, as one that is just being written, and lacks a user of `old`? *ret_user: the first one, as
 * long as `old` lives. */
bool userlist_loses(const UserList *fresh, const UserList *old, const char **ret_user);

/* Walk in file order: 0 .. count-1 (SHOW USERS). */
size_t userlist_count(const UserList *list);
const Secret *userlist_at(const UserList *list, size_t i, const char **ret_user);

#endif
