/* Between a process and the C library (LD_PRELOAD): counts, records and fails what it does to files under one folder.

   rig_arm(folder, call, error, forever, cut): the call-th call from now on fails with `error`, or all from then on that
   need room; where `cut` is set, it writes half of its bytes first, as a disk does that fills up. rig_record(fd): every call is written
   there, as rig/disk.py reads it. Only calls that name or hold a file under `folder` count. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#define FILES 4096
static char root[4096];
static char kinds[1 << 16];
static unsigned char ours[FILES];
static long calls, failing;
static int error_number, forever, cut, recorder = -1;
static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ({ static __typeof__(&name) real; if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name); real; })

void rig_arm(const char *folder, long call, int error, int always, int half) {
    snprintf(root, sizeof root, "%s", folder);
    calls = 0, failing = call, error_number = error, forever = always, cut = half;
}
void rig_record(int fd) { recorder = fd; }
long rig_calls(void) { return calls; }
const char *rig_kinds(void) { return kinds; }

static int below(const char *path) {
    size_t n = strlen(root);
    return n && path && !strncmp(path, root, n) && (path[n] == '/' || !path[n]);
}
static int held(int fd) { return fd >= 0 && fd < FILES && ours[fd]; }

/* whether this call fails */
static int fails(char kind) {
    pthread_mutex_lock(&one);
    long now = ++calls;
    if (now < (long)sizeof kinds) kinds[now - 1] = kind, kinds[now] = 0;
    pthread_mutex_unlock(&one);
    int hit = failing && (now == failing || (forever && now > failing && strchr("WCTSD", kind)));
    if (hit) errno = error_number;
    return hit;
}
static int is_first(void) { return calls == failing; }

static void put(const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t done = REAL(write)(recorder, at, size);
        if (done <= 0) return;
        at += done, size -= (size_t)done;
    }
}
/* kind, fd, offset, sizes of two parts, the parts */
static void record(char kind, int fd, int64_t at, const void *a, size_t n, const void *b, size_t m) {
    if (recorder < 0) return;
    int saved = errno;
    struct { int64_t kind, fd, at, n, m; } head = {kind, fd, at, (int64_t)n, (int64_t)m};
    pthread_mutex_lock(&one);
    put(&head, sizeof head), put(a, n), put(b, m);
    pthread_mutex_unlock(&one);
    errno = saved;
}
void rig_mark(long number) { record('M', -1, number, "", 0, "", 0); }

static int opened(int fd, const char *path, int flags) {
    if (fd >= 0 && fd < FILES) {
        ours[fd] = below(path);
        if (ours[fd]) record('O', fd, flags & (O_TRUNC | O_CREAT), path, strlen(path), "", 0);
    }
    return fd;
}
static int open_kind(int flags) { return (flags & O_CREAT) ? 'C' : (flags & O_ACCMODE) == O_RDONLY ? 'o' : 'O'; }

#define OPEN(name)                                                                    \
    int name(const char *path, int flags, ...) {                                      \
        mode_t mode = 0;                                                              \
        if (flags & (O_CREAT | O_TMPFILE)) {                                          \
            va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); \
        }                                                                             \
        if (below(path) && fails((char)open_kind(flags))) return -1;                  \
        return opened(REAL(name)(path, flags, mode), path, flags);                    \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (held(fd)) record('X', fd, 0, "", 0, "", 0), ours[fd] = 0;
    return REAL(close)(fd);
}
ssize_t read(int fd, void *to, size_t n) {
    if (held(fd) && fails('R')) return -1;
    return REAL(read)(fd, to, n);
}
#define PREAD(name, off)                              \
    ssize_t name(int fd, void *to, size_t n, off at) { \
        if (held(fd) && fails('R')) return -1;        \
        return REAL(name)(fd, to, n, at);             \
    }
PREAD(pread, off_t)
PREAD(pread64, off64_t)

static ssize_t written(int fd, const void *from, ssize_t n, int64_t at) {
    if (n > 0 && held(fd)) record('W', fd, at, from, (size_t)n, "", 0);
    return n;
}
ssize_t write(int fd, const void *from, size_t n) {
    if (!held(fd)) return REAL(write)(fd, from, n);
    int64_t at = lseek(fd, 0, SEEK_CUR);
    if (fails('W')) {
        if (!cut || !is_first() || n < 2) return -1;
        n /= 2;
    }
    return written(fd, from, REAL(write)(fd, from, n), at);
}
#define PWRITE(name, off)                                    \
    ssize_t name(int fd, const void *from, size_t n, off at) { \
        if (held(fd) && fails('W')) {                        \
            if (!cut || !is_first() || n < 2) return -1;     \
            n /= 2;                                          \
        }                                                    \
        return written(fd, from, REAL(name)(fd, from, n, at), at); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

/* so that every byte goes by here */
ssize_t sendfile(int to, int from, off_t *at, size_t n) {
    if (!held(to)) return REAL(sendfile)(to, from, at, n);
    errno = ENOTSOCK;
    return -1;
}
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) { return sendfile(to, from, (off_t *)at, n); }

#define SYNC(name)                                       \
    int name(int fd) {                                   \
        if (held(fd) && fails('S')) return -1;           \
        int done = REAL(name)(fd);                       \
        if (held(fd)) record('S', fd, 0, "", 0, "", 0);  \
        return done;                                     \
    }
SYNC(fsync)
SYNC(fdatasync)

#define TRUNCATE(name, off)                                            \
    int name(int fd, off n) {                                          \
        if (held(fd) && fails('T')) return -1;                         \
        int done = REAL(name)(fd, n);                                  \
        if (held(fd) && !done) record('T', fd, n, "", 0, "", 0);       \
        return done;                                                   \
    }
TRUNCATE(ftruncate, off_t)
TRUNCATE(ftruncate64, off64_t)

int rename(const char *old, const char *new) {
    if ((below(old) || below(new)) && fails('N')) return -1;
    int done = REAL(rename)(old, new);
    if (!done && below(new)) record('N', -1, 0, old, strlen(old), new, strlen(new));
    return done;
}
int unlink(const char *path) {
    if (below(path) && fails('U')) return -1;
    int done = REAL(unlink)(path);
    if (!done && below(path)) record('U', -1, 0, path, strlen(path), "", 0);
    return done;
}
int mkdir(const char *path, mode_t mode) {
    if (below(path) && fails('D')) return -1;
    int done = REAL(mkdir)(path, mode);
    if (!done && below(path)) record('D', -1, 0, path, strlen(path), "", 0);
    return done;
}
