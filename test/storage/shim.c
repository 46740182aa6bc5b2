/*
 * Between a program and its database files, by LD_PRELOAD: counts what is synced to disk, and refuses writes as a disk
 * would. Files whose path holds "turnstream.db" alone are meant.
 *
 * SHIM_SYNCS: a file that grows by one byte for each fsync or fdatasync that succeeded.
 * SHIM_TRACE: a file that gets a record for each write, truncation and sync, from which what a power loss would leave can
 *   be made. A record: 'W', 'T' or 'S', 'L' for a log or 'D', offset (8 bytes), length (4 bytes), the bytes written.
 * SHIM_FAULT: a file; while it is there, writes and syncs fail with the errno whose number it holds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int is_database(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "turnstream.db") != NULL && strstr(path, "-shm") == NULL;
}

/* The errno to fail with, or 0. */
static int fault_of(int fd) {
  const char *file = getenv("SHIM_FAULT");
  if (file == NULL) return 0;
  int trigger = open(file, O_RDONLY);
  if (trigger < 0) return 0;
  char text[16] = {0};
  ssize_t length = read(trigger, text, sizeof text - 1);
  close(trigger);
  return length > 0 && is_database(fd) ? atoi(text) : 0;
}

/* 'D' for the database, 'L' for its write-ahead log, 0 for anything else. */
static char kind_of(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  const char *name = strstr(path, "turnstream.db");
  if (name == NULL) return 0;
  return strcmp(name, "turnstream.db") == 0 ? 'D' : strcmp(name, "turnstream.db-wal") == 0 ? 'L' : 0;
}

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))
#define REFUSE(fd) \
  do { \
    int fault = fault_of(fd); \
    if (fault != 0) { \
      errno = fault; \
      return -1; \
    } \
  } while (0)

static void trace(char operation, int fd, int64_t offset, const void *bytes, uint32_t length) {
  static int log = -1;
  const char *file = getenv("SHIM_TRACE");
  if (file == NULL) return;
  char kind = kind_of(fd);
  if (kind == 0) return;
  if (log < 0) log = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  char head[14] = {operation, kind};
  memcpy(head + 2, &offset, 8);
  memcpy(head + 10, &length, 4);
  struct iovec parts[2] = {{head, sizeof head}, {(void *) bytes, length}};
  if (writev(log, parts, 2) != (ssize_t) (sizeof head + length)) abort();
}

static ssize_t written(int fd, const void *bytes, ssize_t count, int64_t at) {
  if (count > 0) trace('W', fd, at, bytes, (uint32_t) count);
  return count;
}

ssize_t write(int fd, const void *bytes, size_t count) {
  REFUSE(fd);
  int64_t at = getenv("SHIM_TRACE") == NULL ? 0 : lseek(fd, 0, SEEK_CUR);
  return written(fd, bytes, REAL(write)(fd, bytes, count), at);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  REFUSE(fd);
  return written(fd, bytes, REAL(pwrite)(fd, bytes, count, at), at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  REFUSE(fd);
  return written(fd, bytes, REAL(pwrite64)(fd, bytes, count, at), at);
}

static int truncated(int fd, int result, int64_t length) {
  if (result == 0) trace('T', fd, length, NULL, 0);
  return result;
}

int ftruncate(int fd, off_t length) {
  REFUSE(fd);
  return truncated(fd, REAL(ftruncate)(fd, length), length);
}

int ftruncate64(int fd, off64_t length) {
  REFUSE(fd);
  return truncated(fd, REAL(ftruncate64)(fd, length), length);
}

static int count(int fd, int result) {
  const char *file = getenv("SHIM_SYNCS");
  if (result == 0) trace('S', fd, 0, NULL, 0);
  if (result != 0 || file == NULL || !is_database(fd)) return result;
  int log = open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (log >= 0) {
    if (REAL(write)(log, ".", 1) != 1) abort();
    close(log);
  }
  return result;
}

int fsync(int fd) {
  REFUSE(fd);
  return count(fd, REAL(fsync)(fd));
}

int fdatasync(int fd) {
  REFUSE(fd);
  return count(fd, REAL(fdatasync)(fd));
}
