/* SPDX-License-Identifier: ISC */
#include "advisor/source/files.h"

#include <dirent.h>
#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "poolwise/mem.h"

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

static void add(AdvFiles *files, const char *path, const struct stat *st, bool named)
{
    bool regular = st && S_ISREG(st->st_mode);
    for (size_t i = 0; regular && i < files->n; i++) {
        AdvFile *other = &files->items[i];
        if (other->inode != (uint64_t)st->st_ino || other->device != (uint64_t)st->st_dev)
            continue;
        if (is_link(other->path) && !is_link(path)) { /* its own name says more */
            free(other->path);
            other->path = pw_xstrdup(path);
        }
        return; /* two patterns may name one file */
    }
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
    bool any = false;
    for (int i = 0; i < n; i++) {
        struct stat st;
        char *file = pw_xasprintf("%s/%s", path, entries[i]->d_name);
        bool wanted = stat(file, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0;
        if (wanted)
            add(files, file, &st, false);
        any = any || wanted;
        free(file);
        free(entries[i]);
    }
    free(entries);
    if (!any)
        *ret_why = pw_xasprintf("there is no file to read in %s", path);
    return any ? PW_OK : PW_ERR_NOT_FOUND;
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
        if (named || S_ISREG(st.st_mode)) /* nobody may ever write to a pipe that a pattern has found */
            add(files, name, &st, named);
        return PW_OK;
    }
    if (!named) { /* a link to nowhere, or gone in the meantime: whoever opens it says so */
        add(files, name, NULL, false);
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

/* "dir/pg.csv.1.gz" in parts: "dir/pg", the form, ".1". */
typedef struct Name {
    int rank; /* how much the form tells; 0: its name does not say */
    size_t len, stem; /* of all but ".gz"; of the first part */
    const char *rest;
    size_t rest_len;
} Name;

static bool ends_with(const char *text, size_t n, const char *end)
{
    size_t len = strlen(end);
    return n >= len && memcmp(text + n - len, end, len) == 0;
}

/* Without what a program that packs appends. */
static size_t unpacked_length(const char *path)
{
    static const char *const packed[] = {".gz", ".zst", ".xz"};
    size_t n = strlen(path);
    for (size_t i = 0; i < PW_ARRAY_LEN(packed); i++)
        n -= ends_with(path, n, packed[i]) ? strlen(packed[i]) : 0;
    return n;
}

static Name name_of(const char *path)
{
    static const char *const forms[] = {".log", ".json", ".csv"};
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    size_t n = unpacked_length(path);
    Name name = {0};
    for (size_t i = 0; i < PW_ARRAY_LEN(forms); i++)
        for (const char *at = base; (at = strstr(at, forms[i])); at++) {
            const char *rest = at + strlen(forms[i]);
            if (at > base && rest <= path + n && (rest == path + n || *rest == '.' || *rest == '-'))
                name = (Name){(int)i + 1, n, (size_t)(at - path), rest, (size_t)(path + n - rest)};
        }
    return name;
}

/* With log_destination = 'stderr,csvlog' the server writes everything twice: it must not count twice. The form that tells most is kept. */
static bool has_better_twin(const AdvFiles *files, const Name *names, size_t i)
{
    const Name own = names[i];
    for (size_t k = 0; own.rank && k < files->n; k++) {
        const Name other = names[k];
        const char *path = files->items[i].path, *other_path = files->items[k].path;
        if (other.rank <= own.rank)
            continue;
        if (other.stem == own.stem && other.rest_len == own.rest_len && strncmp(path, other_path, own.stem) == 0 && strncmp(own.rest, other.rest, own.rest_len) == 0)
            return true;
        if (other.stem == own.len && other.rest_len == 0 && strncmp(path, other_path, own.len) == 0) /* "pg.log.1" and "pg.log.1.csv", as RDS names them */
            return true;
    }
    return false;
}

static void drop_twins(AdvFiles *files)
{
    size_t kept = 0;
    bool *drop = pw_xcalloc(files->n + 1, sizeof(*drop));
    Name *names = pw_xcalloc(files->n + 1, sizeof(*names));
    for (size_t i = 0; i < files->n; i++)
        names[i] = name_of(files->items[i].path);
    for (size_t i = 0; i < files->n; i++)
        drop[i] = !files->items[i].named && has_better_twin(files, names, i);
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
    free(names);
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

void adv_files_take_scripts(AdvFiles *files, AdvFiles *ret_scripts)
{
    AdvFiles scripts = {.items = pw_xcalloc(files->n + 1, sizeof(*files->items))};
    size_t kept = 0;
    for (size_t i = 0; i < files->n; i++) {
        AdvFile *file = &files->items[i];
        bool script = ends_with(file->path, unpacked_length(file->path), ".sql");
        files->size -= script ? file->size : 0;
        *(script ? &scripts.items[scripts.n++] : &files->items[kept++]) = *file;
    }
    files->n = kept;
    *ret_scripts = scripts;
}

char *adv_files_moved(const AdvFile *file)
{
    const char *slash = strrchr(file->path, '/');
    char *folder = slash ? pw_xstrndup(file->path, (size_t)(slash - file->path) + 1) : pw_xstrdup("./"), *found = NULL;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && !found && (entry = readdir(dir));) {
        struct stat st;
        char *path = pw_xasprintf("%s%s", folder, entry->d_name);
        bool same = stat(path, &st) == 0 && S_ISREG(st.st_mode) && (uint64_t)st.st_ino == file->inode && (uint64_t)st.st_dev == file->device;
        if (same && (uint64_t)st.st_size >= file->size) /* a new file may get the number of one that was deleted; logs only grow */
            found = path;
        else
            free(path);
    }
    if (dir)
        closedir(dir);
    free(folder);
    return found;
}

void adv_files_finish(AdvFiles *files)
{
    for (size_t i = 0; i < files->n; i++)
        free(files->items[i].path);
    free(files->items);
    *files = (AdvFiles){0};
}
