/* SPDX-License-Identifier: ISC */
/* An auth_file: whatever it holds, each user of the list is found again under the name, within the limits. */
#include "pooler/auth/userlist.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    PwDiag diags;
    UserList *list = NULL;
    pw_diag_init(&diags);
    if (userlist_parse("fuzz", (const char *)data, size, &list, &diags) != PW_OK)
        abort();
    for (size_t i = 0; i < userlist_count(list); i++) {
        const char *name;
        const Secret *secret = userlist_at(list, i, &name);
        if (userlist_find(list, name) != secret || !*name || strlen(name) > AUTH_USER_MAX ||
            strlen(secret->text) != secret->len || (secret->kind == SECRET_SCRAM) != (secret->scram != NULL))
            abort();
    }
    userlist_unref(list);
    pw_diag_finish(&diags);
    return 0;
}
