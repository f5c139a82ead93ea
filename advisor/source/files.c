/* SPDX-License-Identifier: ISC */
#include "advisor/source/files.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "poolwise/mem.h"

static void add(AdvFiles *files, const char *path, const struct stat *st, bool named)
{
    bool regular = st && S_ISREG(st->st_mode);
    for (size_t i = 0; regular && i < files->n; i++)
        if (files->items[i].inode == (uint64_t)st->st_ino && files->items[i].device == (uint64_t)st->st_dev)
            return; /* two patterns may name one file */
    files->items = pw_xrealloc(files->items, (files->n + 1) * sizeof(*files->items));
    files->items[files->n++] = (AdvFile){.path = pw_xstrdup(path), .named = named, .size = regular ? (uint64_t)st->st_size : 0,
                                         .device = regular ? (uint64_t)st->st_dev : 0, .inode = regular ? (uint64_t)st->st_ino : 0};
    files->size += regular ? (uint64_t)st->st_size : 0;
}

static int no_directories(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static PwErr add_directory(AdvFiles *files, const char *path, char **ret_why)
{
    struct dirent **entries;
    int n = scandir(path, &entries, no_directories, alphasort);
    if (n < 0) {
        *ret_why = pw_xasprintf("cannot open %s: %s", path, strerror(errno));
        return PW_ERR_IO;
    }
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *file = pw_xasprintf("%s/%s", path, entries[i]->d_name);
        if (stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
            add(files, file, &st, false);
        free(file);
        free(entries[i]);
    }
    free(entries);
    return PW_OK;
}

static PwErr add_name(AdvFiles *files, const char *name, bool named, char **ret_why)
{
    struct stat st;
    if (strcmp(name, "-") == 0) {
        add(files, name, NULL, true);
        return PW_OK;
    }
    if (stat(name, &st) == 0) {
        if (S_ISDIR(st.st_mode))
            return add_directory(files, name, ret_why);
        add(files, name, &st, named);
        return PW_OK;
    }
    *ret_why = pw_xasprintf("cannot open %s: %s", name, strerror(errno));
    return PW_ERR_IO;
}

static PwErr add_pattern(AdvFiles *files, const char *pattern, char **ret_why)
{
    glob_t found = {0};
    PwErr err = PW_OK;
    if (glob(pattern, 0, NULL, &found) != 0) {
        *ret_why = pw_xasprintf("no file is named as \"%s\"", pattern);
        err = PW_ERR_NOT_FOUND;
    }
    for (size_t i = 0; !err && i < found.gl_pathc; i++)
        err = add_name(files, found.gl_pathv[i], false, ret_why);
    globfree(&found);
    return err;
}

static int rank(const char *path)
{
    size_t n = strlen(path);
    return n > 4 && strcmp(path + n - 4, ".csv") == 0 ? 3 : n > 5 && strcmp(path + n - 5, ".json") == 0 ? 2 : n > 4 && strcmp(path + n - 4, ".log") == 0 ? 1 : 0;
}

/* With log_destination = 'stderr,csvlog' the server writes everything twice: it must not count twice. The form that tells most is kept. */
static bool has_better_twin(const AdvFiles *files, size_t i)
{
    const char *path = files->items[i].path;
    int own = rank(path);
    size_t stem = strlen(path) - (own == 2 ? 5 : 4);
    for (size_t k = 0; own && k < files->n; k++) {
        int other = rank(files->items[k].path);
        size_t n = strlen(files->items[k].path) - (other == 2 ? 5 : 4);
        if (other > own && n == stem && strncmp(path, files->items[k].path, stem) == 0)
            return true;
    }
    return false;
}

static void drop_twins(AdvFiles *files)
{
    size_t kept = 0;
    bool *drop = pw_xcalloc(files->n + 1, sizeof(*drop));
    for (size_t i = 0; i < files->n; i++)
        drop[i] = !files->items[i].named && has_better_twin(files, i);
    for (size_t i = 0; i < files->n; i++) {
        if (!drop[i]) {
            files->items[kept++] = files->items[i];
            continue;
        }
        files->twins++;
        files->size -= files->items[i].size;
        free(files->items[i].path);
    }
    files->n = kept;
    free(drop);
}

PwErr adv_files_expand(const PwStrList *names, AdvFiles *ret_files, char **ret_why)
{
    AdvFiles files = {0};
    PwErr err = PW_OK;
    struct stat st;
    for (size_t i = 0; !err && i < names->n; i++) {
        const char *name = names->items[i];
        bool pattern = strpbrk(name, "*?[") && stat(name, &st) != 0;
        err = pattern ? add_pattern(&files, name, ret_why) : add_name(&files, name, true, ret_why);
    }
    if (err) {
        adv_files_finish(&files);
        return err;
    }
    drop_twins(&files);
    *ret_files = files;
    return PW_OK;
}

void adv_files_finish(AdvFiles *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (AdvFiles){0};
}
