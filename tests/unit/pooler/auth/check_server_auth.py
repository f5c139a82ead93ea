#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Logs in to a private PostgreSQL with every method and kind of secret. usage: check_server_auth.py PROGRAM"""
import base64
import glob
import hashlib
import hmac
import os
import pwd
import shutil
import subprocess
import sys
import tempfile

UNICODE = "p\u00e4ssw\u00f6rd \u2168\ufb01"  # SASLprep changes the last two characters


def bindir():
    found = glob.glob("/usr/lib/postgresql/15/bin") or sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    return found[-1] if found else None


def demote():
    """PostgreSQL refuses to run as root."""
    return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid} if os.geteuid() == 0 else {}


def client_key(secret, password):
    """ClientKey of a plain ASCII password for a stored verifier, by Python's own cryptography."""
    iterations, salt = secret.split("$")[1].split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(iterations))
    return hmac.digest(salted, b"Client Key", "sha256").hex()


class Server:
    def __init__(self, directory):
        self.dir, self.bin = directory, bindir()
        self.data = os.path.join(directory, "data")
        self.socket = os.path.join(directory, ".s.PGSQL.5432")
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C.UTF-8")
        with open(f"{self.data}/pg_hba.conf", "w", encoding="utf-8") as hba:
            for method in ("password", "md5", "scram-sha-256"):
                for kind in ("md5", "scram", "uni"):
                    hba.write(f"local all {method[:3]}_{kind} {method}\n")
            hba.write("local all all trust\n")
        self.run("pg_ctl", "-D", self.data, "-w", "-l", f"{directory}/log", "-o",
                 f"-c listen_addresses= -k {directory} -c fsync=off", "start")

    def run(self, program, *args, **more):
        return subprocess.run([f"{self.bin}/{program}", *args], check=True, cwd=self.dir, stdout=subprocess.PIPE,
                              text=True, **demote(), **more).stdout

    def sql(self, text):
        return self.run("psql", "-h", self.dir, "-U", "postgres", "-d", "postgres", "-qAtX", "-v", "ON_ERROR_STOP=1",
                        input=text, env={**os.environ, "PGCLIENTENCODING": "UTF8"}).strip()

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-w", "-m", "immediate", "stop")


def cases(server):
    """(user, secret, keys, expected first words)"""
    stored = {}
    for method in ("pas", "md5", "scr"):
        for kind, encryption, password in (("md5", "md5", "secret"), ("scram", "scram-sha-256", "secret"),
                                           ("uni", "scram-sha-256", UNICODE)):
            user = f"{method}_{kind}"
            server.sql(f"SET password_encryption = '{encryption}'; CREATE ROLE {user} LOGIN PASSWORD '{password}'")
            stored[user] = server.sql(f"SELECT rolpassword FROM pg_authid WHERE rolname = '{user}'")
    wrong = "failed: wrong password type"
    refused = "server: password authentication failed for user"
    scram, other = stored["scr_scram"], stored["md5_scram"]
    key = client_key(scram, "secret")
    return [
        ("postgres", "", None, "ok"),
        ("pas_md5", "secret", None, "ok"),
        ("pas_scram", "secret", None, "ok"),
        ("pas_uni", UNICODE, None, "ok"),
        ("pas_scram", "Secret", None, refused),
        ("pas_md5", stored["pas_md5"], None, wrong),
        ("pas_scram", "", None, "failed: no password to log in with"),
        ("md5_md5", "secret", None, "ok"),
        ("md5_md5", stored["md5_md5"], None, "ok"),
        ("md5_md5", "Secret", None, refused),
        ("md5_md5", stored["pas_md5"], None, refused),  # the hash of another name
        ("md5_scram", "secret", None, "ok"),  # the server turns to SCRAM
        ("md5_scram", other, client_key(other, "secret"), "ok"),
        ("scr_scram", "secret", None, "ok"),
        ("scr_scram", "Secret", None, refused),
        ("scr_uni", UNICODE, None, "ok"),
        ("scr_uni", "p\u00e4ssw\u00f6rd IXfi", None, "ok"),
        ("scr_md5", "secret", None, refused),  # the role has no verifier
        ("scr_scram", scram, key, "ok"),  # pass-through
        ("scr_scram", scram, None, wrong),
        ("scr_scram", scram, client_key(scram, "Secret"), refused),
        ("scr_scram", other, client_key(other, "secret"), "failed: SCRAM secret does not match the server's"),
    ]


def main():
    if not bindir():
        print("SKIPPED: no PostgreSQL server under /usr/lib/postgresql (apt-get install postgresql-15)")
        return 77
    directory = tempfile.mkdtemp(prefix="auth-")
    if demote():
        os.chown(directory, pwd.getpwnam("nobody").pw_uid, demote()["group"])
    server, failures, rows = None, 0, []
    try:
        server = Server(directory)
        rows = cases(server)
        for user, secret, key, want in rows:
            done = subprocess.run([sys.argv[1], server.socket, user, secret, *([key] if key else [])],
                                  capture_output=True, text=True, timeout=30, check=False)
            if not done.stdout.startswith(want) or (want == "ok" and done.stdout != "ok\n"):
                failures += 1
                print(f"{user} with {secret[:20]!a}: expected {want!r}, got {done.stdout!r} {done.stderr}")
    finally:
        if server:
            server.stop()
        shutil.rmtree(directory, ignore_errors=True)
    print(f"{len(rows)} logins, {failures} not as expected")
    return 1 if failures else 0


sys.exit(main())
