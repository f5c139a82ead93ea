#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Makes builtins_table.c: the functions of pg_catalog that may be called in SQL and leave the session as it is.

usage: builtins.py CONNINFO > builtins_table.c     (a PostgreSQL whose catalog is read with psql)"""
import re
import subprocess
import sys

QUERY = """
SELECT DISTINCT proname FROM pg_proc p
WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind IN ('f', 'a', 'w')
  AND NOT prorettype::regtype::text ~ '(trigger|internal|handler|cstring)$'
  AND NOT ('internal'::regtype = ANY (proargtypes::oid[])) AND NOT ('cstring'::regtype = ANY (proargtypes::oid[]))"""
# Of later versions than the catalog at hand; syntax that looks like a call is among them.
LATER = """any_value array_reverse array_sample array_shuffle array_sort casefold crc32 crc32c date_add date_subtract gamma
json json_array json_arrayagg json_exists json_objectagg json_query json_scalar json_serialize json_table json_value lgamma
merge_action parse_ident pg_basetype pg_column_toast_chunk_id pg_input_error_info pg_input_is_valid random_normal
system_user to_bin to_oct unicode_assigned unicode_version uuidv4 uuidv7 uuid_extract_timestamp uuid_extract_version
xmltext erf erfc""".split()

stateful = re.findall(r'^    \{"(\w+)", CLASS_\w+\},$', open(sys.argv[0].replace("builtins.py", "stmt_class.c"), encoding="utf-8").read(), re.M)
names = subprocess.run(["psql", "-XAt", "-d", sys.argv[1], "-c", QUERY], check=True, capture_output=True, text=True).stdout.split()
names = sorted((set(names) | set(LATER)) - set(stateful))
print("""/* SPDX-License-Identifier: ISC */
/* builtins_table.c - functions of pg_catalog that leave the session as it is. Made by builtins.py; sorted by strcmp. */
#include <stdlib.h>
#include <string.h>

#include "pooler/session/stmt_class.h"
#include "poolwise/err.h"

static const char *const names[] = {""")
line = "   "
for name in names:
    piece = f' "{name}",'
    if len(line) + len(piece) > 118:
        print(line)
        line = "   "
    line += piece
print(line)
print("""};

typedef struct Word {
    const char *text;
    size_t len;
} Word;

static int by_name(const void *key, const void *item)
{
    const Word *word = key;
    const char *name = *(const char *const *)item;
    int order = strncmp(word->text, name, word->len);
    return order == 0 && name[word->len] ? -1 : order;
}

bool builtin_is_harmless(const char *name, size_t len)
{
    const Word word = {name, len};
    return bsearch(&word, names, PW_ARRAY_LEN(names), sizeof(names[0]), by_name) != NULL;
}""")
