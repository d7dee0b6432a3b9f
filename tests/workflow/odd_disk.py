"""File systems that lack what a local disk has: a library that answers for one, by LD_PRELOAD."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from needs import lacking

# $ODD names what is odd. Paths are looked at where a real disk must go on working.
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int odd(const char *what) {
    const char *all = getenv("ODD");
    return all && strstr(all, what) != NULL;
}
static int fail(int error) { errno = error; return -1; }
#define REAL(name) dlsym(RTLD_NEXT, name)

int flock(int fd, int how) {
    if (odd("no-locks")) return fail(ENOLCK);
    if (odd("locks-denied")) return fail(EAGAIN);
    return ((int (*)(int, int))REAL("flock"))(fd, how);
}
static int lock(int command) {
    return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK;
}
int fcntl(int fd, int command, ...) {
    va_list list; va_start(list, command); void *more = va_arg(list, void *); va_end(list);
    if (lock(command) && odd("lock")) return fail(ENOLCK);
    return ((int (*)(int, int, void *))REAL("fcntl"))(fd, command, more);
}
int fcntl64(int fd, int command, ...) {
    va_list list; va_start(list, command); void *more = va_arg(list, void *); va_end(list);
    if (lock(command) && odd("lock")) return fail(ENOLCK);
    return ((int (*)(int, int, void *))REAL("fcntl64"))(fd, command, more);
}
int fsync(int fd) {
    struct stat now;
    if (odd("no-fsync")) return fail(EINVAL);
    if (odd("fsync-fails")) return fail(EIO);
    if (odd("no-folder-fsync") && fstat(fd, &now) == 0 && S_ISDIR(now.st_mode)) return fail(EINVAL);
    return ((int (*)(int))REAL("fsync"))(fd);
}
int chmod(const char *path, mode_t mode) {
    if (odd("chmod-refused")) return fail(EPERM);
    if (odd("chmod-forgotten")) return 0;
    return ((int (*)(const char *, mode_t))REAL("chmod"))(path, mode);
}
int fchmod(int fd, mode_t mode) {
    if (odd("chmod-refused")) return fail(EPERM);
    if (odd("chmod-forgotten")) return 0;
    return ((int (*)(int, mode_t))REAL("fchmod"))(fd, mode);
}
int fchmodat(int folder, const char *path, mode_t mode, int flags) {
    if (odd("chmod-refused")) return fail(EPERM);
    if (odd("chmod-forgotten")) return 0;
    return ((int (*)(int, const char *, mode_t, int))REAL("fchmodat"))(folder, path, mode, flags);
}
int chown(const char *path, uid_t user, gid_t group) {
    if (odd("chown-refused")) return fail(EPERM);
    return ((int (*)(const char *, uid_t, gid_t))REAL("chown"))(path, user, group);
}
int posix_fallocate(int fd, off_t from, off_t size) {
    if (odd("no-fallocate")) return EOPNOTSUPP;
    return ((int (*)(int, off_t, off_t))REAL("posix_fallocate"))(fd, from, size);
}
int posix_fallocate64(int fd, off64_t from, off64_t size) {
    if (odd("no-fallocate")) return EOPNOTSUPP;
    return ((int (*)(int, off64_t, off64_t))REAL("posix_fallocate64"))(fd, from, size);
}
int link(const char *from, const char *to) {
    if (odd("no-links")) return fail(EPERM);
    return ((int (*)(const char *, const char *))REAL("link"))(from, to);
}
int linkat(int a, const char *from, int b, const char *to, int flags) {
    if (odd("no-links")) return fail(EPERM);
    int (*real)(int, const char *, int, const char *, int) = REAL("linkat");
    return real(a, from, b, to, flags);
}
"""
EVERYTHING = "no-locks no-fsync chmod-forgotten chown-refused no-fallocate no-links"


def build(folder: Path) -> Path:
    """Compile the library; skip the test where that can't be."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or sys.platform != "linux":
        lacking("a file system without locks is acted by a C library: needs Linux and a C compiler")
    source, library = folder / "odd.c", folder / "odd.so"
    source.write_text(SOURCE)
    command = [compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)
    return library


def environment(library: Path, odd: str) -> dict[str, str]:
    """What a process needs in its environment to find the file system odd."""
    return {"LD_PRELOAD": str(library), "ODD": odd}
