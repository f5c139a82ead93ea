/* SPDX-License-Identifier: ISC */
/* admin_hint.c - what a text that is no command was perhaps meant to be: the hint of its error. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "pooler/admin/admin_priv.h"
#include "pooler/config/params_table.h"

/* The next run of letters, digits and _; "" when there is none. Longer ones are cut: nothing is that long. */
static const char *next_name(const char *p, char *to, size_t size)
{
    size_t n = 0;
    p += strspn(p, " \t\r\n");
    for (; (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '_'; p++)
        if (n + 1 < size)
            to[n++] = *p;
    to[n] = '\0';
    return p;
}

/* A semicolon with something behind it, not in quotes. */
static bool is_several(const char *p)
{
    char quote = '\0';
    for (; *p; p++) {
        if (quote)
            quote = *p == quote ? '\0' : quote;
        else if (*p == '\'' || *p == '"')
            quote = *p;
        else if (*p == ';' && p[1 + strspn(p + 1, "; \t\r\n")])
            return true;
    }
    return false;
}

static const AdminView *nearest_view(const char *name)
{
    PwNearest nearest;
    pw_nearest_init(&nearest, name);
    for (size_t i = 0; admin_views[i]; i++)
        pw_nearest_offer(&nearest, admin_views[i]->name);
    const char *best = pw_nearest_get(&nearest);
    for (size_t i = 0; admin_views[i]; i++)
        if (admin_views[i]->name == best)
            return admin_views[i];
    return NULL;
}

static const char *nearest_command(const char *word)
{
    PwNearest nearest;
    pw_nearest_init(&nearest, word);
    for (size_t i = 0; i < admin_command_count(); i++)
        pw_nearest_offer(&nearest, admin_command_at(i)->word);
    return pw_nearest_get(&nearest);
}

/* For the names of views, which are written small in their rows. */
static void upper(char *p)
{
    for (; *p; p++)
        if (*p >= 'a' && *p <= 'z')
            *p = (char)(*p - 32);
}

/* Behind SHOW or SELECT. */
static bool hint_for_show(const char *name, char *to, size_t size)
{
    char what[40];
    if (!name[0])
        return false;
    if (pw_param_find(&config_params, name)) {
        snprintf(to, size, "SHOW CONFIG shows all options with their values");
        return true;
    }
    const AdminView *view = nearest_view(name);
    if (!view)
        return false;
    snprintf(what, sizeof(what), "%s", view->name);
    upper(what);
    if (strcasecmp(view->name, name) == 0)
        snprintf(to, size, "the command is SHOW %s%s", what, view->limit ? " [n]" : ", with nothing behind it");
    else
        snprintf(to, size, "did you mean SHOW %s?", what);
    return true;
}

bool admin_hint(const char *sql, char *to, size_t size)
{
    char word[64], arg[64];
    const char *rest = next_name(sql, word, sizeof(word));
    (void)next_name(rest, arg, sizeof(arg));
    if (is_several(sql)) {
        snprintf(to, size, "one command at a time");
        return true;
    }
    if (strcasecmp(word, "set") == 0) {
        snprintf(to, size, "SET key = value; a value with other characters than letters, digits and _ stands in quotes: SET stats_users = 'a,b'");
        return true;
    }
    const AdminCommand *command = admin_command_find(word);
    if (command && command->run == admin_cmd_show) {
        if (hint_for_show(arg, to, size))
            return true;
        if (strcasecmp(word, "select") != 0)
            return false;
    } else if (command && command->usage) {
        snprintf(to, size, "the command is %s", command->usage);
        return true;
    } else if (word[0] && nearest_command(word)) {
        snprintf(to, size, "did you mean %s?", nearest_command(word));
        return true;
    }
    snprintf(to, size, "this is the console of the pooler, not a database: it runs no SQL");
    return true;
}
