/* SPDX-License-Identifier: ISC */
/* view_users.h - which users SHOW USERS and SHOW LISTS know. */
#ifndef POOLER_ADMIN_VIEW_USERS_H
#define POOLER_ADMIN_VIEW_USERS_H

#include "pooler/admin/admin_priv.h"

/* By name, each once. The caller frees the array; the names live as long as config and list. */
const char **admin_users(const Config *config, const UserList *list, size_t *ret_n);

#endif
