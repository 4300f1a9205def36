/* A folder of this run for the files of a test. */

#if defined(__unix__) || defined(__APPLE__)
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#define FILES 1
#elif defined(__MINGW32__)
#include <direct.h>
#include <process.h>
#include <sys/stat.h>
#define FILES             1
#define WINDOWS           1
#define mkdir(path, mode) _mkdir(path)
#define rmdir(path)       _rmdir(path)
#define getpid()          _getpid()
#else
#define FILES 0
#endif
#ifndef WINDOWS
#define WINDOWS 0
#endif

#if FILES
static char folder[256]; /* of this run, for its files */

static const char *path_in(const char *name)
{
    static char path[4][1024];
    static int next;
    next = (next + 1) % 4;
    snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
    return path[next];
}

static void folder_make(void)
{
    const char *base = getenv(WINDOWS ? "TEMP" : "TMPDIR");
    snprintf(folder, sizeof folder, "%s/test_train.%ld", base && *base ? base : "/tmp",
             (long)getpid());
    mkdir(folder, 0777);
}

static int file_write(const char *name, const void *bytes, size_t size)
{
    FILE *f = fopen(path_in(name), "wb");
    int good = f && fwrite(bytes, 1, size, f) == size;
    if (f) good = fclose(f) == 0 && good;
    T_CHECK(good);
    return good;
}

/* A second name for a file; on Windows a copy. */
static int file_link(const char *from, const char *to)
{
#if WINDOWS
    void *bytes = NULL;
    size_t size;
    int good = mls_file_load(from, &bytes, &size, NULL, 0) == MLS_OK;
    if (good) good = mls_file_save(to, bytes, size, NULL, 0) == MLS_OK;
    mls_file_free(bytes);
    return good ? 0 : -1;
#else
    return link(from, to);
#endif
}

static int file_exists(const char *name)
{
    FILE *f = fopen(path_in(name), "rb");
    if (f) fclose(f);
    return f != NULL;
}

#endif
