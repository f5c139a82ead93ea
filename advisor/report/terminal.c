/* SPDX-License-Identifier: ISC */
#include "advisor/report/terminal.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "advisor/text.h"

#define INDENT 14 /* where the text behind a label begins */
#define COLUMNS_MIN 40

/* What a line begins with tells what it is. */
typedef struct Look {
    const char *begins;
    const char *colour; /* of the words that it begins with, or of the whole line */
    bool line;
    bool whole;         /* never broken */
} Look;

static const Look labels[] = {
    {"    do        ", "36", true, true},      {"    undo      ", "2", true, true},   {"    why       ", "2", false, false}, {"    serves    ", "2", false, false},
    {"    saves     ", "2", false, false},     {"    size      ", "2", false, false}, {"    writes    ", "2", false, false}, {"    visible   ", "2", false, false},
    {"    frees     ", "2", false, false},     {"    trust     ", "2", false, false}, {"    wrong if  ", "2", false, false}, {"    seen in   ", "2", false, false},
    {"    then      ", "2", false, false},     {"Index advice ", "1", true, false},   {"note: ", "33", false, false},        {"Nothing ", "1", true, false},
    {"What ", "1", true, false},               {"Expensive ", "1", true, false},      {"Left out ", "1", true, false},       {"The order ", "1", true, false},
};

/* "3. CREATE an index on ...", "4. DROP index ...", "5. missing statistics ..." */
static const char *heading_colour(const char *line, size_t n)
{
    size_t i = 0;
    while (i < n && line[i] >= '0' && line[i] <= '9')
        i++;
    if (i == 0 || n - i < 8 || line[i] != '.' || line[i + 1] != ' ')
        return NULL;
    return memcmp(line + i + 2, "CREATE", 6) == 0 ? "1;32" : memcmp(line + i + 2, "DROP", 4) == 0 ? "1;33" : "1;35";
}

static const Look *look_of(const char *line, size_t n)
{
    for (size_t i = 0; i < PW_ARRAY_LEN(labels); i++)
        if (n >= strlen(labels[i].begins) && memcmp(line, labels[i].begins, strlen(labels[i].begins)) == 0)
            return &labels[i];
    return NULL;
}

/* Adds the character at p, of which n bytes are left, and returns how many it took. */
static size_t add_character(AdvText *text, const char *p, size_t n)
{
    unsigned char c = (unsigned char)*p;
    if (c < 0x20 || c == 0x7f) {
        adv_text_add(text, "?");
        return 1;
    }
    if (c == 0xc2 && n > 1 && (unsigned char)p[1] < 0xa0) { /* the controls of Latin 1, which some terminals obey */
        adv_text_add(text, "?");
        return 2;
    }
    size_t len = 1;
    while (len < n && len < 4 && c >= 0xc0 && ((unsigned char)p[len] & 0xc0) == 0x80)
        len++;
    adv_text_add_n(text, p, len);
    return len;
}

static int width_of(const char *p, size_t n)
{
    int width = 0;
    for (size_t i = 0; i < n; i++)
        width += ((unsigned char)p[i] & 0xc0) != 0x80;
    return width;
}

/* Words of the line from `start`, broken at blanks where they do not fit. */
static void add_words(AdvText *text, const char *line, size_t n, size_t start, int columns, int indent)
{
    int column = (int)start;
    for (size_t at = start; at < n;) {
        size_t word = at, end;
        while (word < n && line[word] == ' ')
            word++;
        for (end = word; end < n && line[end] != ' '; end++)
            ;
        if (columns > 0 && at > start && column + width_of(line + at, end - at) > columns) {
            adv_text_addf(text, "\n%*s", indent, "");
            column = indent;
            at = word;
        }
        column += width_of(line + at, end - at);
        while (at < end)
            at += add_character(text, line + at, end - at);
    }
}

static int indent_of(const char *line, size_t n, const Look *look)
{
    size_t blanks = 0;
    while (blanks < n && line[blanks] == ' ')
        blanks++;
    if (look && look->begins[0] == ' ')
        return INDENT;
    return (int)blanks + (blanks < INDENT ? 2 : 0);
}

static void add_line(AdvText *text, const char *line, size_t n, int columns, bool colours)
{
    const Look *look = look_of(line, n);
    const char *heading = heading_colour(line, n), *colour = heading ? heading : look ? look->colour : NULL;
    size_t label = heading || (look && look->line) ? 0 : look ? strlen(look->begins) : 0;
    if (colours && colour)
        adv_text_addf(text, "\033[%sm", colour);
    adv_text_add_n(text, line, label);
    if (colours && colour && label > 0)
        adv_text_add(text, "\033[0m");
    add_words(text, line, n, label, look && look->whole ? 0 : columns, indent_of(line, n, look));
    if (colours && colour && label == 0)
        adv_text_add(text, "\033[0m");
    adv_text_add(text, "\n");
}

const char *adv_for_terminal(AdvArena *arena, const char *report, int columns, bool colours)
{
    AdvText text;
    adv_text_init(&text, arena);
    if (columns > 0 && columns < COLUMNS_MIN)
        columns = COLUMNS_MIN;
    for (const char *p = report; *p;) {
        size_t n = strcspn(p, "\n");
        add_line(&text, p, n, columns, colours);
        p += n + (p[n] == '\n');
    }
    return adv_text_get(&text);
}

int adv_terminal_columns(void)
{
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return 0;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

bool adv_terminal_has_colours(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    return !(no && *no) && term && strcmp(term, "dumb") != 0;
}
