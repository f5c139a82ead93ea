/* SPDX-License-Identifier: ISC */
#include "pooler/app/machine.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "poolwise/mem.h"
#include "poolwise/str.h"

static void check_folder(const Config *config, PwDiag *diags, const char *option, const char *folder)
{
    struct stat st;
    if (stat(folder, &st) < 0)
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0, "make the folder, or name another one", "%s: \"%s\": %s", option, folder,
                    strerror(errno));
    else if (!S_ISDIR(st.st_mode))
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0, NULL, "%s: \"%s\" is no folder", option, folder);
}

/* The folder must be there; the file is made by the pooler. */
static void check_file(const Config *config, PwDiag *diags, const char *option, const char *path)
{
    struct stat st;
    if (pw_str_is_empty(path))
        return;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0, "name a file in it", "%s: \"%s\" is a folder", option, path);
        return;
    }
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path)
        return;
    char *folder = pw_xstrndup(path, (size_t)(slash - path));
    check_folder(config, diags, option, folder);
    free(folder);
}

static void check_names(const Config *config, PwDiag *diags)
{
    if (!pw_str_is_empty(config->user) && getpwnam(config->user) == NULL)
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0, NULL, "user: this machine has no user \"%s\"", config->user);
    if (!pw_str_is_empty(config->unix_socket_group) && getgrnam(config->unix_socket_group) == NULL)
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0, NULL, "unix_socket_group: this machine has no group \"%s\"",
                    config->unix_socket_group);
}

static void check_address(const Config *config, PwDiag *diags, const char *name)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *found = NULL;
    if (strcmp(name, "*") == 0)
        return;
    int rc = getaddrinfo(name, NULL, &hints, &found);
    if (rc == 0)
        freeaddrinfo(found);
    else
        pw_diag_add(diags, PW_DIAG_WARNING, config->conffile, 0,
                    name[0] == '[' ? "an address of IPv6 is written without brackets" : NULL, "listen_addr: \"%s\": %s", name,
                    rc == EAI_SYSTEM ? strerror(errno) : gai_strerror(rc));
}

void machine_check(const Config *config, PwDiag *diags)
{
    if (!pw_str_is_empty(config->unix_socket_dir) && config->unix_socket_dir[0] != '@')
        check_folder(config, diags, "unix_socket_dir", config->unix_socket_dir);
    check_file(config, diags, "logfile", config->logfile);
    check_file(config, diags, "pidfile", config->pidfile);
    check_file(config, diags, "query_log", config->query_log);
    check_names(config, diags);
    for (size_t i = 0; i < config->listen_addr.n; i++)
        check_address(config, diags, config->listen_addr.items[i]);
}
