/*
 * Between a program and its database files, by LD_PRELOAD: counts what is synced to disk, and refuses writes as a disk
 * would. Files whose path holds "turnstream.db" alone are meant.
 *
 * SHIM_SYNCS: a file that grows by one byte for each fsync or fdatasync that succeeded.
 * SHIM_FAULT: a file; while it is there, writes and syncs fail with the errno whose number it holds.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
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

#define REAL(name) ((__typeof__(&name)) dlsym(RTLD_NEXT, #name))
#define REFUSE(fd) \
  do { \
    int fault = fault_of(fd); \
    if (fault != 0) { \
      errno = fault; \
      return -1; \
    } \
  } while (0)

ssize_t write(int fd, const void *bytes, size_t count) {
  REFUSE(fd);
  return REAL(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  REFUSE(fd);
  return REAL(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  REFUSE(fd);
  return REAL(pwrite64)(fd, bytes, count, at);
}

static int count(int fd, int result) {
  const char *file = getenv("SHIM_SYNCS");
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
