/* SPDX-License-Identifier: ISC */
#include "pooler/auth/pam_check.h"

#include <stdio.h>

#ifndef HAVE_PAM

PwErr pam_check(const char *user, const char *password, const char *rhost, char *why, size_t size)
{
    (void)user;
    (void)password;
    (void)rhost;
    (void)snprintf(why, size, "built without PAM");
    return PW_ERR_UNSUPPORTED;
}

#else

#include <security/pam_appl.h>
#include <stdlib.h>
#include <string.h>

#include "poolwise/mem.h"

static void drop(struct pam_response *answers, int n)
{
    for (int i = 0; i < n; i++) {
        if (answers[i].resp)
            pw_wipe(answers[i].resp, strlen(answers[i].resp));
        free(answers[i].resp);
    }
    free(answers);
}

/* Answers the question for the password, and no other. The answers become PAM's, which frees them. */
static int converse(int n, const struct pam_message **messages, struct pam_response **ret_answers, void *arg)
{
    if (n <= 0 || n > PAM_MAX_NUM_MSG)
        return PAM_CONV_ERR;
    struct pam_response *answers = pw_xcalloc((size_t)n, sizeof(*answers));
    for (int i = 0; i < n; i++) {
        switch (messages[i]->msg_style) {
        case PAM_PROMPT_ECHO_OFF:
            answers[i].resp = pw_xstrdup(arg);
            break;
        case PAM_ERROR_MSG:
        case PAM_TEXT_INFO:
            break;
        default: /* a question that we have no answer to */
            drop(answers, n);
            return PAM_CONV_ERR;
        }
    }
    *ret_answers = answers;
    return PAM_SUCCESS;
}

PwErr pam_check(const char *user, const char *password, const char *rhost, char *why, size_t size)
{
    pam_handle_t *pam = NULL;
    char *copy = pw_xstrdup(password);
    struct pam_conv conv = {.conv = converse, .appdata_ptr = copy};
    const char *what = "pam_start";
    int rc = pam_start(PAM_CHECK_SERVICE, user, &conv, &pam);
    if (rc == PAM_SUCCESS && rhost) {
        what = "pam_set_item";
        rc = pam_set_item(pam, PAM_RHOST, rhost);
    }
    if (rc == PAM_SUCCESS) {
        what = "pam_authenticate";
        rc = pam_authenticate(pam, PAM_SILENT);
    }
    if (rc == PAM_SUCCESS) {
        what = "pam_acct_mgmt";
        rc = pam_acct_mgmt(pam, PAM_SILENT);
    }
    if (rc != PAM_SUCCESS)
        (void)snprintf(why, size, "%s() failed: %s", what, pam ? pam_strerror(pam, rc) : "no memory");
    if (pam)
        pam_end(pam, rc);
    pw_wipe(copy, strlen(copy));
    free(copy);
    return rc == PAM_SUCCESS ? PW_OK : PW_ERR_AUTH;
}

#endif
