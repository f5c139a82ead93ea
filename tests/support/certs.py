# SPDX-License-Identifier: ISC
"""Authorities and certificates for the tests, made with the openssl command in a temporary directory."""
import os
import subprocess

from .util import run_as, server_user


class Certs:
    """Two authorities, `ca` and `other`; each signs sites on demand. Files belong to the servers' account."""

    def __init__(self, directory):
        self.dir = directory
        for name in ("ca", "other"):
            self._openssl("req", "-x509", *self._new_key(name), "-days", "30", "-subj", f"/CN=Poolwise test {name}", "-out",
                          self.path(name, "crt"), "-addext", "basicConstraints=critical,CA:TRUE")

    def path(self, name, kind):
        return os.path.join(self.dir, f"{name}.{kind}")

    def _openssl(self, *args):
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.dir, **run_as(server_user()))

    def _new_key(self, name):
        return ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", self.path(name, "key"))

    def site(self, name, cn, san=None, ca="ca", digest="sha256", key=None, days=30):
        """Makes NAME.crt and NAME.key (kept when there already); returns their paths."""
        crt, keyfile = self.path(name, "crt"), self.path(name, "key")
        if not os.path.exists(crt):
            new = ("-newkey", "rsa:2048", "-nodes", "-keyout", keyfile) if key == "rsa" else self._new_key(name)
            self._openssl("req", *new, "-subj", f"/CN={cn}", "-out", self.path(name, "csr"))
            ext = self.path(name, "ext")
            with open(ext, "w", encoding="utf-8") as f:
                f.write("basicConstraints=CA:FALSE\n" + (f"subjectAltName={san}\n" if san else ""))
            self._openssl("x509", "-req", "-in", self.path(name, "csr"), "-CA", self.path(ca, "crt"), "-CAkey",
                          self.path(ca, "key"), "-CAcreateserial", "-days", str(days), f"-{digest}", "-extfile", ext, "-out", crt)
            os.chmod(ext, 0o644)
        return crt, keyfile

    @property
    def ca(self):
        return self.path("ca", "crt")

    @property
    def other_ca(self):
        return self.path("other", "crt")

    def server_settings(self):
        """What a PostgreSQL needs to speak TLS."""
        crt, key = self.site("postgres", "localhost", "DNS:localhost,IP:127.0.0.1")
        return {"ssl": "on", "ssl_cert_file": crt, "ssl_key_file": key, "ssl_ca_file": self.ca}

    def client_settings(self, mode="require", name="server", **more):
        """What a pooler needs to speak TLS with clients."""
        crt, key = self.site(name, "localhost", "DNS:localhost,IP:127.0.0.1")
        return {"client_tls_sslmode": mode, "client_tls_cert_file": crt, "client_tls_key_file": key,
                "client_tls_ca_file": self.ca, **more}
