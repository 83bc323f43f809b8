/* Makes a program that does not fsync what it stores do so: preloaded, every file that it closes after
   writing is fsynced, and the folder that holds its name. So that storescp can be compared at the durability
   that a sender is promised. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void fsync_with_name(int fd)
{
    char link[64], path[4096];
    struct stat state;
    if (fstat(fd, &state) || !S_ISREG(state.st_mode) || (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY)
        return;
    fsync(fd);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0)
        return;
    path[length] = 0;
    int folder = open(dirname(path), O_RDONLY | O_DIRECTORY);
    if (folder >= 0) {
        fsync(folder);
        close(folder);
    }
}

int fclose(FILE *file)
{
    int (*original)(FILE *) = (int (*)(FILE *))dlsym(RTLD_NEXT, "fclose");
    if (fileno(file) > 2) {
        fflush(file);
        fsync_with_name(fileno(file));
    }
    return original(file);
}
