/* folder.h - a folder in memory where there is one, for targets that read files; gone at exit.
   Include it after a _POSIX_C_SOURCE of 200809L. */
#ifndef FOLDER_H_INCLUDED
#define FOLDER_H_INCLUDED

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[200];

static void folder_remove(void)
{
    char command[sizeof folder + 20];
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    if (system(command) != 0) perror(folder);
}

static void folder_make(void)
{
    const char *memory = "/dev/shm", *where = getenv("TMPDIR");
    if (!where) where = access(memory, W_OK) == 0 ? memory : "/tmp";
    snprintf(folder, sizeof folder, "%s/mls-fuzz-XXXXXX", where);
    if (!mkdtemp(folder)) {
        perror(folder);
        exit(1);
    }
    atexit(folder_remove);
}

/* folder/name, in the same memory until the next call. */
static const char *folder_path(const char *name)
{
    static char path[sizeof folder + 300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void folder_write(const char *name, const uint8_t *bytes, size_t size)
{
    FILE *f = fopen(folder_path(name), "wb");
    if (!f || (size && fwrite(bytes, 1, size, f) != size) || fclose(f) != 0) {
        perror(name);
        exit(1);
    }
}

#endif /* FOLDER_H_INCLUDED */
