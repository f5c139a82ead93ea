# SPDX-License-Identifier: ISC
"""Lower layers never include upper ones; each third-party library has the one folder that may know it."""
import re

import pytest

# Folders in order: one may include itself and what stands in earlier rows. Folders of a row do not know each other,
# except the data path and the parts above it, where "knows" lists what may be included.
LAYERS = {
    "common/base": [],
    "common/wire": ["common/base"],
    "common/workload": ["common/base"],
    "pooler/net": ["common"],
    "pooler/config": ["common"],
    "pooler/auth": ["common", "pooler/config"],
    "pooler/session": ["common"],
    # Observes the data path but knows nothing of it: the relay tells it what passes.
    "pooler/capture": ["common", "pooler/net", "pooler/config"],
    "pooler/pool": ["common", "pooler/net", "pooler/config", "pooler/auth", "pooler/session"],
    "pooler/server": ["common", "pooler/net", "pooler/config", "pooler/auth", "pooler/session", "pooler/capture", "pooler/pool"],
    "pooler/listen": ["common", "pooler/net", "pooler/config", "pooler/auth", "pooler/session", "pooler/capture", "pooler/pool", "pooler/server"],
    "pooler/relay": ["common", "pooler/net", "pooler/config", "pooler/auth", "pooler/session", "pooler/capture", "pooler/pool",
                     "pooler/server", "pooler/listen"],
    "pooler/client": ["common", "pooler/net", "pooler/config", "pooler/auth", "pooler/session", "pooler/capture", "pooler/pool",
                      "pooler/server", "pooler/listen", "pooler/relay"],
    "pooler/metrics": ["common", "pooler/net", "pooler/config", "pooler/pool", "pooler/server", "pooler/client"],
    "pooler/admin": ["common", "pooler/net", "pooler/config", "pooler/auth", "pooler/session", "pooler/pool", "pooler/server",
                     "pooler/listen", "pooler/relay", "pooler/client", "pooler/capture", "pooler/metrics"],
    "pooler/app": ["common", "pooler"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def includes(root, path):
    return INCLUDE.findall((root / path).read_text(encoding="utf-8"))


def folder_of(path):
    parts = path.parts
    return "/".join(parts[:2]) if parts[0] in ("common", "pooler") and len(parts) > 2 else parts[0]


@pytest.mark.parametrize("folder", sorted(LAYERS))
def test_lower_never_includes_upper(root, sources, folder):
    wrong = []
    for path in sources:
        if folder_of(path) != folder:
            continue
        for _, target in includes(root, path):
            if not target.startswith(("common/", "pooler/", "advisor/")):
                continue
            if not any(target.startswith(allowed + "/") for allowed in [folder, *LAYERS[folder]]):
                wrong.append(f"{path} includes {target}")
    assert not wrong


def test_every_folder_has_its_layer(sources):
    folders = {folder_of(p) for p in sources if p.parts[0] in ("common", "pooler") and len(p.parts) > 2}
    assert folders <= set(LAYERS)


def test_common_knows_neither_program(root, sources):
    wrong = [f"{p}: {t}" for p in sources if p.parts[0] in ("common", "include") for _, t in includes(root, p)
             if t.startswith(("pooler/", "advisor/"))]
    assert not wrong


def test_the_programs_do_not_know_each_other(root, sources):
    wrong = [f"{p}: {t}" for p in sources for _, t in includes(root, p)
             if (p.parts[0] == "advisor" and t.startswith("pooler/")) or (p.parts[0] == "pooler" and t.startswith("advisor/"))]
    assert not wrong


@pytest.mark.parametrize("header, folder", [("pg_query", "advisor/sql"), ("libpq-fe.h", "advisor/catalog")])
def test_one_folder_for_a_library(root, sources, header, folder):
    """pooler/config may use libpq's parser of connection strings: the design gives URIs to it."""
    extra = ("pooler/config/",) if header == "libpq-fe.h" else ()
    wrong = [str(p) for p in sources for _, t in includes(root, p)
             if t.startswith(header) and not str(p).startswith((folder + "/", *extra))]
    assert not wrong


def test_only_net_and_above_know_libevent(root, sources):
    wrong = [str(p) for p in sources for _, t in includes(root, p)
             if t.startswith("event2/") and (p.parts[0] != "pooler" or folder_of(p) in ("pooler/config", "pooler/auth", "pooler/session"))]
    assert not wrong


def test_wire_and_session_know_no_sockets(root, sources):
    wrong = [f"{p}: {t}" for p in sources for _, t in includes(root, p)
             if folder_of(p) in ("common/wire", "pooler/session", "pooler/auth") and t in ("sys/socket.h", "netinet/in.h", "event2/event.h")]
    assert not wrong
